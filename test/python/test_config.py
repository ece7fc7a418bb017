"""Configurations: both versions' forms, transformers' defaults, the canonical hash, and what is refused."""

import copy
import hashlib
import json
import unittest
import unittest.mock

from random_models import CONFIGS, config_dict
from sam3_tracker_export.config import GraphConfig, canonical_json
from sam3_tracker_export.errors import ExportError
from sam3_tracker_export.reference import declare_torchvision_operators


class DefaultsTest(unittest.TestCase):
    def test_an_empty_configuration_is_transformers_default(self):
        declare_torchvision_operators()
        from transformers import Sam3TrackerConfig

        written = json.loads(Sam3TrackerConfig().to_json_string(use_diff=False))
        self.assertEqual(GraphConfig.from_json({}), GraphConfig.from_json(written))

    def test_null_is_the_default(self):
        config = config_dict("default-like")
        config["mask_decoder_config"]["num_multimask_outputs"] = None
        self.assertEqual(GraphConfig.from_json(config).mask_decoder.num_multimask_outputs, 3)


#: What transformers reads and no graph depends on: dropout and drawing of weights, which play no part once they are
#: there; the thresholds of the choice of masks, which the addon applies; the width of the random positional embedding,
#: which is a weight.
READ_ELSEWHERE = {
    "attention_dropout",
    "hidden_dropout",
    "initializer_range",
    "dynamic_multimask_via_stability",
    "dynamic_multimask_stability_delta",
    "dynamic_multimask_stability_thresh",
    "scale",
}


class FieldsTest(unittest.TestCase):
    def test_the_fields_that_shape_graphs_are_those_that_transformers_reads(self):
        declare_torchvision_operators()
        import torch
        from transformers import PreTrainedConfig, Sam3TrackerConfig, Sam3TrackerModel

        given = config_dict("relu-two-scales")
        config = Sam3TrackerConfig(**given)
        vision = config.vision_config
        sections = [vision.backbone_config, vision, config.prompt_encoder_config, config.mask_decoder_config]
        reads = {type(section): set() for section in sections}
        for kind, names in reads.items():

            def get(section, name, original=kind.__getattribute__, names=names):
                names.add(name)
                return original(section, name)

            patch = unittest.mock.patch.object(kind, "__getattribute__", get)
            patch.start()
            self.addCleanup(patch.stop)
        model = Sam3TrackerModel(config).eval()
        side = given["prompt_encoder_config"]["image_size"]
        with torch.inference_mode():
            for multimask_output in (False, True):
                model(
                    pixel_values=torch.zeros(1, 3, side, side),
                    input_points=torch.ones(1, 1, 2, 2),
                    input_labels=torch.ones(1, 1, 2, dtype=torch.int),
                    input_boxes=torch.tensor([[[1.0, 2.0, 9.0, 9.0]]]),
                    input_masks=torch.zeros(1, 1, 8, 8),
                    multimask_output=multimask_output,
                )
        # to_dict reads every field.
        seen = {kind: set(names) for kind, names in reads.items()}
        # Those that every configuration of transformers has say how to compute, not what.
        general = set(PreTrainedConfig().to_dict()) | set(dir(PreTrainedConfig))
        backbone, neck, prompt, decoder = (
            (seen[type(section)] & set(section.to_dict())) - general - READ_ELSEWHERE for section in sections
        )
        hashed = GraphConfig.from_json(given).to_json()
        # 5.8 reads rope_theta, later versions rope_parameters.
        backbone = {"rope_theta" if name == "rope_parameters" else name for name in backbone}
        self.assertEqual(backbone | neck - {"backbone_config"}, set(hashed["vision"]))
        self.assertEqual(prompt, set(hashed["prompt_encoder"]))
        self.assertEqual(decoder, set(hashed["mask_decoder"]))


class FormsTest(unittest.TestCase):
    def test_rope_parameters_are_rope_theta(self):
        old = config_dict("relu-two-scales")
        new = copy.deepcopy(old)
        backbone = new["vision_config"]["backbone_config"]
        backbone["rope_parameters"] = {"rope_theta": backbone.pop("rope_theta"), "rope_type": "axial"}
        new["prompt_encoder_config"]["model_type"] = "sam3_tracker_prompt_encoder"
        self.assertEqual(GraphConfig.from_json(new), GraphConfig.from_json(old))
        self.assertEqual(GraphConfig.from_json(new).vision.rope_theta, 500.0)

    def test_nested_tracker_config(self):
        tracker = config_dict("three-scales")
        nested = {"model_type": "sam3_video", "tracker_config": {**tracker, "model_type": "sam3_tracker_video"}}
        self.assertEqual(GraphConfig.from_json(nested), GraphConfig.from_json(tracker))

    def test_square_lists(self):
        config = config_dict("three-scales")
        backbone = config["vision_config"]["backbone_config"]
        backbone["image_size"] = [80, 80]
        self.assertEqual(GraphConfig.from_json(config).vision.image_size, 80)

    def test_round_trip_through_the_manifest(self):
        for name in CONFIGS:
            config = GraphConfig.from_json(config_dict(name))
            self.assertEqual(GraphConfig.from_graph_json(json.loads(json.dumps(config.to_json()))), config)


class HashTest(unittest.TestCase):
    def test_numbers_are_written_as_ecmascript_writes_them(self):
        # Left: Python's value; right: what JSON.stringify of Node gives for it.
        table = [
            (0.0, "0"), (-0.0, "0"), (4.0, "4"), (0.5, "0.5"), (10000.0, "10000"), (1e-6, "0.000001"), (1e-7, "1e-7"),
            (1.5e-7, "1.5e-7"), (123.456, "123.456"), (1e20, "100000000000000000000"), (1e21, "1e+21"),
            (1.25e22, "1.25e+22"), (0.1 + 0.2, "0.30000000000000004"), (-2.5e-5, "-0.000025"), (7, "7"),
            (1 / 255, "0.00392156862745098"), (5e-324, "5e-324"), (1.7976931348623157e308, "1.7976931348623157e+308"),
        ]  # fmt: skip
        for value, text in table:
            self.assertEqual(canonical_json(value), text)

    def test_canonical_form(self):
        self.assertEqual(canonical_json({"b": [1.0, None, True], "a": {"z": "é"}}), '{"a":{"z":"é"},"b":[1,null,true]}')

    def test_hash_is_of_the_canonical_json(self):
        config = GraphConfig.from_json(config_dict("default-like"))
        expected = hashlib.sha256(canonical_json(config.to_json()).encode()).hexdigest()
        self.assertEqual(config.hash(), expected)
        self.assertEqual(len({GraphConfig.from_json(config_dict(name)).hash() for name in CONFIGS}), len(CONFIGS))

    def test_what_does_not_shape_the_graphs_is_not_hashed(self):
        config = config_dict("default-like")
        before = GraphConfig.from_json(config).hash()
        config["mask_decoder_config"]["dynamic_multimask_stability_thresh"] = 0.5
        config["initializer_range"] = 0.5
        # The reference reads this field nowhere.
        config["vision_config"]["backbone_config"]["layer_scale_init_value"] = 0.1
        self.assertEqual(GraphConfig.from_json(config).hash(), before)


class RefusalTest(unittest.TestCase):
    def refuse(self, message: str, *path_and_value):
        config = config_dict("default-like")
        *path, last, value = path_and_value
        section = config
        for name in path:
            section = section[name]
        section[last] = value
        with self.assertRaisesRegex(ExportError, message):
            GraphConfig.from_json(config)

    def test_messages(self):
        backbone = ("vision_config", "backbone_config")
        self.refuse(r"image_size is \[112, 98\]; only square", *backbone, "image_size", [112, 98])
        self.refuse("patch_size is 14.5; expected an integer", *backbone, "patch_size", 14.5)
        self.refuse("patch_size is .14, 14.; expected an integer", *backbone, "patch_size", [14, 14])
        self.refuse("hidden_act 'laplace' is not one of gelu", *backbone, "hidden_act", "laplace")
        self.refuse("hidden_act 'prelu' is not one of", "prompt_encoder_config", "hidden_act", "prelu")
        self.refuse("rope_type is 'linear'", *backbone, "rope_parameters", {"rope_type": "linear"})
        self.refuse("multiple of 4 for axial", *backbone, "num_attention_heads", 16)
        self.refuse("hidden_size is 0, and must be positive", *backbone, "hidden_size", 0)
        self.refuse("must be equal", "vision_config", "fpn_hidden_size", 64)
        self.refuse("scale_factors has 3.0", "vision_config", "scale_factors", [3.0, 2.0, 1.0])
        self.refuse("at least 3", "vision_config", "scale_factors", [4.0, 2.0])
        self.refuse("times scale", "vision_config", "backbone_feature_sizes", [[36, 36], [16, 16], [8, 8]])
        self.refuse("names 2 maps", "vision_config", "backbone_feature_sizes", [[32, 32], [16, 16]])
        self.refuse("of the last map", "prompt_encoder_config", "patch_size", 7)
        self.refuse("not a multiple of its 3 heads", "mask_decoder_config", "num_attention_heads", 3)
        self.refuse("multiple of 4", "prompt_encoder_config", "mask_input_channels", 10)
        self.refuse("backbone_config must be an object", "vision_config", "backbone_config", 3)
        self.refuse("model_type 'sam2'", "model_type", "sam2")
        self.refuse("expected a number", "vision_config", "backbone_config", "layer_norm_eps", True)


if __name__ == "__main__":
    unittest.main()
