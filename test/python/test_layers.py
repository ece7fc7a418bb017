"""Parts that must agree bit for bit: activations, rotary tables, and configurations at the edge of what is allowed."""

import tempfile
import unittest
from pathlib import Path

import torch

from random_models import CONFIGS, config_dict, random_weights
from sam3_tracker_export.config import GraphConfig
from sam3_tracker_export.graphs import archive_bytes, build_components, script_without_weights
from sam3_tracker_export.layers import ACTIVATIONS
from sam3_tracker_export.reference import declare_torchvision_operators, has_rope_parameters
from sam3_tracker_export.verify import verify
from sam3_tracker_export.vision_backbone import axial_rotary_table

torch.set_num_threads(1)
declare_torchvision_operators()


def reference_table(backbone: dict, window_size: int) -> tuple:
    """Cosines and sines of one layer as the installed transformers computes them: each (positions, head_dim)."""
    from transformers.models.sam3.configuration_sam3 import Sam3ViTConfig
    from transformers.models.sam3.modeling_sam3 import Sam3ViTLayer

    values = dict(backbone)
    theta = values.pop("rope_theta")
    if has_rope_parameters():
        values["rope_parameters"] = {"rope_theta": theta, "rope_type": "axial"}
    else:
        values["rope_theta"] = theta
    layer = Sam3ViTLayer(Sam3ViTConfig(**values), window_size=window_size)
    if has_rope_parameters():
        return tuple(table[0] for table in layer.rotary_emb(torch.zeros(1), layer.position_ids))
    return layer.rotary_emb()


class TablesTest(unittest.TestCase):
    def test_rotary_tables_are_transformers_bits(self):
        full_size = {"hidden_size": 1024, "num_attention_heads": 16, "rope_theta": 10000.0, "intermediate_size": 8}
        backbones = [config_dict(name)["vision_config"]["backbone_config"] for name in CONFIGS]
        for backbone in [*backbones, {**full_size, "image_size": 1008, "patch_size": 14, "window_size": 24}]:
            head_dim = backbone["hidden_size"] // backbone["num_attention_heads"]
            window, grid = backbone["window_size"], backbone["image_size"] // backbone["patch_size"]
            for size, scale, window_size in ((window, 1.0, window), (grid, window / grid, 0)):
                expected = reference_table(backbone, window_size)
                tables = axial_rotary_table(torch.zeros(1), size, head_dim, backbone["rope_theta"], scale)
                for ours, theirs in zip(tables, expected, strict=True):
                    self.assertEqual(ours.dtype, torch.float32)
                    self.assertTrue(torch.equal(ours, theirs), f"{size} x {size}")


class ActivationsTest(unittest.TestCase):
    def test_activations_are_transformers(self):
        from transformers.activations import ACT2FN

        values = torch.linspace(-8, 8, 1001)
        for name, kind in ACTIVATIONS.items():
            for dtype in (torch.float32, torch.bfloat16):
                self.assertTrue(torch.equal(kind()(values.to(dtype)), ACT2FN[name](values.to(dtype))), name)


class EdgeConfigurationsTest(unittest.TestCase):
    def check(self, config: dict):
        graph_config = GraphConfig.from_json(config)
        with tempfile.TemporaryDirectory() as folder:
            for name, module in build_components(graph_config).items():
                Path(folder, f"{name}.pt").write_bytes(archive_bytes(script_without_weights(module)))
            differences = verify(
                Path(folder), config, graph_config, random_weights(config), False, report=lambda line: None
            )
        # The prepared decoder adds in an order of its own; everything else is transformers' to the bit.
        own_order = [difference for difference in differences if difference.output.endswith(", prepared")]
        others = [difference for difference in differences if not difference.output.endswith(", prepared")]
        self.assertEqual(max(difference.largest for difference in others), 0)
        self.assertLess(max(difference.relative for difference in own_order), 1e-5)

    def test_no_windows_four_channels_other_activations(self):
        config = config_dict("default-like")
        config["vision_config"]["backbone_config"].update(
            window_size=0, global_attn_indexes=[], num_channels=4, hidden_act="silu", layer_scale_init_value=0.1
        )
        config["prompt_encoder_config"].update(hidden_act="gelu_pytorch_tanh", scale=2)
        self.check(config)

    def test_windows_only_and_larger_than_the_grid(self):
        config = config_dict("three-scales")
        config["vision_config"]["backbone_config"].update(window_size=11, global_attn_indexes=[], num_hidden_layers=1)
        config["mask_decoder_config"].update(num_multimask_outputs=1, iou_head_depth=1)
        self.check(config)


if __name__ == "__main__":
    unittest.main()
