"""Signals to the exporter, and a Python without its packages: one line, an exit code, and nothing left behind."""

import json
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from random_models import config_dict

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"

# Runs the command with a signal that comes at a named place: sent by the program itself, hence always there.
_PROGRAM = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
number, place = int(sys.argv[2]), sys.argv[3]
import export_model
from unittest import mock
import sam3_tracker_export.exporter as exporter
import sam3_tracker_export.meta_check as meta_check

def interrupt(*_, **__):
    os.kill(os.getpid(), number)

def interrupted_before(function):
    def call(*arguments, **options):
        interrupt()
        return function(*arguments, **options)
    return call

def fails(*_):
    # What TorchScript makes of an exception in a kernel that is written in Python.
    try:
        interrupt()
    except BaseException as error:
        raise RuntimeError("The following operation failed in the TorchScript interpreter.") from error

class Component:
    def __getattr__(self, name):
        return fails

if place == "graph on meta":
    patches = [
        mock.patch.object(exporter, "scan_components"),
        mock.patch.object(meta_check, "load_components", lambda folder: dict.fromkeys(meta_check_names, Component())),
        mock.patch.object(meta_check, "bind_weights"),
    ]
    meta_check_names = ("vision_encoder", "prompt_encoder", "mask_decoder")
elif place == "subprocess":
    patches = [mock.patch("subprocess.Popen.communicate", interrupt)]
elif place == "clean-up":
    def first(*_):
        raise export_model.ExportError("another")
    patches = [
        mock.patch.object(exporter, "build_graphs", first),
        mock.patch("shutil.rmtree", interrupted_before(exporter.shutil.rmtree)),
    ]
else:
    def finished(folder, config):
        folder.mkdir()
        (folder / "manifest.json").write_text("new")
        return {}
    patches = [
        mock.patch.object(exporter, "build_graphs", finished),
        mock.patch.object(exporter, "_check_portable"),
        mock.patch.object(exporter, "_write_manifest"),
        mock.patch("pathlib.Path.rename", interrupted_before(exporter.Path.rename)),
    ]
for patch in patches:
    patch.start()
sys.exit(export_model.main(sys.argv[4:]))
"""


class InterruptionTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.models = self.folder / "models"
        self.out = self.models / "model"
        self.config = self.folder / "config.json"
        self.config.write_text(json.dumps(config_dict("relu-two-scales")))

    def run_interrupted(self, number: int, place: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-c", _PROGRAM, str(SCRIPTS), str(int(number)), place]
        command += ["--config-only", str(self.config), "--out", str(self.out)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120)

    def test_sigint_in_a_graph_is_no_finding(self):
        result = self.run_interrupted(signal.SIGINT, "graph on meta")
        self.assertEqual((result.returncode, result.stderr), (130, "interrupted\n"))
        self.assertEqual(list(self.models.iterdir()), [])

    def test_sigterm_while_graphs_are_built(self):
        result = self.run_interrupted(signal.SIGTERM, "subprocess")
        self.assertEqual((result.returncode, result.stderr), (143, ""))
        self.assertEqual(list(self.models.iterdir()), [])

    def test_sigint_in_the_clean_up_does_not_stop_it(self):
        result = self.run_interrupted(signal.SIGINT, "clean-up")
        self.assertEqual((result.returncode, result.stderr), (130, "interrupted\n"))
        self.assertEqual(list(self.models.iterdir()), [])

    def test_sigint_while_an_earlier_export_is_replaced(self):
        (self.out / "torchscript").mkdir(parents=True)
        (self.out / "torchscript" / "manifest.json").write_text("old")
        result = self.run_interrupted(signal.SIGINT, "renames")
        self.assertEqual((result.returncode, result.stderr), (130, "interrupted\n"))
        self.assertEqual(list(self.models.iterdir()), [self.out])
        self.assertEqual((self.out / "torchscript" / "manifest.json").read_text(), "new")


class PackagesTest(unittest.TestCase):
    def test_a_python_without_the_packages(self):
        with tempfile.TemporaryDirectory() as folder:
            for arguments, missing in (
                (["--config-only", "config.json"], "torch, safetensors"),
                (["--checkpoint", folder, "--verify", "none"], "torch, safetensors, numpy"),
                (["--checkpoint", folder], "torch, safetensors, numpy, torchvision, transformers"),
            ):
                # -S and -I: without site-packages.
                command = [sys.executable, "-I", "-S", str(SCRIPTS / "export_model.py"), *arguments]
                result = subprocess.run([*command, "--out", f"{folder}/out"], capture_output=True, text=True)
                self.assertEqual(result.returncode, 1)
                self.assertRegex(result.stderr, f"has no {missing}: pip install -r .*requirements.txt")
                self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
            self.assertEqual(list(Path(folder).iterdir()), [])


if __name__ == "__main__":
    unittest.main()
