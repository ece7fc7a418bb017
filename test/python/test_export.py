"""Exports from start to end: forms of checkpoints, the bytes of archives, failures that leave nothing behind."""

import contextlib
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path
from unittest import mock

import torch
from safetensors.torch import load_file, save_file

from random_models import config_dict, random_model, random_weights
from sam3_tracker_export.checkpoint import Checkpoint, canonical_name
from sam3_tracker_export.config import GraphConfig
from sam3_tracker_export.errors import ExportError
from sam3_tracker_export.exporter import ExportOptions, build_graphs, export_model
from sam3_tracker_export.loading import ExportedTracker, load_components
from sam3_tracker_export.reference import reference_model

torch.set_num_threads(1)
SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
NAME = "three-scales"


def hub_name(name: str) -> str:
    """A plain module name in the hub's spelling of a sam3_video checkpoint."""
    if name.startswith("vision_encoder.backbone."):
        return f"detector_model.{name}"
    if name.startswith("vision_encoder.neck."):
        return name.replace("vision_encoder.neck.", "tracker_neck.")
    return f"tracker_model.{name}"


def saved_name(name: str) -> str:
    """A plain module name as `save_pretrained` of a tracker writes it since 5.18."""
    hub = hub_name(name)
    return hub if hub.startswith("tracker_model.") else f"tracker_model.{hub}"


def write_checkpoint(folder: Path, weights: dict, config: dict, shards: int = 1) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    names = sorted(weights)
    weight_map = {}
    for shard in range(shards):
        file = "model.safetensors" if shards == 1 else f"model-{shard + 1:05}-of-{shards:05}.safetensors"
        part = {name: weights[name] for name in names[shard::shards]}
        save_file(part, folder / file, metadata={"format": "pt"})
        weight_map.update(dict.fromkeys(part, file))
    if shards > 1:
        (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


class ExportCase(unittest.TestCase):
    """Gives each test a folder, and exports quietly, from graphs that are built once."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.graphs = Path(folder.name, "graphs")
        with contextlib.redirect_stdout(io.StringIO()):
            cls.shapes = build_graphs(cls.graphs, GraphConfig.from_json(config_dict(NAME)))

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.checkpoint = self.folder / "checkpoint"
        self.out = self.folder / "models" / "model"
        self.config = config_dict(NAME)
        self.weights = random_weights(NAME, 5)

    def export(self, **options) -> str:
        output = io.StringIO()
        with (
            mock.patch("sam3_tracker_export.exporter.build_graphs", self.copy_graphs),
            contextlib.redirect_stdout(output),
        ):
            export_model(
                ExportOptions(**{"out": self.out, "checkpoint": str(self.checkpoint), "verify": "none", **options})
            )
        return output.getvalue()

    def copy_graphs(self, folder: Path, config: GraphConfig) -> dict:
        self.assertEqual(config, GraphConfig.from_json(config_dict(NAME)))
        shutil.copytree(self.graphs, folder)
        return self.shapes

    def assert_nothing_written(self):
        left = list(self.out.parent.iterdir()) if self.out.parent.exists() else []
        self.assertEqual(left, [])


class CheckpointFormsTest(ExportCase):
    def test_a_tracker_checkpoint_verified(self):
        write_checkpoint(self.checkpoint, self.weights, self.config)
        output = self.export(verify="full")
        self.assertIn("40 cases agree", output)
        written = load_file(self.out / "model.safetensors")
        self.assertEqual(set(written), set(self.weights))
        self.assertTrue(all(torch.equal(written[name], self.weights[name]) for name in written))
        self.assertEqual(json.loads((self.out / "config.json").read_text()), self.config)
        preprocessor = json.loads((self.out / "preprocessor_config.json").read_text())
        self.assertEqual(preprocessor["size"], {"height": 80, "width": 80})
        self.assertEqual(preprocessor["mask_size"], {"height": 32, "width": 32})
        self.check_manifest()

    def check_manifest(self):
        manifest = json.loads((self.out / "torchscript" / "manifest.json").read_text())
        config = GraphConfig.from_json(self.config)
        self.assertEqual(manifest["format_version"], 3)
        self.assertEqual(manifest["config_hash"], config.hash())
        self.assertEqual(GraphConfig.from_graph_json(manifest["graph_config"]), config)
        self.assertEqual(manifest["torch_version"], torch.__version__.partition("+")[0])
        self.assertEqual(sorted(manifest["files"]), ["mask_decoder.pt", "prompt_encoder.pt", "vision_encoder.pt"])
        names = set()
        for name, component in manifest["components"].items():
            data = (self.out / "torchscript" / f"{name}.pt").read_bytes()
            entry = manifest["files"][f"{name}.pt"]
            self.assertEqual(entry, {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)})
            for parameter, shape in component["parameters"].items():
                self.assertEqual(shape, list(self.weights[parameter].shape))
                names.add(parameter)
        self.assertEqual(names, set(self.weights))
        methods = [method["name"] for method in manifest["components"]["prompt_encoder"]["methods"]]
        self.assertIn("embed_points_and_boxes", methods)

    def test_what_save_pretrained_writes(self):
        random_model(NAME, 5).save_pretrained(self.checkpoint)
        self.export()
        written = load_file(self.out / "model.safetensors")
        self.assertEqual(set(written), set(self.weights))
        self.assertTrue(all(torch.equal(written[name], self.weights[name]) for name in written))

    def test_a_sharded_video_checkpoint_as_on_the_hub(self):
        weights = {hub_name(name): tensor for name, tensor in self.weights.items()}
        # The detector's own neck, which would load without an error, and parts of the video tracker.
        for name in [name for name in weights if name.startswith("tracker_neck.")]:
            decoy = name.replace("tracker_neck.", "detector_model.vision_encoder.neck.")
            weights[decoy] = torch.zeros_like(weights[name])
        weights["tracker_model.memory_attention.layers.0.weight"] = torch.ones(3)
        weights["tracker_model.no_memory_positional_encoding"] = torch.ones(1, 1, 8)
        config = {
            "model_type": "sam3_video",
            "architectures": ["Sam3VideoModel"],
            "dtype": "float32",
            "tracker_config": {**self.config, "model_type": "sam3_tracker_video", "num_maskmem": 7},
        }
        write_checkpoint(self.checkpoint, weights, config, shards=3)
        (self.checkpoint / "processor_config.json").write_text(
            json.dumps(
                {"processor_class": "Sam3VideoProcessor", "image_processor": {"size": {"height": 80, "width": 80}}}
            )
        )
        self.assertNotIn("Left out", self.export(verify="quick"))
        written = load_file(self.out / "model.safetensors")
        self.assertEqual(set(written), set(self.weights))
        self.assertTrue(all(torch.equal(written[name], self.weights[name]) for name in written))
        exported_config = json.loads((self.out / "config.json").read_text())
        self.assertEqual(exported_config["model_type"], "sam3_tracker")
        self.assertEqual(GraphConfig.from_json(exported_config), GraphConfig.from_json(config))
        self.assertEqual(json.loads((self.out / "preprocessor_config.json").read_text())["size"]["height"], 80)
        self.assertFalse((self.out / "processor_config.json").exists())
        # transformers itself reads both directories, and finds the same model in them.
        from transformers import Sam3TrackerModel
        from transformers.utils import logging

        # It says that sam3_video is another model_type than sam3_tracker.
        verbosity = logging.get_verbosity()
        logging.set_verbosity_error()
        self.addCleanup(logging.set_verbosity, verbosity)
        for folder in (self.checkpoint, self.out):
            state = Sam3TrackerModel.from_pretrained(folder).state_dict()
            self.assertTrue(all(torch.equal(state[name], self.weights[name]) for name in self.weights))

    def test_names(self):
        for name in self.weights:
            for spelling in (name, hub_name(name), saved_name(name)):
                self.assertEqual(canonical_name(spelling), name)
        neck = "detector_model.vision_encoder.neck.fpn_layers.0.proj1.weight"
        self.assertEqual(canonical_name(neck), neck)

    def test_dtypes_and_weights_in_the_graphs(self):
        write_checkpoint(self.checkpoint, self.weights, self.config)
        self.export(weights_dtype="bfloat16")
        half = load_file(self.out / "model.safetensors")
        self.assertEqual({tensor.dtype for tensor in half.values()}, {torch.bfloat16})
        self.assertEqual(json.loads((self.out / "config.json").read_text())["dtype"], "bfloat16")
        graphs = {file.name: file.read_bytes() for file in (self.out / "torchscript").glob("*.pt")}

        (self.out / "README.md").write_text("kept")
        output = self.export(with_weights=True, verify="quick")
        self.assertIn("cases agree", output)
        self.assertFalse((self.out / "model.safetensors").exists())
        self.assertEqual((self.out / "README.md").read_text(), "kept")
        for component in load_components(self.out / "torchscript").values():
            for name, tensor in [*component.named_parameters(), *component.named_buffers()]:
                self.assertTrue(torch.equal(tensor, self.weights[name]))
        self.assertNotEqual(graphs, {file.name: file.read_bytes() for file in (self.out / "torchscript").glob("*.pt")})

    def test_graphs_of_a_configuration_alone(self):
        file = self.folder / "config.json"
        file.write_text(json.dumps(self.config))
        self.export(checkpoint=None, config_only=file)
        self.assertFalse((self.out / "model.safetensors").exists())
        exported = ExportedTracker(self.out / "torchscript", self.weights)
        reference = reference_model(self.config, self.weights)
        with torch.no_grad():
            positions = exported.prompt_encoder.image_wide_positional_embeddings()
            self.assertTrue(torch.equal(positions, reference.get_image_wide_positional_embeddings()))


class ArchiveTest(unittest.TestCase):
    def test_same_bytes_from_any_folder_and_hash_seed(self):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "graph.json")
            file.write_text(json.dumps(GraphConfig.from_json(config_dict("relu-two-scales")).to_json()))
            results = []
            for seed in ("1", "2"):
                target = Path(folder, f"out{seed}")
                target.mkdir()
                environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(SCRIPTS)}
                command = [sys.executable, "-m", "sam3_tracker_export.graphs", str(file), str(target)]
                subprocess.run(command, cwd=target, env=environment, check=True)
                results.append({entry.name: entry.read_bytes() for entry in target.iterdir()})
            self.assertTrue(results[0] == results[1], "archives differ")
            for name, data in results[0].items():
                self.check_archive(name, data)

    def check_archive(self, name: str, data: bytes):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for entry in archive.infolist():
                self.assertEqual(entry.date_time, (1980, 1, 1, 0, 0, 0))
                self.assertNotRegex(entry.filename, r"debug_pkl|traced_inputs|serialization_id|constants/")
                content = archive.read(entry)
                self.assertNotIn(str(SCRIPTS).encode(), content, f"{name}: {entry.filename}")
                self.assertNotIn(b"site-packages", content, f"{name}: {entry.filename}")


class FailureTest(ExportCase):
    def test_missing_weights_are_named(self):
        missing = ["mask_decoder.iou_token.weight", "vision_encoder.neck.fpn_layers.0.proj1.bias"]
        weights = {hub_name(name): tensor for name, tensor in self.weights.items() if name not in missing}
        write_checkpoint(self.checkpoint, weights, self.config)
        with self.assertRaisesRegex(ExportError, "misses 2 of") as caught:
            self.export()
        for name in missing:
            self.assertIn(name, str(caught.exception))
        self.assert_nothing_written()

    def test_wrong_shapes_and_duplicates(self):
        name = "mask_decoder.iou_token.weight"
        write_checkpoint(self.checkpoint, {**self.weights, name: torch.zeros(2, 40)}, self.config)
        with self.assertRaisesRegex(ExportError, r"iou_token.weight: \[2, 40\], expected \[1, 40\]"):
            self.export()
        write_checkpoint(self.checkpoint, {**self.weights, hub_name(name): self.weights[name].clone()}, self.config)
        with self.assertRaisesRegex(ExportError, "are the same weight"):
            self.export()
        self.assert_nothing_written()

    def test_damaged_weights_are_named(self):
        for shards, name in ((1, "model.safetensors"), (3, "model-00002-of-00003.safetensors")):
            write_checkpoint(self.checkpoint, self.weights, self.config, shards)
            file = self.checkpoint / name
            whole = file.read_bytes()
            for data in (whole[:-100], whole[:100], b"", b"\xff" * 64):
                file.write_bytes(data)
                with self.assertRaisesRegex(ExportError, "cannot be read as safetensors") as caught:
                    self.export()
                self.assertIn(str(file), str(caught.exception))
            self.assert_nothing_written()

    def test_unknown_tensors_are_reported(self):
        write_checkpoint(self.checkpoint, {**self.weights, "lm_head.weight": torch.ones(2)}, self.config)
        self.assertIn("Left out 1 tensors that are not the tracker's: lm_head.weight", self.export())

    def test_a_failed_verification_leaves_an_earlier_export_alone(self):
        write_checkpoint(self.checkpoint, self.weights, self.config)
        self.export()
        before = {file: file.read_bytes() for file in self.out.rglob("*") if file.is_file()}
        with (
            mock.patch("sam3_tracker_export.exporter.verify", side_effect=ExportError("differs")),
            self.assertRaisesRegex(ExportError, "differs"),
        ):
            self.export(verify="full", weights_dtype="float16")
        self.assertEqual(before, {file: file.read_bytes() for file in self.out.rglob("*") if file.is_file()})
        self.assertEqual(list(self.out.parent.iterdir()), [self.out])

    def test_a_strange_target_is_not_overwritten(self):
        write_checkpoint(self.checkpoint, self.weights, self.config)
        self.out.mkdir(parents=True)
        (self.out / "thesis.txt").write_text("mine")
        with self.assertRaisesRegex(ExportError, "not an earlier export"):
            self.export()
        self.assertEqual((self.out / "thesis.txt").read_text(), "mine")

    def test_no_checkpoint(self):
        with self.assertRaisesRegex(ExportError, "no such directory"):
            self.export(checkpoint="./nowhere/at/all")
        self.checkpoint.mkdir()
        with self.assertRaisesRegex(ExportError, "config.json does not exist"):
            Checkpoint.open(str(self.checkpoint))
        (self.checkpoint / "config.json").write_text("{")
        with self.assertRaisesRegex(ExportError, "is not JSON"):
            Checkpoint.open(str(self.checkpoint))
        self.assert_nothing_written()

    def test_command_line(self):
        script = str(SCRIPTS / "export_model.py")
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(self.folder / "hf")}
        for arguments, status, message in (
            (["--checkpoint", "someone/nothing", "--out", str(self.out)], 1, "the hub did not give it"),
            (["--out", str(self.out)], 2, "one of the arguments --checkpoint --config-only is required"),
            (["--config-only", "x.json", "--with-weights", "--out", str(self.out)], 2, "needs the weights"),
        ):
            result = subprocess.run(
                [sys.executable, script, *arguments], env=environment, capture_output=True, text=True
            )
            self.assertEqual(result.returncode, status, result.stderr)
            self.assertIn(message, result.stderr)
            self.assertNotIn("Traceback", result.stderr)
        self.assert_nothing_written()


if __name__ == "__main__":
    unittest.main()
