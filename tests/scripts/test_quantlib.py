#!/usr/bin/env python3
"""Tests what scripts/quantlib refuses, which sources it takes, and the list of suites that it writes, on a small checkout."""
import importlib.machinery
import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts/quantlib"
SUITE = """#include "utilities.hpp"
#include "rates.hpp"
#include "others.hpp"
    test->add(RateTest::suite());
    test->add(RateTest::experimental(speed));
    test->add(OtherTest::suite());
    test->add(QUANTLIB_TEST_CASE(stopTimer));
    return test;
"""
FILES = {
    "ql/version.hpp": '#define QL_VERSION "1.29"\n#define QL_HEX_VERSION 0x012900f0\n',
    "ql/rate.hpp": "#include <ql/types.hpp>\n",
    "ql/types.hpp": "",
    "ql/rate.cpp": "#include <ql/rate.hpp>\n#include <ql/inner/day.hpp>\n",
    "ql/rate_numbers.cpp": "",
    "ql/inner/day.hpp": '#include "month.hpp"\n',
    "ql/inner/month.hpp": "",
    "ql/inner/month.cpp": "#include <ql/inner/month.hpp>\n",
    "ql/other.hpp": "",
    "ql/other.cpp": "#include <ql/other.hpp>\n",
    "test-suite/utilities.hpp": "",
    "test-suite/rates.hpp": "class RateTest {};\n",
    "test-suite/rates.cpp": '#include "rates.hpp"\n#include <ql/rate.hpp>\n',
    "test-suite/others.hpp": "class OtherTest {};\n",
    "test-suite/others.cpp": '#include "others.hpp"\n#include <ql/other.hpp>\n',
    "test-suite/quantlibtestsuite.cpp": SUITE,
}


def load_script():
    loader = importlib.machinery.SourceFileLoader("quantlib", str(SCRIPT))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("quantlib", loader))
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    return module


class QuantLib(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)
        for name, text in FILES.items():
            (self.folder / "checkout" / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / "checkout" / name).write_text(text)

    def refusal(self, *arguments, path="checkout", compiler=None):
        environment = {**os.environ, **({"CXX": str(compiler)} if compiler else {})}
        command = [sys.executable, str(SCRIPT), str(self.folder / path), "--build", str(self.folder / "build"), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        return done.stderr

    def compiler(self, output, status=0):
        """A compiler that says what one says that finds this Boost, or none."""
        path = self.folder / "compiler"
        path.write_text(f"#!/bin/sh\ncat >/dev/null\necho '{output}'\nexit {status}\n")
        path.chmod(0o755)
        return path

    def test_missing_folder(self):
        self.assertIn("there is no folder", self.refusal(path="nowhere"))

    def test_folder_without_sources(self):
        (self.folder / "empty").mkdir()
        self.assertIn("does not hold QuantLib's sources: ql/version.hpp", self.refusal(path="empty"))

    def test_old_version(self):
        (self.folder / "checkout/ql/version.hpp").write_text('#define QL_VERSION "1.20"\n#define QL_HEX_VERSION 0x012000f0\n')
        self.assertIn("this is QuantLib 1.20; 1.29 or later is needed", self.refusal())

    def test_missing_boost(self):
        self.assertIn("does not find Boost", self.refusal(compiler=self.compiler("", 1)))

    def test_old_boost(self):
        refusal = self.refusal(compiler=self.compiler("#define BOOST_VERSION 107400"))
        self.assertIn("this is Boost 1.74; QuantLib in C++20 needs 1.75", refusal)

    def test_unknown_test(self):
        refusal = self.refusal("--tests", "rates,rain", compiler=self.compiler("#define BOOST_VERSION 108100"))
        self.assertIn("has no rain; it has others, rates", refusal)

    def test_sources(self):
        path = (self.folder / "checkout").resolve()
        needed = load_script().Sources(path).needed_by([path / "test-suite/rates.cpp"])
        self.assertEqual([str(file.relative_to(path)) for file in needed], ["ql/inner/month.cpp", "ql/rate.cpp", "ql/rate_numbers.cpp"])

    def test_suites(self):
        load_script().write_suite(self.folder / "checkout", ["rates"], self.folder / "suite.cpp")
        lines = [line.strip() for line in (self.folder / "suite.cpp").read_text().splitlines()]
        self.assertIn("boost/test/included", lines.pop(0))
        self.assertEqual(lines, ['#include "utilities.hpp"', '#include "rates.hpp"', "test->add(RateTest::suite());",
                                 "test->add(RateTest::experimental(speed));", "return test;"])  # fmt: skip


if __name__ == "__main__":
    unittest.main()
