"""The graphs in models/ are what the exporter gives for their configurations, and a file that is not is found."""

import contextlib
import importlib.metadata
import io
import json
import shutil
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

import make_graphs


class CommittedGraphsTest(unittest.TestCase):
    def test_they_are_what_the_exporter_gives(self):
        models = sorted(file.parent for file in make_graphs.MODELS.glob("*/config.json"))
        self.assertEqual([model.name for model in models], ["sam3", "sam3-tracker-tiny"])
        with contextlib.redirect_stdout(io.StringIO()):
            for model in models:
                self.assertEqual(make_graphs.stale_files(model), [])

    def test_they_are_small(self):
        files = [file for file in make_graphs.MODELS.glob("*/torchscript/*") if file.is_file()]
        self.assertEqual(len(files), 8)
        self.assertLess(sum(file.stat().st_size for file in files), 1_000_000)


class CommandTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.models = Path(folder.name, "models")
        self.model = self.models / "sam3-tracker-tiny"
        shutil.copytree(make_graphs.MODELS / self.model.name, self.model)
        self.before = self.read()
        patch = mock.patch.object(make_graphs, "MODELS", self.models)
        patch.start()
        self.addCleanup(patch.stop)

    def read(self) -> dict:
        return {file: file.read_bytes() for file in self.models.rglob("*") if file.is_file()}

    def run_command(self, *arguments: str) -> tuple:
        errors = io.StringIO()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors):
            return make_graphs.main([*arguments]), errors.getvalue()

    def test_stale_files_are_named_and_made_again(self):
        torchscript = self.model / "torchscript"
        (torchscript / "mask_decoder.pt").write_bytes(b"another")
        (torchscript / "prompt_encoder.pt").unlink()
        manifest = torchscript / "manifest.json"
        manifest.write_text(manifest.read_text().replace('"holds_weights": false', '"holds_weights": true'))
        status, errors = self.run_command("--check")
        self.assertEqual(status, 1)
        for name in ("mask_decoder.pt", "prompt_encoder.pt", "manifest.json"):
            self.assertIn(f"{name} is not what the exporter gives", errors)
        self.assertNotIn("vision_encoder.pt", errors)
        self.assertEqual(self.run_command(), (0, ""))
        made, before = self.read(), self.before
        # The manifest names the transformers that judged; nothing else may depend on it.
        manifests = [json.loads(files.pop(manifest)) for files in (made, before)]
        self.assertEqual(manifests[0]["made_with"].pop("transformers"), importlib.metadata.version("transformers"))
        manifests[1]["made_with"].pop("transformers")
        self.assertEqual(*manifests)
        self.assertEqual(sorted(made), sorted(before))
        self.assertEqual([file.name for file, content in made.items() if content != before[file]], [])

    def test_a_configuration_that_no_graph_can_be_made_for(self):
        (self.model / "config.json").write_text('{"model_type": "sam2"}')
        status, errors = self.run_command()
        self.assertEqual(status, 1)
        self.assertIn("model_type 'sam2'", errors)


if __name__ == "__main__":
    unittest.main()
