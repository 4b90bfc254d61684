#!/usr/bin/env python3
"""No type has one name in two of the library's namespaces: programs begin with `using namespace wengert; using namespace wengert::nn;`."""
import collections
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
from public_headers import public_headers  # noqa: E402

OPEN = re.compile(r"^namespace ([\w:]+) \{")
CLOSE = re.compile(r"^\}+  // namespace")
TYPE = re.compile(r"^(?:template <.*?> )?(?:struct|class|enum class|enum|using|concept) (\w+)\b(?!::)")
SPACES = {"wengert", "wengert::nn", "wengert::optim"}


def types_of(text):
    """(name, namespace) of the types that are declared outside of classes and of `detail`."""
    inside = []
    for line in text.splitlines():
        if match := OPEN.match(line):
            inside.append(match[1])
        elif CLOSE.match(line) and inside:
            inside.pop()
        elif (match := TYPE.match(line)) and (space := "::".join(inside)) in SPACES:
            yield match[1], space


def main():
    spaces = collections.defaultdict(set)
    for header in public_headers():
        for name, space in types_of((ROOT / header).read_text()):
            spaces[name].add(space)
    if len(spaces) < 150:
        sys.exit(f"only {len(spaces)} types were found")
    twice = [f"{name}: {', '.join(sorted(where))}" for name, where in sorted(spaces.items()) if len(where) > 1]
    if twice:
        sys.exit("types with one name in two namespaces:\n" + "\n".join(twice))


if __name__ == "__main__":
    main()
