#include "autodiff/program/derivatives.h"

#include <fmt/format.h>

#include <optional>

#include "autodiff/program/evaluate.h"
#include "autodiff/program/replay.h"
#include "autodiff/program/transform.h"

namespace wengert {
namespace detail {
namespace {

// How many of the inputs in the range are parameters.
std::uint32_t parameters_in(const WengertList& list, InputRange x) {
  return x.begin < list.parameters ? std::min(x.end, list.parameters) - x.begin : 0;
}

// The rule of operand k of an instruction: m times the derivative of y.
Recorded rule(const WengertList& list, const Instruction& i, int k, const std::vector<Recorded>& values, const Recorded& y,
              const Recorded& m) {
  const auto operand = [&](int j) -> const Recorded& { return values[i.operands[static_cast<std::size_t>(j)]]; };
  return visit_function(i.opcode, list.options(i).data(), [&]<class F>(const F& f) -> Recorded {
    if constexpr (std::is_same_v<F, fn::Where>) {
      const Condition c = Recorder::as_condition(operand(0));
      return k == 1 ? where(c, m, 0) : where(c, 0, m);
    } else if constexpr (requires { f.pullback(m, m, m); }) {
      return f.pullback(m, operand(0), y);
    } else if constexpr (requires { f.left(m, m, m, m); }) {
      return k == 0 ? f.left(m, operand(0), operand(1), y) : f.right(m, operand(0), operand(1), y);
    } else {
      return 0;  // a condition
    }
  });
}
bool is_zero(const Recorded& x) { return Recorder::is_constant(x) && Recorder::value_of(x) == 0; }

// The derivative of the target by one value, and where it may be other than 0, if that is known. Elsewhere nothing is passed on, whatever
// the slope: that of the square root in where(x > 0, sqrt(x), 0) is infinite at 0.
struct Adjoint {
  std::optional<Recorded> sum;
  std::optional<Condition> support;

  void add(const Recorded& part, const std::optional<Condition>& its_support) {
    if (is_zero(part)) return;
    if (!sum) {
      sum = part;
      support = its_support;
      return;
    }
    sum = *sum + part;
    if (support && its_support) {
      support.emplace(*support | *its_support);
    } else {
      support.reset();
    }
  }
};

}  // namespace

InputRange range_of(const WengertList& list, Wrt wrt) {
  if (wrt == Wrt::automatic) wrt = list.parameters > 0 ? Wrt::parameters : Wrt::data;
  return {wrt == Wrt::data ? list.parameters : 0, wrt == Wrt::parameters ? list.parameters : list.inputs()};
}

std::vector<Recorded> reverse(Recorder& recorder, const WengertList& list, const std::vector<Recorded>& values,
                              std::span<const Recorded> seeds, InputRange wrt) {
  std::vector<char> active(list.size());
  for (std::uint32_t v = wrt.begin; v < wrt.end; ++v) active[v] = true;
  for (std::uint32_t v = list.first_instruction(); v < list.size(); ++v) {
    const Instruction& i = list.instruction(v);
    for (int k = 0; k < info(i.opcode).operands; ++k) active[v] |= has_slope(i, k) && active[i.operands[static_cast<std::size_t>(k)]];
  }
  std::vector<Adjoint> adjoints(list.size());
  for (std::size_t o = 0; o < list.outputs.size(); ++o) adjoints[list.outputs[o]].add(seeds[o], std::nullopt);
  for (std::uint32_t v = list.size(); v-- > list.first_instruction();) {
    if (!active[v] || !adjoints[v].sum) continue;
    const Instruction& i = list.instruction(v);
    const Recorded m = *adjoints[v].sum;
    const std::optional<Condition> support = adjoints[v].support;
    for (int k = 0; k < info(i.opcode).operands; ++k) {
      const std::uint32_t operand = i.operands[static_cast<std::size_t>(k)];
      if (!has_slope(i, k) || !active[operand]) continue;
      Recorded part = rule(list, i, k, values, values[v], m);
      std::optional<Condition> its_support = recorder.support_of(part);
      if (support) {
        if (info(i.opcode).reads[static_cast<std::size_t>(k)] != fn::Reads::nothing) part = where(*support, part, 0);
        if (its_support) {
          its_support.emplace(*its_support & *support);
        } else {
          its_support.emplace(*support);
        }
      }
      adjoints[operand].add(part, its_support);
    }
  }
  std::vector<Recorded> gradient;
  for (std::uint32_t v = wrt.begin; v < wrt.end; ++v) gradient.push_back(adjoints[v].sum.value_or(0));
  return gradient;
}

std::vector<Recorded> forward(const WengertList& list, const std::vector<Recorded>& values, std::span<const Recorded> tangents,
                              InputRange wrt) {
  std::vector<std::optional<Recorded>> dots(list.size());
  for (std::uint32_t v = wrt.begin; v < wrt.end; ++v)
    if (!is_zero(tangents[v - wrt.begin])) dots[v] = tangents[v - wrt.begin];
  for (std::uint32_t v = list.first_instruction(); v < list.size(); ++v) {
    const Instruction& i = list.instruction(v);
    const auto dot = [&](int k) -> const std::optional<Recorded>& { return dots[i.operands[static_cast<std::size_t>(k)]]; };
    if (i.opcode == Opcode::where) {
      if (dot(1) || dot(2)) dots[v] = where(Recorder::as_condition(values[i.operands[0]]), dot(1).value_or(0), dot(2).value_or(0));
      continue;
    }
    for (int k = 0; k < info(i.opcode).operands; ++k) {
      if (!has_slope(i, k) || !dot(k)) continue;
      const Recorded part = rule(list, i, k, values, values[v], *dot(k));
      if (!is_zero(part)) dots[v] = dots[v] ? *dots[v] + part : part;
    }
  }
  std::vector<Recorded> outputs;
  for (std::uint32_t y : list.outputs) outputs.push_back(dots[y].value_or(0));
  return outputs;
}

Transformation::Transformation(const WengertList& list, std::uint32_t new_parameters, std::uint32_t new_data)
    : recorder(Computed::not_at_all), parameters_(list.parameters + new_parameters) {
  std::vector<Recorded> inputs, *old = &inputs;
  const auto add = [&](std::vector<Recorded>& to, std::uint32_t count) {
    for (std::uint32_t k = 0; k < count; ++k) to.push_back(recorder.input(0));
  };
  add(*old, list.parameters);
  add(new_inputs, new_parameters);
  add(*old, list.data);
  add(new_inputs, new_data);
  values = replay(recorder, list, inputs);
}

namespace {

std::vector<Recorded> outputs_of(const WengertList& list, const std::vector<Recorded>& values) {
  std::vector<Recorded> outputs;
  for (std::uint32_t y : list.outputs) outputs.push_back(values[y]);
  return outputs;
}

}  // namespace

WengertList gradient_of(const WengertList& list, Wrt wrt, bool with_value) {
  Transformation to(list);
  std::vector<Recorded> outputs;
  if (with_value) outputs = outputs_of(list, to.values);
  const Recorded one = 1;
  const std::vector<Recorded> gradient = reverse(to.recorder, list, to.values, {&one, 1}, range_of(list, wrt));
  outputs.insert(outputs.end(), gradient.begin(), gradient.end());
  return to.finish(outputs);
}

namespace {

WengertList jvp_of(const WengertList& list, InputRange wrt) {
  const std::uint32_t parameters = parameters_in(list, wrt);
  Transformation to(list, parameters, wrt.size() - parameters);
  return to.finish(forward(list, to.values, to.new_inputs, wrt));
}

WengertList vjp_of(const WengertList& list, InputRange wrt) {
  const auto outputs = static_cast<std::uint32_t>(list.outputs.size());
  const bool by_parameters = parameters_in(list, wrt) == wrt.size();
  Transformation to(list, by_parameters ? outputs : 0, by_parameters ? 0 : outputs);
  return to.finish(reverse(to.recorder, list, to.values, to.new_inputs, wrt));
}

WengertList jacobian_of(const WengertList& list, InputRange wrt) {
  Transformation to(list);
  const std::size_t rows = list.outputs.size(), columns = wrt.size();
  std::vector<Recorded> j(rows * columns);
  std::vector<Recorded> direction(std::min(rows, columns) == columns ? columns : rows);
  for (std::size_t k = 0; k < direction.size(); ++k) {
    direction[k] = 1;
    if (columns <= rows) {
      const std::vector<Recorded> column = forward(list, to.values, direction, wrt);
      for (std::size_t r = 0; r < rows; ++r) j[r * columns + k] = column[r];
    } else {
      const std::vector<Recorded> row = reverse(to.recorder, list, to.values, direction, wrt);
      for (std::size_t c = 0; c < columns; ++c) j[k * columns + c] = row[c];
    }
    direction[k] = 0;
  }
  return to.finish(j);
}

// One push over the gradient for each column; of the symmetric matrix, the elements on and below the diagonal are computed.
WengertList hessian_of(const WengertList& list, Wrt wrt) {
  const WengertList gradient = gradient_of(list, wrt, false);
  const InputRange x = range_of(list, wrt);
  Transformation to(gradient);
  const std::size_t n = x.size();
  std::vector<Recorded> h(n * n), direction(n);
  for (std::size_t k = 0; k < n; ++k) {
    direction[k] = 1;
    const std::vector<Recorded> column = forward(gradient, to.values, direction, x);
    for (std::size_t r = k; r < n; ++r) h[r * n + k] = h[k * n + r] = column[r];
    direction[k] = 0;
  }
  return to.finish(h);
}

using Transform = std::function<WengertList(const WengertList&)>;

// The paths of a transformed program: those of the program itself, transformed.
class TransformedSource : public PathSource {
 public:
  TransformedSource(std::shared_ptr<PathSet> paths, Transform transform) : paths_(std::move(paths)), transform_(std::move(transform)) {}

  WengertList record(std::span<const double> parameters, std::span<const double> data, bool in_float32) const override {
    const WengertList& first = (*paths_)[0].list;
    const int path = path_of(*paths_, parameters.first(first.parameters), data.first(first.data), in_float32);
    return transform_((*paths_)[path].list);
  }

 private:
  std::shared_ptr<PathSet> paths_;
  Transform transform_;
};

}  // namespace

Program transformed(const Program& program, Transform transform) {
  const std::shared_ptr<PathSet>& paths = ProgramAccess::paths(program);
  WengertList first = transform(program.list());
  auto source = std::make_shared<TransformedSource>(paths, std::move(transform));
  return ProgramAccess::make(std::make_shared<PathSet>(std::move(first), std::move(source), paths->most()));
}

void need_one_output(const char* name, const Program& program) {
  if (program.outputs() != 1)
    throw ValueError(fmt::format(
        "{}: the program has {} outputs, not one; hint: jacobian, jvp and vjp take any number, output(program, i) is one of them", name,
        program.outputs()));
}
void need_inputs(const char* name, const Program& program, Wrt wrt) {
  if (range_of(program.list(), wrt).size() == 0)
    throw ValueError(fmt::format("{}: the program has {} parameters and {} data, and none to differentiate with respect to", name,
                                 program.parameters(), program.data()));
}

}  // namespace detail

Program gradient(const Program& program, Wrt wrt) {
  detail::need_one_output("gradient", program);
  detail::need_inputs("gradient", program, wrt);
  return detail::transformed(program, [wrt](const WengertList& list) { return detail::gradient_of(list, wrt, false); });
}
Program value_and_gradient(const Program& program, Wrt wrt) {
  detail::need_one_output("value_and_gradient", program);
  detail::need_inputs("value_and_gradient", program, wrt);
  return detail::transformed(program, [wrt](const WengertList& list) { return detail::gradient_of(list, wrt, true); });
}
Program jvp(const Program& program, Wrt wrt) {
  detail::need_inputs("jvp", program, wrt);
  return detail::transformed(program, [wrt](const WengertList& list) { return detail::jvp_of(list, detail::range_of(list, wrt)); });
}
Program vjp(const Program& program, Wrt wrt) {
  detail::need_inputs("vjp", program, wrt);
  return detail::transformed(program, [wrt](const WengertList& list) { return detail::vjp_of(list, detail::range_of(list, wrt)); });
}
Program jacobian(const Program& program, Wrt wrt) {
  detail::need_inputs("jacobian", program, wrt);
  return detail::transformed(program, [wrt](const WengertList& list) { return detail::jacobian_of(list, detail::range_of(list, wrt)); });
}
Program hvp(const Program& program, Wrt wrt) {
  detail::need_one_output("hvp", program);
  detail::need_inputs("hvp", program, wrt);
  return detail::transformed(program, [wrt](const WengertList& list) {
    const WengertList gradient = detail::gradient_of(list, wrt, false);
    return detail::jvp_of(gradient, detail::range_of(list, wrt));
  });
}
Program hessian(const Program& program, Wrt wrt) {
  detail::need_one_output("hessian", program);
  detail::need_inputs("hessian", program, wrt);
  return detail::transformed(program, [wrt](const WengertList& list) { return detail::hessian_of(list, wrt); });
}
Program output(const Program& program, int i) {
  if (i < 0 || i >= program.outputs()) throw ValueError(fmt::format("output: number {} of a program of {} outputs", i, program.outputs()));
  return detail::transformed(program, [i](const WengertList& list) {
    detail::Transformation to(list);
    return to.finish({to.values[list.outputs[static_cast<std::size_t>(i)]]});
  });
}

}  // namespace wengert
