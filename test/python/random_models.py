"""Small SAM3 Tracker models of every shape, with every parameter random, for tests against transformers.

Importing this module makes the exporter's package importable and declares what transformers needs of torchvision.
"""

import copy
import sys
from pathlib import Path
from typing import Dict

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from sam3_tracker_export.config import GraphConfig
from sam3_tracker_export.graphs import build_components, parameter_shapes
from sam3_tracker_export.reference import reference_model


def _config(backbone: dict, fpn: dict, prompt: dict, decoder: dict) -> dict:
    return {
        "model_type": "sam3_tracker",
        "architectures": ["Sam3TrackerModel"],
        "dtype": "float32",
        "initializer_range": 0.02,
        "vision_config": {
            "model_type": "sam3_vision_model",
            "backbone_config": {"model_type": "sam3_vit_model", **backbone},
            **fpn,
        },
        "prompt_encoder_config": prompt,
        "mask_decoder_config": decoder,
    }


#: Configurations by name, as transformers 5.8 writes them.
CONFIGS: Dict[str, dict] = {
    # facebook/sam3 in small: four scales, of which the last is dropped, position embeddings tiled.
    "default-like": _config(
        {
            "hidden_size": 32,
            "intermediate_size": 72,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "image_size": 112,
            "patch_size": 14,
            "window_size": 4,
            "global_attn_indexes": [1, 3],
            "pretrain_image_size": 56,
            "rope_theta": 10000.0,
        },
        {
            "fpn_hidden_size": 32,
            "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]],
            "scale_factors": [4.0, 2.0, 1.0, 0.5],
        },
        {"hidden_size": 32, "image_size": 112, "patch_size": 14},
        {"hidden_size": 32, "mlp_dim": 64, "num_attention_heads": 4, "iou_head_hidden_dim": 32},
    ),
    # ReLU, maps from twice to half the patch grid (the prompt encoder's patch is twice the ViT's), windows that do not
    # divide the grid, another rotary base, three decoder blocks, four masks, no selection by stability.
    "relu-two-scales": _config(
        {
            "hidden_size": 24,
            "intermediate_size": 40,
            "num_hidden_layers": 3,
            "num_attention_heads": 2,
            "image_size": 96,
            "patch_size": 8,
            "hidden_act": "relu",
            "layer_norm_eps": 1e-5,
            "window_size": 5,
            "global_attn_indexes": [2],
            "pretrain_image_size": 40,
            "rope_theta": 500.0,
        },
        {
            "fpn_hidden_size": 24,
            "backbone_feature_sizes": [[24, 24], [12, 12], [6, 6]],
            "scale_factors": [2.0, 1.0, 0.5],
        },
        {
            "hidden_size": 24,
            "image_size": 96,
            "patch_size": 16,
            "hidden_act": "relu",
            "mask_input_channels": 8,
            "num_point_embeddings": 5,
        },
        {
            "hidden_size": 24,
            "hidden_act": "relu",
            "mlp_dim": 40,
            "num_hidden_layers": 3,
            "num_attention_heads": 3,
            "attention_downsample_rate": 1,
            "num_multimask_outputs": 4,
            "iou_head_depth": 4,
            "iou_head_hidden_dim": 20,
            "dynamic_multimask_via_stability": False,
        },
    ),
    # Three scales, where no_memory_embedding counts; the grid of the pretraining is the grid itself.
    "three-scales": _config(
        {
            "hidden_size": 48,
            "intermediate_size": 64,
            "num_hidden_layers": 3,
            "num_attention_heads": 3,
            "image_size": 80,
            "patch_size": 10,
            "window_size": 3,
            "global_attn_indexes": [0],
            "pretrain_image_size": 80,
            "rope_theta": 10000.0,
        },
        {
            "fpn_hidden_size": 40,
            "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]],
            "scale_factors": [4.0, 2.0, 1.0],
        },
        {"hidden_size": 40, "image_size": 80, "patch_size": 10, "mask_input_channels": 12},
        {
            "hidden_size": 40,
            "mlp_dim": 56,
            "num_hidden_layers": 1,
            "num_attention_heads": 5,
            "num_multimask_outputs": 2,
            "iou_head_depth": 2,
            "iou_head_hidden_dim": 16,
        },
    ),
    # Windows of 24 x 24 patches as in the real model, four of them.
    "windows-24": _config(
        {
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 192,
            "patch_size": 4,
            "window_size": 24,
            "global_attn_indexes": [1],
            "pretrain_image_size": 96,
            "rope_theta": 10000.0,
        },
        {
            "fpn_hidden_size": 16,
            "backbone_feature_sizes": [[192, 192], [96, 96], [48, 48]],
            "scale_factors": [4.0, 2.0, 1.0, 0.5],
        },
        {"hidden_size": 16, "image_size": 192, "patch_size": 4},
        {"hidden_size": 16, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 16},
    ),
}


def config_dict(config: str | dict) -> dict:
    """A copy of the configuration of that name, or of the one given."""
    return copy.deepcopy(CONFIGS[config] if isinstance(config, str) else config)


def random_weights(config: str | dict, seed: int = 0, sharp: bool = True) -> Dict[str, Tensor]:
    """Every parameter and persistent buffer under its plain module name, float32, the same for the same seed.

    Normal with standard deviation 0.3 (norms around 1), matrices scaled so that signals keep their size: nothing is 0
    or 1 as after initialisation, so that no term of the computation can go missing unseen. `sharp` leaves those of the
    attention between tokens and image unscaled: it is then far sharper than a trained model's and magnifies every
    difference, which is good for tests; many of its weights are denormal numbers, which is bad for measuring speed.
    """
    shapes: Dict[str, list] = {}
    for component in build_components(GraphConfig.from_json(config_dict(config))).values():
        shapes.update(parameter_shapes(component))
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, shape in sorted(shapes.items()):
        values = torch.randn(shape, generator=generator)
        if name.endswith("positional_embedding"):
            weights[name] = values
        elif "norm" in name and name.endswith("weight"):
            weights[name] = 1 + 0.3 * values
        elif len(shape) > 1 and name.endswith("weight") and not _is_table(name) and not (sharp and "_attn_" in name):
            weights[name] = values * (1.5 / values[0].numel() ** 0.5)
        else:
            weights[name] = 0.3 * values
    return weights


def _is_table(name: str) -> bool:
    return "embed" in name or name.endswith(("_token.weight", "_tokens.weight"))


def random_model(
    config: str | dict = "default-like",
    seed: int = 0,
    attention: str = "sdpa",
    dtype: torch.dtype = torch.float32,
    sharp: bool = True,
) -> torch.nn.Module:
    """transformers' `Sam3TrackerModel` with `random_weights` in `dtype`, in evaluation mode on the CPU.

    `attention` is 'sdpa' or 'eager'; `sharp` is as in `random_weights`.
    """
    weights = {name: tensor.to(dtype) for name, tensor in random_weights(config, seed, sharp).items()}
    return reference_model(config_dict(config), weights, attention)
