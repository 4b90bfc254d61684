#!/usr/bin/env python3
"""The installed headers, as the lists of the folders' CMakeLists.txt name them. As a program: prints the public ones, one a line."""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDERS = ("autodiff", "optim", "optim/distributed", "nn")


def headers_under(keyword):
    """Paths from the project's root, in the order of the lists."""
    found = []
    for folder in FOLDERS:
        lists = re.sub(r"#.*", "", (ROOT / folder / "CMakeLists.txt").read_text())
        names = re.search(rf"(?<!\w){keyword}\b((?:\s+[a-z]\S*\.h\b)*)", lists)
        found += [f"{folder}/{name}" for name in names.group(1).split()] if names else []
    return found


def public_headers():
    """Those that users include."""
    return headers_under("HEADERS")


def installed_headers():
    """The public ones, and those that only they include."""
    return [header for keyword in ("HEADERS", "INTERNAL_HEADERS") for header in headers_under(keyword)]


if __name__ == "__main__":
    print("\n".join(public_headers()))
