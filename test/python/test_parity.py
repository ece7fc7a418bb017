"""The exported components give transformers' numbers, on random models of every shape."""

import tempfile
import unittest
import warnings
from pathlib import Path
from unittest import mock

import torch

from random_models import CONFIGS, config_dict, random_model, random_weights
from sam3_tracker_export.cases import prompt_cases
from sam3_tracker_export.config import GraphConfig
from sam3_tracker_export.errors import ExportError
from sam3_tracker_export.graphs import archive_bytes, build_components, script_without_weights
from sam3_tracker_export.loading import ExportedTracker
from sam3_tracker_export.reference import has_rope_parameters, reference_model
from sam3_tracker_export.verify import TOLERANCE, run_reference, verify

torch.set_num_threads(1)


def write_graphs(name: str, folder: Path) -> GraphConfig:
    """The three archives of a named configuration, built in this process."""
    config = GraphConfig.from_json(config_dict(name))
    for component, module in build_components(config).items():
        (folder / f"{component}.pt").write_bytes(archive_bytes(script_without_weights(module)))
    return config


class ParityTest(unittest.TestCase):
    def test_every_path_agrees_in_float32(self):
        for seed, name in enumerate(CONFIGS):
            with self.subTest(name), tempfile.TemporaryDirectory() as folder:
                config = write_graphs(name, Path(folder))
                weights = random_weights(name, seed)
                differences = verify(Path(folder), config_dict(name), config, weights, True, report=lambda line: None)
                self.assertEqual(len(differences), 2 * (3 + 17))
                self.assertLessEqual(max(difference.relative for difference in differences), TOLERANCE)

    def test_wrong_weights_are_noticed(self):
        # A verification that no weight could fail would prove nothing.
        name = "three-scales"
        weights = random_weights(name)
        with tempfile.TemporaryDirectory() as folder:
            config = write_graphs(name, Path(folder))
            for changed in (
                "no_memory_embedding",
                "mask_decoder.iou_token.weight",
                "prompt_encoder.point_embed.weight",
            ):
                other = reference_model(config_dict(name), {**weights, changed: weights[changed] + 1e-3})
                with (
                    self.subTest(changed),
                    mock.patch("sam3_tracker_export.verify.reference_model", return_value=other),
                    self.assertRaisesRegex(ExportError, "differs from transformers"),
                ):
                    verify(Path(folder), config_dict(name), config, weights, False, report=lambda line: None)

    def test_quick_covers_eager_attention_and_bfloat16(self):
        for seed, name in enumerate(CONFIGS):
            with self.subTest(name), tempfile.TemporaryDirectory() as folder:
                config = write_graphs(name, Path(folder))
                weights = random_weights(name, seed)
                lines = []
                differences = verify(Path(folder), config_dict(name), config, weights, False, report=lines.append)
                # One encoding, embeddings from it, every prompt case, and two of them again in eager attention.
                self.assertEqual(len(differences), 2 + 17 + 2)
                self.assertLessEqual(max(difference.relative for difference in differences), TOLERANCE)
                half = [line for line in lines if "bfloat16" in line]
                self.assertEqual(len(half), 2 * 3)
                for line in half:
                    self.assertRegex(line, r"bfloat16, (sdpa|eager) attention, .*; 0 apart at most")
                self.assertEqual({weight.dtype for weight in weights.values()}, {torch.float32})

    def test_quick_notices_a_wrong_eager_or_bfloat16_decoder(self):
        name = "three-scales"
        decode = ExportedTracker.decode
        with tempfile.TemporaryDirectory() as folder:
            config = write_graphs(name, Path(folder))
            weights = random_weights(name)

            def run(wrong) -> None:
                def changed(self, embeddings, sparse, dense, similarity=None, target=None, method="decode"):
                    outputs = decode(self, embeddings, sparse, dense, similarity, target, method)
                    return wrong(outputs, method, embeddings[0].dtype)

                with mock.patch.object(ExportedTracker, "decode", changed):
                    verify(Path(folder), config_dict(name), config, weights, False, report=lambda line: None)

            def wrong_eager(outputs, method, dtype):
                return (
                    [value + 0.01 for value in outputs[:3]] + list(outputs[3:]) if method == "decode_eager" else outputs
                )

            def wrong_half(method):
                def wrong(outputs, used, dtype):
                    is_meant = used == method and dtype == torch.bfloat16
                    return [value * 1.1 for value in outputs] if is_meant else outputs

                return wrong

            def upcast(outputs, method, dtype):
                return [value.float() for value in outputs] if dtype == torch.bfloat16 else outputs

            with self.assertRaisesRegex(ExportError, "differs from transformers"):
                run(wrong_eager)
            for method, attention in (("decode", "sdpa"), ("decode_eager", "eager")):
                message = f"In bfloat16, {attention} attention, the masks are further from float32"
                with self.subTest(method), self.assertRaisesRegex(ExportError, message):
                    run(wrong_half(method))
            with self.assertRaisesRegex(ExportError, "the masks are torch.float32, transformers' torch.bfloat16"):
                run(upcast)

    def test_a_wrong_order_of_operations_is_noticed(self):
        # The measure is float64, which must not make room for more than rounding.
        name = "three-scales"
        prepared = ExportedTracker.decode_prepared
        with tempfile.TemporaryDirectory() as folder:
            config = write_graphs(name, Path(folder))

            def changed(self, embeddings, sparse, dense):
                masks, *scores = prepared(self, embeddings, sparse, dense)
                return (masks + 1e-4 * masks.abs().max(), *scores)

            with (
                mock.patch.object(ExportedTracker, "decode_prepared", changed),
                self.assertRaisesRegex(ExportError, "masks, prepared"),
            ):
                verify(Path(folder), config_dict(name), config, random_weights(name), False, report=lambda line: None)

    def test_models_that_magnify_rounding_are_measured_against_float64(self):
        name = "three-scales"
        with tempfile.TemporaryDirectory() as folder:
            config = write_graphs(name, Path(folder))
            weights = random_weights(name)
            # Saturated attention: transformers' own float32 is far from float64.
            for key, weight in weights.items():
                if key.startswith("mask_decoder") and key.endswith(("q_proj.weight", "k_proj.weight")):
                    weights[key] = 8 * weight
            lines = []
            differences = verify(Path(folder), config_dict(name), config, weights, False, report=lines.append)
            self.assertGreater(max(difference.relative for difference in differences), TOLERANCE)
            self.assertGreater(max(difference.allowed for difference in differences), TOLERANCE)

    def test_half_precision_is_that_of_transformers(self):
        for dtype in (torch.bfloat16, torch.float16):
            for name in CONFIGS:
                with self.subTest(name, dtype=dtype), tempfile.TemporaryDirectory() as folder:
                    config = write_graphs(name, Path(folder))
                    self.check_half(name, config, Path(folder), dtype)

    def check_half(self, name: str, config: GraphConfig, folder: Path, dtype: torch.dtype):
        generator = torch.Generator().manual_seed(3)
        pixels = torch.randn(2, 3, config.vision.image_size, config.vision.image_size, generator=generator)
        exact = random_model(name)
        reference = random_model(name, dtype=dtype)
        exported = ExportedTracker(folder, dict(reference.state_dict()))
        with torch.no_grad(), torch.jit.optimized_execution(False):
            best = exact.get_image_embeddings(pixels)
            theirs = reference.get_image_embeddings(pixels)
            ours = exported.vision_encoder.get_image_embeddings(pixels)
            # Later versions round the positions of their rotary tables to the model's dtype.
            same = not has_rope_parameters()
            for one, other, true in zip(ours, theirs, best, strict=True):
                self.assertEqual(one.dtype, dtype)
                if same:
                    self.assertTrue(torch.equal(one, other))
                error, reference_error = ((value.float() - true).square().mean() for value in (one, other))
                self.assertLessEqual(error, 1.2 * reference_error)
            for case in prompt_cases(config, generator)[:12]:
                if case.batch_size > 2 or case.masks is not None:
                    continue
                inputs = [embedding[: case.batch_size] for embedding in theirs]
                expected = run_reference(reference, inputs, case)
                prompts = exported.embed_prompts(case.batch_size, case.points, case.labels, case.boxes, case.masks)
                for one, other in zip(exported.decode(inputs, *prompts), expected[:3], strict=True):
                    self.assertTrue(torch.equal(one, other), case.name)


class WarningTest(unittest.TestCase):
    def test_only_the_deprecation_of_torchscript_is_silenced(self):
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            write_graphs("three-scales", Path(folder))
            warnings.warn("`torch.jit.script` is deprecated", UserWarning, stacklevel=1)
            warnings.warn("something else is deprecated", DeprecationWarning, stacklevel=1)
        self.assertEqual(len(caught), 2)


if __name__ == "__main__":
    unittest.main()
