#!/usr/bin/env python3
"""The public headers, as the HEADERS lists of the folders' CMakeLists.txt name them. As a program: prints them, one a line."""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDERS = ("autodiff", "optim", "nn")


def public_headers():
    """Paths from the project's root, in the order of the lists."""
    found = []
    for folder in FOLDERS:
        lists = re.sub(r"#.*", "", (ROOT / folder / "CMakeLists.txt").read_text())
        headers = re.search(r"\bHEADERS\b([^()]*?)(?:\b(?:SOURCES|LINK|PRIVATE_LINK)\b|\))", lists).group(1)
        found += [f"{folder}/{name}" for name in headers.split()]
    return found


if __name__ == "__main__":
    print("\n".join(public_headers()))
