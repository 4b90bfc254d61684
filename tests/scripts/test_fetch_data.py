#!/usr/bin/env python3
"""Tests scripts/fetch-data on small files, fetched from folders and from a server in this process."""
import gzip
import hashlib
import http.server
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts/fetch-data"
FILES = {"one": b"the first file\n", "two": bytes(range(256)) * 100}


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class FetchData(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)
        self.cache = self.folder / "cache" / "wengert"
        self.published = self.folder / "published"
        self.published.mkdir()
        for name, data in FILES.items():
            (self.published / name).write_bytes(data)
        self.environment = {**os.environ, "XDG_CACHE_HOME": str(self.cache.parent), "no_proxy": "127.0.0.1"}

    def url(self, path=""):
        return f"{self.published.as_uri()}/{path}"

    def catalogue(self, *sources, sums=True):
        files = {name: sha256(data) if sums else None for name, data in FILES.items()}
        path = self.folder / "catalogue.json"
        path.write_text(json.dumps({"small": {"about": "two files", "files": files, "sources": sources}}))
        return path

    def command(self, *sources, sums=True):
        return [sys.executable, str(SCRIPT), "--catalogue", str(self.catalogue(*sources, sums=sums)), "small"]

    def fetch(self, *sources, sums=True):
        return subprocess.run(self.command(*sources, sums=sums), env=self.environment, capture_output=True, text=True, check=False)

    def assert_fetched(self, result):
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stdout, f"{self.cache / 'small'}\n")
        for name, data in FILES.items():
            self.assertEqual((self.cache / "small" / name).read_bytes(), data)
        self.assertEqual([path.name for path in self.cache.iterdir()], ["small"])

    def assert_refused(self, result, text):
        """One line that says why, and nothing left behind."""
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertEqual(result.stdout, "")
        self.assertIn(text, result.stderr.splitlines()[-1])
        self.assertTrue(result.stderr.splitlines()[-1].startswith("fetch-data: small: "), result.stderr)
        self.assertEqual(list(self.cache.iterdir()), [])

    def archive(self, name, members):
        """A .tar.gz of what is published, each file under another path."""
        path = self.published / name
        with tarfile.open(path, "w:gz") as archive:
            for file, member in members.items():
                archive.add(self.published / file, member)
        return path

    def test_files_are_fetched_once(self):
        source = {"url": self.url("{name}")}
        self.assert_fetched(self.fetch(source))
        for name in FILES:
            (self.published / name).unlink()
        again = self.fetch(source)
        self.assert_fetched(again)
        self.assertEqual(again.stderr, "")

    def test_files_may_have_other_names_there_or_be_compressed(self):
        (self.published / "one.gz").write_bytes(gzip.compress(FILES["one"]))
        (self.published / "elsewhere.gz").write_bytes(gzip.compress(FILES["two"]))
        names = {"one": "one.gz", "two": "elsewhere.gz"}
        self.assert_fetched(self.fetch({"url": self.url("{name}"), "names": names, "gzip": True}))

    def test_tampered_files_leave_nothing(self):
        (self.published / "two").write_bytes(FILES["two"][:-1] + b"x")
        self.assert_refused(self.fetch({"url": self.url("{name}")}), "two: the SHA-256 is")

    def test_what_is_not_there_leaves_nothing(self):
        (self.published / "two").unlink()
        self.assert_refused(self.fetch({"url": self.url("{name}")}), "two")
        self.assert_refused(self.fetch({"url": "no-such-scheme://{name}"}), "no-such-scheme")

    def test_damaged_compression_leaves_nothing(self):
        for damaged in (b"no gzip data", gzip.compress(FILES["one"])[:-9]):
            for name in FILES:
                (self.published / name).write_bytes(damaged)
            self.assert_refused(self.fetch({"url": self.url("{name}"), "gzip": True}), "")

    def test_a_cached_file_that_was_changed_is_fetched_again(self):
        source = {"url": self.url("{name}")}
        for sums in (True, False):
            self.assert_fetched(self.fetch(source, sums=sums))
            (self.cache / "small" / "one").write_bytes(b"changed")
            self.assert_fetched(self.fetch(source, sums=sums))

    def test_the_next_source_is_tried(self):
        result = self.fetch({"url": self.url("absent/{name}")}, {"url": self.url("{name}")})
        self.assert_fetched(result)

    def test_archives(self):
        path = self.archive("all.tar.gz", {"one": "inside/one", "two": "inside/two"})
        source = {"archive": self.url("all.tar.gz"), "sha256": sha256(path.read_bytes()), "folder": "inside"}
        self.assert_fetched(self.fetch(source, sums=False))

    def test_archives_that_are_wrong_leave_nothing(self):
        path = self.archive("all.tar.gz", {"one": "inside/one", "two": "../two"})
        source = {"archive": self.url("all.tar.gz"), "sha256": sha256(path.read_bytes()), "folder": "inside"}
        self.assert_refused(self.fetch(source, sums=False), "inside/two")
        self.assert_refused(self.fetch({**source, "sha256": "0" * 64}, sums=False), "the SHA-256 is")
        path.write_bytes(path.read_bytes()[:100])
        self.assert_refused(self.fetch({**source, "sha256": sha256(path.read_bytes())}, sums=False), "all.tar.gz")

    def command_of_ours(self, name, script):
        programs = self.folder / "programs"
        programs.mkdir(exist_ok=True)
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
        self.environment["PATH"] = f"{programs}:{os.environ['PATH']}"

    def test_packages_of_npm(self):
        path = self.archive("small-1.0.0.tgz", {"one": "package/data/one", "two": "package/data/two"})
        source = {"npm": "small@1.0.0", "folder": "package/data"}
        self.command_of_ours("npm", f'test "$5" = small@1.0.0 && cp {path} "$4"')
        self.assert_fetched(self.fetch(source))

    def test_a_package_that_cannot_be_had_leaves_nothing(self):
        self.command_of_ours("npm", "echo npm: no network >&2; exit 1")
        self.assert_refused(self.fetch({"npm": "small@1.0.0", "folder": "package"}), "npm: no network")
        self.command_of_ours("npm", "exit 0")
        self.assert_refused(self.fetch({"npm": "small@1.0.0", "folder": "package"}), "0 files *.tgz")

    def test_packages_of_debian(self):
        self.assert_fetched(self.fetch({"debian": "small", "folder": str(self.published).lstrip("/")}))

    def test_answers_that_break_off_leave_nothing(self):
        with Server(FILES["one"], promised=1000) as server:
            self.assert_refused(self.fetch({"url": server.url}), "")

    def test_a_stopped_fetch_leaves_nothing(self):
        with Server(FILES["one"], promised=1000, hold=True) as server:
            with subprocess.Popen(self.command({"url": server.url}), env=self.environment, stderr=subprocess.DEVNULL) as process:
                server.asked.wait(30)
                process.send_signal(signal.SIGTERM)
                self.assertEqual(process.wait(30), 1)
        self.assertEqual(list(self.cache.iterdir()), [])

    def test_wrong_command_lines(self):
        for arguments in ([], ["no-such-set"], ["--no-such-option"]):
            command = [sys.executable, str(SCRIPT), *arguments]
            result = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
            self.assertEqual(result.returncode, 2)
        self.assertFalse(self.cache.exists())

    def test_the_catalogue_is_in_order(self):
        for name, data_set in json.loads((ROOT / "scripts/data-sets.json").read_text()).items():
            for source in data_set["sources"]:
                sums = [source["sha256"]] if "archive" in source else list(data_set["files"].values())
                for checksum in sums:
                    self.assertRegex(checksum, re.compile(r"^[0-9a-f]{64}$"), name)


class Server:
    """Answers every request with `data` and the promise of `promised` bytes; with `hold` it then waits until it is left."""

    def __init__(self, data, promised, hold=False):
        self.asked, left = threading.Event(), threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(handler):  # noqa: N802, N805
                handler.send_response(200)
                handler.send_header("Content-Length", str(promised))
                handler.end_headers()
                handler.wfile.write(data)
                handler.wfile.flush()
                self.asked.set()
                if hold:
                    left.wait(60)

            def log_message(handler, *_):  # noqa: N805
                pass

        self.left = left
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/{{name}}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.left.set()
        self.server.shutdown()
        self.server.server_close()


if __name__ == "__main__":
    unittest.main()
