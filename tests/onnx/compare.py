#!/usr/bin/python3
"""compare.py MODELS: ONNX files of the library in onnxruntime. MODELS is the program of models.cpp.

The package `onnx` checks every file, and onnxruntime must compute the outputs that the library has computed; the largest difference is
printed for each model, relative to the largest output or to 1. Status: 0 if all are below 1e-5, 1 if not, 77 (skipped) if there is neither.
`onnx` is Debian's python3-onnx. onnxruntime is a package for node, in the folder that the variable WENGERT_ONNXRUNTIME names, or in
build/onnxruntime: npm install --ignore-scripts --prefix build/onnxruntime onnxruntime-node@1.17.3
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
LARGEST = 1e-5


def check(folder):
    """How many files the package `onnx` has checked; None without it."""
    try:
        import onnx
    except ImportError:
        return None
    files = sorted(folder.glob("*.onnx"))
    for file in files:
        model = onnx.load(file)
        onnx.checker.check_model(model, full_check=True)
    print(f"onnx {onnx.__version__}: {len(files)} files are valid")
    return len(files)


def differences(folder):
    """The largest difference of each model in onnxruntime; None without it."""
    runtime = pathlib.Path(os.environ.get("WENGERT_ONNXRUNTIME", ROOT / "build/onnxruntime")).resolve()
    if not shutil.which("node") or not (runtime / "node_modules/onnxruntime-node").is_dir():
        return None
    script = pathlib.Path(__file__).resolve().parent / "run.js"
    run = subprocess.run(["node", script, runtime, folder], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(run.stdout)


def main(program):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        subprocess.run([program, folder], check=True)
        checked, found = check(folder), differences(folder)
    if checked is None:
        print("not checked: no python3-onnx")
    if found is None:
        print("not run: no onnxruntime-node")
        return 77 if checked is None else 0
    for model, difference in found.items():
        print(f"{model}: largest difference {difference:.3g}")
    return 0 if found and max(found.values()) <= LARGEST else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
