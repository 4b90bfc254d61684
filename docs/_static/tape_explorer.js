// The page "A tape to play with": the tape of a formula, its forward and its backward sweep step by step. It needs no server and no library.
// Query parameters, as in ?formula=w*x&w=2&x=3&step=all, set the formula, its inputs, and how many steps of the sweep are shown.
(() => {
  "use strict";

  // The rules: value(a, b), and the partial derivatives given operands and result.
  const sigma = (x) => 1 / (1 + Math.exp(-x));
  const UNARY = {
    neg: [(x) => -x, () => -1],
    exp: [Math.exp, (x, y) => y],
    log: [Math.log, (x) => 1 / x],
    sqrt: [Math.sqrt, (x, y) => 1 / (2 * y)],
    square: [(x) => x * x, (x) => 2 * x],
    sin: [Math.sin, (x) => Math.cos(x)],
    cos: [Math.cos, (x) => -Math.sin(x)],
    tanh: [Math.tanh, (x, y) => 1 - y * y],
    sigmoid: [sigma, (x, y) => y * (1 - y)],
    relu: [(x) => Math.max(x, 0), (x) => (x > 0 ? 1 : 0)],
  };
  const BINARY = {
    "+": [(a, b) => a + b, () => [1, 1]],
    "-": [(a, b) => a - b, () => [1, -1]],
    "*": [(a, b) => a * b, (a, b) => [b, a]],
    "/": [(a, b) => a / b, (a, b, y) => [1 / b, -y / b]],
    "^": [(a, b) => a ** b, (a, b, y) => [b * a ** (b - 1), a > 0 ? y * Math.log(a) : 0]],
  };

  // The list of operations of a formula: inputs and constants first where they occur, then each operation behind its operands.
  function compile(text) {
    const words = text.match(/\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+|[A-Za-z_]\w*|\S/g) || [];
    const list = [], inputs = new Map();
    let at = 0;
    const peek = () => words[at];
    const expect = (word) => {
      if (words[at] !== word) throw new Error(`expected "${word}" ${at < words.length ? `before "${words[at]}"` : "at the end"}`);
      ++at;
    };
    const push = (entry) => list.push(entry) - 1;
    function primary() {
      const word = words[at++];
      if (word === undefined) throw new Error("the formula ends too early");
      if (word === "(") {
        const inner = sum();
        expect(")");
        return inner;
      }
      if (/^[\d.]/.test(word)) return push({kind: "constant", value: Number(word), text: word});
      if (!/^[A-Za-z_]/.test(word)) throw new Error(`"${word}" is not expected here`);
      if (peek() === "(") {
        if (!Object.hasOwn(UNARY, word) || word === "neg") throw new Error(`there is no function ${word}; there are ${Object.keys(UNARY).slice(1).join(", ")}`);
        ++at;
        const operand = sum();
        expect(")");
        return push({kind: "unary", op: word, a: operand});
      }
      if (!inputs.has(word)) inputs.set(word, push({kind: "input", name: word}));
      return inputs.get(word);
    }
    function power() {
      const base = primary();
      if (peek() !== "^") return base;
      ++at;
      return push({kind: "binary", op: "^", a: base, b: signed()});
    }
    function signed() {
      if (peek() !== "-") return power();
      ++at;
      return push({kind: "unary", op: "neg", a: signed()});
    }
    function chain(next, ops) {
      let left = next();
      while (ops.includes(peek())) {
        const op = words[at++];
        left = push({kind: "binary", op, a: left, b: next()});
      }
      return left;
    }
    const product = () => chain(signed, ["*", "/"]);
    const sum = () => chain(product, ["+", "-"]);
    const result = sum();
    if (at < words.length) throw new Error(`"${words[at]}" is not expected here`);
    return {list, inputs, result};
  }

  function forward(program, values) {
    for (const entry of program.list) {
      const a = program.list[entry.a]?.value, b = program.list[entry.b]?.value;
      if (entry.kind === "input") entry.value = values[entry.name];
      if (entry.kind === "unary") entry.value = UNARY[entry.op][0](a);
      if (entry.kind === "binary") entry.value = BINARY[entry.op][0](a, b);
    }
  }

  // The adjoints after the first `steps` operations of the backward sweep.
  function backward(program, steps) {
    const {list, result} = program, bar = list.map(() => 0);
    bar[result] = 1;
    let done = 0, last = -1;
    for (let i = result; i >= 0 && done < steps; --i) {
      const entry = list[i];
      if (entry.kind === "input" || entry.kind === "constant") continue;
      const a = list[entry.a].value;
      if (entry.kind === "unary") {
        bar[entry.a] += bar[i] * UNARY[entry.op][1](a, entry.value);
      } else {
        const [by_a, by_b] = BINARY[entry.op][1](a, list[entry.b].value, entry.value);
        bar[entry.a] += bar[i] * by_a;
        bar[entry.b] += bar[i] * by_b;
      }
      last = i;
      ++done;
    }
    return {bar, last};
  }

  const number = (x) => (Number.isFinite(x) ? String(Number(x.toPrecision(6))) : String(x));

  function start(root) {
    const query = new URLSearchParams(location.search);
    const make = (tag, parent, text) => {
      const element = parent.appendChild(document.createElement(tag));
      if (text !== undefined) element.textContent = text;
      return element;
    };
    const values = {w: 0.5, x: 2, b: -0.25, y: 1};
    let program, steps = 0, forwards = Infinity;

    const formula = make("input", root);
    formula.value = query.get("formula") || "0.5*square(y - sigmoid(w*x + b))";
    formula.setAttribute("aria-label", "formula");
    const message = make("p", root), sliders = make("div", root), buttons = make("p", root), table = make("table", root);
    formula.className = "tape-formula";
    message.className = "tape-message";
    message.setAttribute("role", "status");

    const is_operation = (entry) => entry.kind === "unary" || entry.kind === "binary";
    const operations = () => program.list.filter(is_operation).length;
    const named = (i) => {
      const entry = program.list[i];
      if (entry.kind === "input") return entry.name;
      if (entry.kind === "constant") return entry.text;
      return `v${program.list.slice(0, i + 1).filter(is_operation).length}`;
    };
    const written = (entry) => {
      if (entry.kind === "input") return "input";
      if (entry.kind === "unary") return entry.op === "neg" ? `-${named(entry.a)}` : `${entry.op}(${named(entry.a)})`;
      return `${named(entry.a)} ${entry.op} ${named(entry.b)}`;
    };

    function show() {
      forward(program, values);
      const {bar, last} = backward(program, steps), all = operations();
      table.replaceChildren();
      const head = make("tr", make("thead", table));
      for (const title of ["name", "operation", "value", "adjoint"]) make("th", head, title);
      const body = make("tbody", table);
      let computed = 0;
      program.list.forEach((entry, i) => {
        if (entry.kind === "constant") return;
        const operation = entry.kind !== "input";
        if (operation) ++computed;
        const row = make("tr", body), known = !operation || computed <= forwards;
        row.dataset.name = named(i);
        if (i === last && steps > 0) row.className = "tape-current";
        for (const text of [named(i), written(entry), known ? number(entry.value) : "", forwards >= all ? number(bar[i]) : ""]) make("td", row, text);
      });
      message.textContent = forwards < all ? `forward: ${forwards} of ${all} operations` : `backward: ${steps} of ${all} operations`;
    }

    function rebuild() {
      try {
        program = compile(formula.value);
      } catch (error) {
        message.textContent = error.message;
        return;
      }
      sliders.replaceChildren();
      for (const name of program.inputs.keys()) {
        if (query.has(name)) values[name] = Number(query.get(name));
        values[name] ??= 1;
        const label = make("label", sliders, `${name} `), slider = make("input", label), shown = make("output", label, number(values[name]));
        Object.assign(slider, {type: "range", min: -5, max: 5, step: 0.05});
        slider.value = values[name];
        slider.addEventListener("input", () => {
          values[name] = Number(slider.value);
          shown.textContent = number(values[name]);
          show();
        });
      }
      const all = operations();
      steps = query.get("step") === "all" ? all : Math.min(Number(query.get("step") || all), all);
      forwards = all;
      show();
    }

    const button = (text, act) => make("button", buttons, text).addEventListener("click", () => {
      if (!program) return;
      act(operations());
      show();
    });
    button("start", () => { forwards = 0; steps = 0; });
    button("step back", (all) => { if (steps > 0) --steps; else if (forwards > 0) forwards = Math.min(forwards, all) - 1; });
    button("step", (all) => { if (forwards < all) ++forwards; else if (steps < all) ++steps; });
    button("end", (all) => { forwards = all; steps = all; });
    formula.addEventListener("input", rebuild);
    rebuild();
  }

  document.addEventListener("DOMContentLoaded", () => {
    const root = document.getElementById("tape-explorer");
    if (root) start(root);
  });
})();
