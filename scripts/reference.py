"""The API reference, from Doxygen's XML: one page for a task, as PAGES lists them, written as reStructuredText for Sphinx.

What a header declares stands in the header's order. Its `// ---- title ----` lines become sections. A comment documents the declaration
below it and those that follow without a blank line or a comment of their own, as a reader of the header would take it; these share one
entry. A struct of options follows the function that takes it. Parameters that hold the caller's place (`Location`) are left out.
"""
import fnmatch
import html
import pathlib
import re
import textwrap
import xml.etree.ElementTree as ElementTree

from public_headers import public_headers

ROOT = pathlib.Path(__file__).resolve().parent.parent

# (caption of the list of pages, [(page, title, sentence, headers)]). A header may be a pattern, and may name one of its sections after a #.
# The first page that matches takes it; the last page of each library takes what no other one did.
PAGES = [
    ("Tape, scalars and tensors", [
        ("tape", "Tape, parameters, gradients", "Recording, the backward pass, and what it returns.",
         ["autodiff/tape/*"]),
        ("scalars", "Scalars", "Doubles that the tape follows. Functions: [Elementwise functions](elementwise.md).",
         ["autodiff/scalar/scalar.h", "autodiff/scalar/*"]),
        ("tensors", "Tensors", "Shapes, dtypes, views, elements, random numbers, printing.",
         ["autodiff/tensor/tensor.h", "autodiff/tensor/indexing.h", "autodiff/tensor/shape.h", "autodiff/tensor/random.h",
          "autodiff/tensor/named_tensor.h", "autodiff/print.h", "autodiff/format.h"]),
    ]),
    ("Tensor operations", [
        ("elementwise", "Elementwise functions", "Functions of numbers, of scalars and of tensors element by element. Operands broadcast.",
         ["autodiff/ops.h#elementwise*", "autodiff/transforms/elementwise.h"]),
        ("linear_algebra", "Linear algebra", "Products, solutions, determinants.", ["autodiff/ops.h#linear algebra"]),
        ("reductions", "Reductions", "Sums, means, extremes, running sums.", ["autodiff/ops.h#reductions"]),
        ("shapes", "Shapes", "Views and copies of the same elements in another shape.", ["autodiff/ops.h#shapes*"]),
        ("positions", "Elements at given positions", "Reading and writing by index.", ["autodiff/ops.h#elements*"]),
        ("convolution", "Convolution and pooling", "For images and sequences.", ["autodiff/ops.h#convolution*"]),
        ("classification", "Softmax and classification losses", "From logits to a loss.", ["autodiff/ops.h#classification"]),
        ("normalization", "Normalization and dropout", "Of a layer, a group, a channel, a batch.", ["autodiff/ops.h#normali*"]),
        ("attention", "Embeddings and attention", "Operations of language models.", ["autodiff/ops.h#words*"]),
        ("recurrence", "Recurrence", "RNN, GRU and LSTM, as cells and as whole sequences.", ["autodiff/ops.h#recurrence"]),
    ]),
    ("Derivatives", [
        ("derivatives", "Gradients, Jacobians, Hessians", "Derivatives of functions, to any order.",
         ["autodiff/transforms/derivatives.h", "autodiff/scalar/scalar_derivatives.h", "autodiff/transforms/scalar_jacobian.h",
          "autodiff/transforms/complex_step.h", "autodiff/functions/dual.h"]),
        ("checks", "Checking derivatives", "Reverse mode, forward mode and finite differences against each other.",
         ["autodiff/transforms/gradcheck.h", "autodiff/transforms/testing.h"]),
        ("implicit", "Equations, integrals, differential equations", "Solutions with derivatives of their own.",
         ["autodiff/transforms/implicit.h", "autodiff/transforms/quadrature.h", "autodiff/interop/odeint.h",
          "autodiff/transforms/convergence.h"]),
        ("custom", "Your own operations, checkpoints", "Operations with rules of your own; recomputing instead of storing.",
         ["autodiff/transforms/*"]),
        ("explain", "Explaining a tape", "Derivations, diagnoses, profiles and pictures.", ["autodiff/explain/*", "autodiff/profile*"]),
        ("programs", "Programs", "A scalar function as a value: evaluated on many inputs, differentiated, printed, compiled.",
         ["autodiff/program/program.h", "autodiff/program/columns.h", "autodiff/program/derivatives.h", "autodiff/program/choice.h",
          "autodiff/program/to_*", "autodiff/program/compile.h", "autodiff/program/program_file.h", "autodiff/program/list.h",
          "autodiff/program/opcode.h", "autodiff/program/*"]),
        ("sparse", "Sparse derivatives", "Patterns, colourings and compressed Jacobians and Hessians.", ["autodiff/program/sparsity.h"]),
    ]),
    ("Files and the library", [
        ("files", "Files of arrays", "NumPy's .npy and .npz, safetensors, mapped files.", ["autodiff/io/*"]),
        ("library", "Errors, version, run time", "What is thrown, and what was found at run time.", ["autodiff/error.h", "autodiff/*"]),
    ]),
    ("Networks: nn", [
        ("nn_modules", "Modules", "What models share: parameters, modes, initialization, files, checks.",
         ["nn/module/module.h", "nn/module/*"]),
        ("nn_layers", "Layers", "Dense, convolutional, normalizing, recurrent, attention; containers.",
         ["nn/layers/basic.h", "nn/layers/sequential.h", "nn/layers/residual.h", "nn/layers/convolution.h", "nn/layers/normalization.h",
          "nn/layers/recurrent.h", "nn/layers/attention.h", "nn/layers/*"]),
        ("nn_activations", "Activations as layers", "The elementwise functions as modules.", ["nn/layers/activations.h"]),
        ("nn_losses", "Losses", "`nn::cross_entropy` and `nn::nll` are on the page [Softmax and classification losses](classification.md).",
         ["nn/losses.h"]),
        ("nn_data", "Reading data, batches", "CSV, IDX, CIFAR-10, text; splitting, batches, augmentation.",
         ["nn/data/csv.h", "nn/data/idx.h", "nn/data/cifar.h", "nn/data/text.h", "nn/data/loader.h", "nn/data/augment.h", "nn/data/*"]),
        ("nn_onnx", "ONNX files", "Models for other programs, and from them.", ["nn/onnx/*"]),
        ("frozen", "Frozen networks", "Inference without tensors, and networks as C++ source.", ["nn/freeze.h", "autodiff/freeze/*"]),
        ("nn_training", "Progress, metrics, pictures", "What to watch while a network trains.",
         ["nn/training/progress.h", "nn/training/history.h", "nn/training/metrics.h", "nn/training/*", "nn/*"]),
    ]),
    ("Optimization: optim", [
        ("optimizers", "Optimizers", "From gradients to updates.",
         ["optim/optimizer.h", "optim/parameter_group.h", "optim/sgd.h", "optim/adam.h", "optim/adamw.h", "optim/lbfgs.h", "optim/*"]),
        ("schedules", "Learning rates, averages, checkpoints", "Schedules, averages of weights, the state of an optimizer in a file.",
         ["optim/schedule.h", "optim/weight_average.h", "optim/state.h"]),
        ("ranks", "Many processes", "Training on one machine or many, with MPI.",
         ["optim/distributed/mpi.h", "optim/ranks.h", "optim/block_sums.h", "optim/distributed/*"]),
        ("least_squares", "Least-squares fits", "Parameters with error bars.", ["optim/least_squares.h"]),
    ]),
]

# Public for the compiler alone: what templates and macros in users' code need, what completes std::complex, and what only authors of
# operations call.
INTERNAL_FILES = {"autodiff/tensor/call_site.h", "autodiff/program/opcode.h", "autodiff/scalar/complex.h"}
INTERNAL = {
    "wengert::Allocator", "wengert::AllocatorTag", "wengert::BasicTape", "wengert::Compared", "wengert::Condition",
    "wengert::Differentiable", "wengert::DtypeOf", "wengert::EagerLike", "wengert::Element", "wengert::Elements",
    "wengert::ExactNumber", "wengert::Integer", "wengert::IntegerType", "wengert::IsDual", "wengert::IsEagerScalar",
    "wengert::IsScalar", "wengert::KeptExpression", "wengert::LogicalOperand", "wengert::Number", "wengert::Operand",
    "wengert::ParameterFunction", "wengert::ParameterRef", "wengert::ParameterState", "wengert::Recorded", "wengert::RowIterator",
    "wengert::ScalarExpression", "wengert::ScalarLike", "wengert::ScalarOperand", "wengert::ScalarOperands", "wengert::ScalarPoint",
    "wengert::ScalarProgram", "wengert::Sources", "wengert::StatementWriter", "wengert::Subscript", "wengert::Subscripts",
    "wengert::TemporaryExpression", "wengert::TensorFunction", "wengert::TensorValue", "wengert::nn::BatchTransform",
    "wengert::nn::ConvolutionLayer", "wengert::nn::RecurrentParameters", "wengert::nn::Stateless", "wengert::numeric::Binary",
    "wengert::numeric::Expression", "wengert::numeric::Leaf", "wengert::numeric::Literal", "wengert::numeric::Unary",
    "wengert::optim::AdamBase", "wengert::optim::MomentOptimizer", "wengert::optim::OptimizerWith", "wengert::optim::Setting",
    "wengert::optim::Specification",
}
# Members that are documented once, in the base class, or that the language asks for.
INHERITED = {"visit", "label", "update", "apply", "begin", "end", "operator=", "operator*", "operator->", "operator++", "difference_type",
             "iterator_category", "value_type"}
FOR_OPERATIONS = re.compile(r"^(For operations|Internal)\b")


def escaped(text):
    return re.sub(r"([\\*`|_])", r"\\\1", text or "")


def inline(element):
    """The content of an XML paragraph as reStructuredText."""
    result = escaped(element.text)
    for child in element:
        if child.tag == "computeroutput":
            code = "".join(child.itertext()).strip()
            result += f"\\ ``{code}``\\ " if code else ""
        elif child.tag in ("emphasis", "bold"):
            mark = "*" if child.tag == "emphasis" else "**"
            result += f"\\ {mark}{escaped(''.join(child.itertext()).strip())}{mark}\\ "
        elif child.tag in ("itemizedlist", "orderedlist"):
            result += "\n\n" + "\n".join("- " + textwrap.indent(blocks(item), "  ").strip() for item in child) + "\n\n"
        elif child.tag == "verbatim":
            result += "\n\n.. code-block:: text\n\n" + textwrap.indent(textwrap.dedent(child.text).strip("\n"), "   ") + "\n\n"
        else:
            result += inline(child)
        result += escaped(child.tail)
    return result


def blocks(element):
    """The paragraphs of a description."""
    if element is None:
        return ""
    paragraphs = [inline(child).strip() if child.tag == "para" else blocks(child) for child in element]
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph)


def text_of(element, tag):
    child = element.find(tag)
    return re.sub(r"\s+", " ", "".join(child.itertext())).strip() if child is not None else ""


def joined(text):
    """Types as people write them."""
    text = re.sub(r"\s*([<>])\s*", r"\1", text) if "operator" not in text and "->" not in text and "requires" not in text else text
    text = re.sub(r"\s*([&*])(?=\s|\w|$|,|\))", r"\1 ", text)
    text = re.sub(r">(?=\w)", "> ", text)
    return re.sub(r"\s+", " ", text).strip()


def parameters(member):
    result = []
    for parameter in member.findall("param"):
        kind, name, default = text_of(parameter, "type"), text_of(parameter, "declname"), text_of(parameter, "defval")
        if kind in ("Location", "CallSite") and default:
            continue
        array = text_of(parameter, "array")
        result.append((joined(kind) + (" " + name if name else "") + array + (f" = {default}" if default else "")).replace("& ...", "&..."))
    return result


def template_of(element):
    listed = element.find("templateparamlist")
    if listed is None:
        return ""
    names = []
    for parameter in listed.findall("param"):
        kind, name, default = text_of(parameter, "type"), text_of(parameter, "declname"), text_of(parameter, "defval")
        names.append(kind + (" " + name if name and name not in kind.split() else "") + (f" = {default}" if default else ""))
    return f"template <{', '.join(names)}> " if names else ""


class Entity:
    """A documented name of a header, or a member of one."""

    def __init__(self, element, owner=None, section=None):
        self.element, self.kind = element, element.get("kind")
        compound = element.tag == "compounddef"
        self.qualified = text_of(element, "compoundname" if compound else "qualifiedname") or text_of(element, "name")
        self.name = self.qualified.rpartition("::")[2] if compound else text_of(element, "name")
        place = element.find("location")
        declared = place.get("declline") if place.get("declfile") == place.get("file") else None
        self.file, self.line = place.get("file"), int(declared or place.get("line"))
        self.last = max(self.line, int(place.get("bodyend") or -1) if place.get("bodyfile") == self.file else -1)
        self.doc = "\n\n".join(filter(None, (blocks(element.find("briefdescription")), blocks(element.find("detaileddescription")))))
        if self.kind == "function" and re.match(r"\(\d", text_of(element, "argsstring")):
            self.kind = "variable"  # one that is initialized by arguments
        self.owner, self.more = owner, []
        self.group = (text_of(section, "header"), blocks(section.find("description"))) if section is not None else ("", "")

    def path(self):
        """The name as users write it: without the outermost namespace."""
        return self.name if self.owner else self.qualified.removeprefix("wengert::")

    def signatures(self):
        element, kind = self.element, self.kind
        if kind == "function":
            result = re.sub(r"\bWENGERT_\w+", "", text_of(element, "type"))
            result = re.sub(r"\b(inline|constexpr|static|friend|virtual|explicit)\b|\[\[.*?\]\]", "", result)
            tail = text_of(element, "argsstring").rpartition(")")[2]
            tail = " const" if re.search(r"\bconst\b", tail) else ""
            static = "static " if element.get("static") == "yes" else ""
            own = f"{template_of(element)}{static}{joined(result)} {self.path()}({', '.join(parameters(element))}){tail}"
        elif kind == "variable":
            initial = text_of(element, "initializer")
            initial = initial if len(initial) < 60 and not initial.startswith("= {}") else ""
            initial = "" if "(" in initial and "operator" in initial else initial
            result = re.sub(r"\b(inline|constexpr|static)\b", "", text_of(element, "type"))
            array = re.match(r"[^(]*", text_of(element, "argsstring")).group()
            own = f"{joined(result)} {self.path()}{array}" + (f" {initial}" if initial else "")
        elif kind == "typedef":
            own = f"{self.path()} = {joined(text_of(element, 'type'))}"
        elif kind == "concept":
            own = f"template <class T> {self.path()}"
        elif kind == "enum":
            own = self.path()
        else:
            own = template_of(element) + self.path()
        return [re.sub(r"\s+", " ", own).strip()] + [s for entity in self.more for s in entity.signatures()]

    def members(self):
        result = []
        for section in self.element.findall("sectiondef"):
            if section.get("kind", "").startswith(("public", "user-defined")):
                result += [Entity(member, self, section) for member in section.findall("memberdef") if member.get("prot") == "public"]
        return sorted(result, key=lambda entity: entity.line)


def blank_between(file, first, second, cache={}):
    lines = cache.setdefault(file, (ROOT / file).read_text().splitlines())
    between = lines[first: second - 1]
    return any(not line.strip() or line.lstrip().startswith("// ") for line in between)


def merged(entities):
    """Undocumented functions join the documented ones right above them."""
    result, previous = [], None
    for entity in entities:
        if (previous and not entity.doc and entity.kind == previous.kind in ("function", "variable") and entity.file == previous.file
                and entity.group == previous.group and not blank_between(entity.file, previous.last, entity.line)):
            result[-1].more.append(entity)
        else:
            result.append(entity)
        previous = entity
    return result


def with_options_after(entities):
    """Moves structs of options behind the first function that takes them."""
    result, waiting = [], []
    for entity in entities:
        if entity.kind == "struct" and entity.name.endswith("Options") and not any("class" == other.kind for other in waiting):
            waiting.append(entity)
            continue
        result.append(entity)
        taken = [w for w in waiting if any(re.search(rf"\b{w.name}\b", s) for s in signatures_within(entity))]
        result += taken
        waiting = [w for w in waiting if w not in taken]
    return result + waiting


def signatures_within(entity):
    yield from entity.signatures()
    if entity.kind in ("struct", "class"):
        for member in entity.members():
            yield from member.signatures()


DIRECTIVES = {"function": "function", "variable": "member", "typedef": "type", "enum": "enum-class", "struct": "struct", "class": "class",
              "concept": "concept"}


def special(entity):
    """Members that need no comment: constructors, operators, and those that a base class documents."""
    owner = entity.owner
    return entity.name.startswith("operator") or owner is not None and entity.name in (owner.name, *INHERITED)


def hidden(entity):
    own = text_of(entity.element, "definition") + text_of(entity.element, "argsstring")
    return (entity.qualified.partition("<")[0].strip() in INTERNAL or entity.file in INTERNAL_FILES or FOR_OPERATIONS.match(entity.doc)
            or "detail::" in entity.qualified or "=delete" in own.replace(" ", "")
            or entity.owner is not None and (entity.name in INHERITED or entity.name.startswith("~") or entity.kind == "friend")
            or entity.kind in ("class", "struct") and "<" in entity.qualified)


def rendered(entity, complain, seen):
    """An entry with its members, as reStructuredText."""
    signatures = []
    for signature in entity.signatures():
        if signature not in seen:
            seen.add(signature)
            signatures.append(signature)
    if not signatures:
        return ""
    doc = entity.doc
    if not doc and entity.kind == "struct" and entity.name.endswith("Options"):
        doc = "The options, with their defaults."
    if not doc and not entity.group[1] and not special(entity) and not (entity.owner and entity.kind == "variable"):
        complain(f"{entity.file}:{entity.line}: {entity.qualified} is public and has no comment")
    head = f".. cpp:{DIRECTIVES[entity.kind]}:: "
    lines = [head + ("\n" + " " * len(head)).join(signatures), ""]
    if doc:
        lines += [textwrap.indent(doc, "   "), ""]
    inside = set()
    if entity.kind == "enum":
        for value in entity.element.findall("enumvalue"):
            lines += [f"   .. cpp:enumerator:: {text_of(value, 'name')}", ""]
            note = blocks(value.find("briefdescription"))
            lines += [textwrap.indent(note, "      "), ""] if note else []
    elif entity.kind in ("struct", "class"):
        members = [member for member in merged([m for m in entity.members() if m.kind in DIRECTIVES]) if not hidden(member)]
        lines += [textwrap.indent(text, "   ") for text in listed(members, complain, inside)]
    return "\n".join(lines)


def listed(entities, complain, seen=None):
    """Entries one below the other, each group under its name and description."""
    seen, group = set() if seen is None else seen, ("", "")
    for entity in entities:
        text = rendered(entity, complain, seen)
        if not text.strip():
            continue
        if entity.group != group:
            group = entity.group
            yield "\n\n".join(filter(None, (f".. rubric:: {group[0]}" if group[0] else "", group[1]))) + "\n"
        yield text


def entities_of(xml):
    """All public entities by header."""
    found = {}
    for entry in ElementTree.parse(xml / "index.xml").getroot():
        if entry.get("kind") not in ("struct", "class", "namespace", "concept"):
            continue
        compound = ElementTree.parse(xml / f"{entry.get('refid')}.xml").getroot().find("compounddef")
        if entry.get("kind") == "namespace":
            new = [Entity(member, None, section) for section in compound.findall("sectiondef") for member in section.findall("memberdef")]
        elif "::detail::" in text_of(compound, "compoundname") or compound.get("prot") == "private":
            new = []
        else:
            new = [Entity(compound)]
        for entity in new:
            parent = entity.qualified.rpartition("::")[0].rpartition("::")[2]
            nested = entity.kind in ("struct", "class") and parent[:1].isupper()
            if entity.kind in DIRECTIVES and not nested and entity.name and not entity.name.startswith("operator\"\""):
                found.setdefault(entity.file, []).append(entity)
    return {file: sorted(entities, key=lambda entity: entity.line) for file, entities in found.items()}


SECTION = re.compile(r"^// ---- (.*?) -*$")


def sections(header):
    """[(title, first line)] of a header; the part before the first title is called ""."""
    result = [("", 0)]
    for number, line in enumerate((ROOT / header).read_text().splitlines(), 1):
        match = SECTION.match(line)
        if match:
            result.append((match.group(1), number))
    return result


def assigned():
    """{page: [(header, section or None)]}: each section of each header once, in the order of PAGES."""
    taken, result = set(), {page: [] for _, pages in PAGES for page, *_ in pages}
    headers = [header for header in public_headers() if header not in INTERNAL_FILES]
    exact = [(page, pattern) for _, pages in PAGES for page, _, _, patterns in pages for pattern in patterns]
    order = sorted(range(len(exact)), key=lambda n: ("*" in exact[n][1].partition("#")[0], n))  # names before patterns
    matched = {}
    for n in order:
        page, pattern = exact[n]
        file_pattern, _, section_pattern = pattern.partition("#")
        for header in fnmatch.filter(headers, file_pattern):
            for title, _ in sections(header):
                if (header, title) in taken or section_pattern and not fnmatch.fnmatch(title, section_pattern):
                    continue
                taken.add((header, title))
                matched.setdefault(n, []).append((header, title))
    for n, (page, _) in enumerate(exact):
        result[page] += matched.get(n, [])
    return result


FUNCTION = re.compile(r'''((?:^///.*\n)*)^struct (\w+) \{
(?:.*;.*\n)*?.*\*name = "(\w+)",\s+\*latex = (?:"(.*?)"|R"\((.*?)\)");''', re.MULTILINE)


def elementwise_functions():
    """The functions that autodiff/functions/functions.h defines, each with its formula."""
    text = (ROOT / "autodiff/functions/functions.h").read_text()
    listed = {}
    for struct, name, rest in re.findall(r"X\((\w+), (\w+)((?:, [-\w.]+)*)\)", text):
        words = rest.strip(", ").split(", ") if rest else []
        listed[struct] = (name, list(zip(words[::2], words[1::2])))
    lines = []
    for comment, struct, name, plain, raw in FUNCTION.findall(text):
        formula = (plain or raw).replace("#1", "a").replace("#2", "b").replace("#", "x")
        note = escaped(" ".join(line.removeprefix("///").strip() for line in comment.splitlines()))
        if struct not in listed:
            continue  # an operator, or a part of another function
        function, options = listed[struct]
        operands = "a, b" if "#1" in (plain or raw) else "x"
        arguments = ", ".join([f"auto {operand}" for operand in operands.split(", ")] +
                              [f"double {option} = {default}" for option, default in options])
        lines += [f".. cpp:function:: auto {function}({arguments})", "", f"   :math:`{formula}`", "", f"   {note}", ""]
    return "\n".join(lines)


def page_text(title, sentence, parts, entities, complain):
    sentence = re.sub(r"\[(.*?)\]\((\w+)\.md\)", r":doc:`\1 <\2>`", sentence)
    sentence = re.sub(r"(?<![:`])`([^`<]+)`(?!`)", r"``\1``", sentence)
    lines = [title, "=" * len(title), "", sentence, "", ".. cpp:namespace:: wengert", ""]
    last_header = None
    for header, section in parts:
        marks = sections(header)
        at = next(n for n, mark in enumerate(marks) if mark[0] == section)
        first, end = marks[at][1], marks[at + 1][1] if at + 1 < len(marks) else 10**9
        own = [entity for entity in entities.get(header, []) if first <= entity.line < end]
        own = [entity for entity in with_options_after(merged(own)) if not hidden(entity)]
        body = "\n".join(listed(own, complain))
        if not body.strip():
            continue
        heading = section[:1].upper() + section[1:] if section and header != "autodiff/ops.h" else ""
        if header != last_header:
            library = header.partition("/")[0]
            alone = header in ("autodiff/format.h", "autodiff/transforms/testing.h", "optim/distributed/mpi.h")
            lines += [f"**<{header}>**" if alone else f"**<{library}/{library}.h>** · {header}", ""]
            last_header = header
        if heading:
            lines += [heading, "-" * len(heading), ""]
        lines += [body, ""]
    return "\n".join(lines)


def write_pages(xml, folder):
    """Writes the pages and their index; returns the list of complaints."""
    entities, complaints = entities_of(xml), []
    folder.mkdir(parents=True, exist_ok=True)
    parts, written = assigned(), {}
    index = ["API reference", "=============", "",
             "By task. Everything in ``<autodiff/autodiff.h>`` is in the namespace ``wengert``; ``nn::`` and ``optim::`` are "
             "``wengert::nn`` "
             "and ``wengert::optim``. Each function also takes the caller's place in the source as a defaulted last argument, which the "
             "signatures here leave out.", ""]
    for caption, pages in PAGES:
        names = []
        for page, title, sentence, _ in pages:
            if not parts[page]:
                continue
            text = page_text(title, sentence, parts[page], entities, complaints.append)
            if page == "elementwise":
                text = text.rstrip() + "\n\nFunctions\n---------\n\nOf scalars and tensors alike.\n\n" + elementwise_functions()
            written[page] = text
            names.append(page)
        if names:
            index += [f".. toctree::\n   :caption: {caption}\n   :maxdepth: 1\n", *(f"   {name}" for name in names), ""]
    written["index"] = "\n".join(index)
    for name, text in written.items():
        file = folder / f"{name}.rst"
        if not file.exists() or file.read_text() != text:
            file.write_text(text)
    for file in folder.glob("*.rst"):
        if file.stem not in written:
            file.unlink()
    return complaints


if __name__ == "__main__":
    print("\n".join(write_pages(ROOT / "build/docs/xml", ROOT / "docs/reference")))
