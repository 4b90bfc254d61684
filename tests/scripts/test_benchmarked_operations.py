#!/usr/bin/env python3
"""Every operation of the menu has a row in the benchmark of operations, and every row an operation on both sides (benchmarks/ops*)."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# No operations, or not in a row of their own: assignment forms of operators, and what the templates of a name stand for.
NOT_OPERATIONS = {"+=", "-=", "*=", "/="}


def without_comments(path):
    return re.sub(r"//.*", "", (ROOT / path).read_text())


def functions():
    """The elementwise functions and operators in the lists of functions.h."""
    text = (ROOT / "autodiff/functions/functions.h").read_text()
    lists = text[text.index("the lists:"):]
    return set(re.findall(r"^\s*X\(\w+, ([^,)\s]+)", lists, re.MULTILINE))


def menu():
    """The names that autodiff/ops.h declares as tensor operations, and those of functions.h."""
    text = without_comments("autodiff/ops.h")
    text = text[: text.index("WENGERT_TAKE_INDICES")]
    result = r"(?:Tensor&?|std::vector<Tensor>|ValuesAndIndices|SignAndLogarithm|BatchNormResult|Attention|Sequence|LstmSequence|LstmState)"
    names = set(re.findall(rf"^(?:inline )?{result} (operator\S+?|\w+)\(", text, re.MULTILINE))
    names = {name.removeprefix("operator") for name in names}
    return (names | functions()) - NOT_OPERATIONS


def quoted(text):
    return set(re.findall(r'"([^"\s]+)"', text))


def rows():
    """The operations' names in operations.cpp; a variant's name is behind a dot."""
    text = without_comments("benchmarks/operations.cpp")
    return {name.split(".")[0] for name in quoted(text)} | functions()


def served(path):
    """The names that one side defines; `#name` is a function or a reduction of the macros."""
    text = without_comments(path)
    names = {name.split(".")[0] for name in quoted(text)}
    names |= set(re.findall(r"^\s*WENGERT_(?:SAME_NAME|REDUCTION)\((\w+)\)", text, re.MULTILINE))
    return names | (functions() if "WENGERT_UNARY_FUNCTIONS(" in text else set())


wanted, measured, problems = menu(), rows(), []
if len(wanted) < 150:
    problems.append(f"only {len(wanted)} operations found in the menu: has its form changed?")
problems += [f"{name} has no row in benchmarks/operations.cpp" for name in sorted(wanted - measured)]
for side in ("benchmarks/ops_ours.cpp", "benchmarks/ops_libtorch.cpp"):
    problems += [f"{name} is not in {side}" for name in sorted(wanted - served(side))]
print("\n".join(problems) or f"all {len(wanted)} operations are measured")
sys.exit(bool(problems))
