#!/usr/bin/env python3
"""test_tape_explorer.py PROGRAM: the page "A tape to play with", in a headless Chromium, against what PROGRAM (tests/snippets/program_text)
prints for the same formula. Skipped (77) where there is no Chromium."""
import html
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.parse

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "docs/_static/tape_explorer.js"
PAGE = f'<!doctype html><meta charset="utf-8"><div id="tape-explorer"></div><script src="{SCRIPT.as_uri()}"></script>'


def rows_of_page(browser, folder, **query):
    """{name: (value, adjoint)} and the message of the page."""
    page = folder / "page.html"
    page.write_text(PAGE)
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}", "--dump-dom"]
    address = f"{page.as_uri()}?{urllib.parse.urlencode(query)}"
    run = subprocess.run([browser, *options, address], capture_output=True, text=True, timeout=120)
    cells = re.findall(r'<tr data-name="(\w+)"[^>]*><td>.*?</td><td>.*?</td><td>(.*?)</td><td>(.*?)</td></tr>', run.stdout)
    message = re.search(r'<p class="tape-message"[^>]*>(.*?)</p>', run.stdout)
    rows = {name: (float(value), float(adjoint)) for name, value, adjoint in cells}
    return rows, html.unescape(message.group(1)) if message else run.stderr


def main(program):
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        print("skipped: no Chromium")
        return 77
    printed = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    wanted = re.findall(r"^(\w+)(?:\s+= .*?)?\s{2,}(-?[\d.e-]+)\s+(-?[\d.e-]+)$", printed, re.MULTILINE)
    wanted = [(float(value), float(adjoint)) for name, value, adjoint in wanted if not name.startswith("y0")]
    failures = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        node = {"formula": "0.5*square(y - sigmoid(w*x + b))", "w": 0.5, "b": -0.25, "x": 2, "y": 1}
        rows, message = rows_of_page(browser, folder, **node, step="all")
        if len(wanted) != 10 or sorted(rows.values()) != sorted(wanted):
            failures.append(f"the node: {sorted(rows.values())} on the page, {sorted(wanted)} by the library; {message}")
        if [name for name in rows if name.startswith("v")] != ["v1", "v2", "v3", "v4", "v5", "v6"]:
            failures.append(f"the operations are not numbered as the library numbers them: {list(rows)}")
        rows, _ = rows_of_page(browser, folder, **node, step=0)
        if sorted(adjoint for _, adjoint in rows.values()) != [0] * 9 + [1]:
            failures.append(f"before the sweep only the last adjoint is 1, but: {rows}")
        rows, _ = rows_of_page(browser, folder, formula="x*x + sin(x)/y - -x^2", x=2, y=4, step="all")
        if abs(rows["x"][1] - (2 * 2 + -0.4161468 / 4 + 4)) > 1e-4 or abs(rows["y"][1] + 0.9092974 / 16) > 1e-6:
            failures.append(f"derivatives of a formula whose x occurs four times: {rows}")
        _, message = rows_of_page(browser, folder, formula="sine(x)")
        if "there is no function sine" not in message:
            failures.append(f"an unknown function: {message}")
    print("\n".join(failures) or "the page agrees with the library")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
