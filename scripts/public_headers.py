#!/usr/bin/env python3
"""The public headers, as the HEADERS lists of the folders' CMakeLists.txt name them. As a program: prints them, one a line."""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDERS = ("autodiff", "optim", "nn")


def public_headers(keyword="HEADERS"):
    """Paths from the project's root, in the order of the lists."""
    found = []
    for folder in FOLDERS:
        lists = re.sub(r"#.*", "", (ROOT / folder / "CMakeLists.txt").read_text())
        names = re.search(rf"\b{keyword}\b((?:\s+[a-z]\S*\.h\b)*)", lists)
        found += [f"{folder}/{name}" for name in names.group(1).split()] if names else []
    return found


def textual_headers():
    """Those that are installed, but are included by public headers alone."""
    return public_headers("TEXTUAL_HEADERS")


if __name__ == "__main__":
    print("\n".join(public_headers()))
