"""Runs every exported method on the meta device: a graph with a device or a dtype of its own fails there."""

from math import prod
from pathlib import Path
from typing import Dict, List

import torch

from . import interruption
from .config import GraphConfig
from .errors import ExportError
from .graphs import build_components
from .interface import component_methods
from .loading import bind_weights, load_components

_SIZES = {"batch": 2, "objects": 3, "points": 4}
_TOKENS = 5


def check_on_meta(folder: Path, config: GraphConfig, dtype: torch.dtype = torch.bfloat16) -> int:
    """Runs the graphs in `folder` with weights of `dtype` on the meta device; returns how many methods ran.

    Raises ExportError where a result is of another device, dtype or shape than interface.py says.
    """
    components = load_components(folder)
    blank = build_components(config)
    all_tokens = config.mask_decoder.num_multimask_outputs + 3 + _TOKENS
    sizes = {**_SIZES, "tokens": _TOKENS, "all_tokens": all_tokens, "mask_height": 31, "mask_width": 47}
    findings: List[str] = []
    count = 0
    for name, methods in component_methods(config).items():
        weights = {key: tensor.to(dtype) for key, tensor in blank[name].state_dict().items()}
        with torch.no_grad():
            bind_weights(components[name], weights)
            for method in methods:
                count += 1
                where = f"{name}.{method['name']}"
                try:
                    results = getattr(components[name], method["name"])(*_arguments(config, method, dtype, sizes))
                except RuntimeError as error:
                    # TorchScript turns a KeyboardInterrupt in a meta kernel into one.
                    interruption.raise_if_interrupted()
                    findings.append(f"{where}: {str(error).strip().splitlines()[-1]}")
                    continue
                findings.extend(f"{where}: {finding}" for finding in _compare(results, method["results"], dtype, sizes))
    if findings:
        raise ExportError("The graphs do not run on the meta device:\n  " + "\n  ".join(findings))
    return count


def _arguments(config: GraphConfig, method: dict, dtype: torch.dtype, sizes: Dict[str, int]) -> list:
    positions = prod(config.vision.backbone_feature_sizes[2])
    special: Dict[str, list] = {
        "image_positional_embeddings": [1],
        "dense": [_SIZES["batch"]],
        "attention_similarity": [1, 1, sizes["all_tokens"], positions],
        "target_embedding": [1, 1, sizes["all_tokens"], config.mask_decoder.hidden_size],
    }
    values = []
    for argument in method["arguments"]:
        name, shape = argument["name"], argument["shape"]
        if argument["type"] == "int":
            values.append(0 if name == "block" else sizes["batch"])
            continue
        if name in special:
            shape = special[name] + shape[len(special[name]) :]
        shapes = shape if argument["type"] == "List[Tensor]" else [shape]
        # Pixels and coordinates come in float32 whatever the dtype of the weights.
        kind = {"labels": torch.int64, "pixel_values": torch.float32, "points": torch.float32}.get(name, dtype)
        tensors = [torch.empty([_evaluate(side, sizes) for side in item], dtype=kind, device="meta") for item in shapes]
        values.append(tensors if argument["type"] == "List[Tensor]" else tensors[0])
    return values


def _compare(results: object, expected: List[dict], dtype: torch.dtype, sizes: Dict[str, int]) -> List[str]:
    findings: List[str] = []
    for value, entry in zip([results] if len(expected) == 1 else results, expected, strict=True):
        is_list = entry["type"] == "List[Tensor]"
        tensors, shapes = (value, entry["shape"]) if is_list else ([value], [entry["shape"]])
        if len(tensors) != len(shapes):
            findings.append(f"{entry['name']} has {len(tensors)} tensors instead of {len(shapes)}")
        for tensor, shape in zip(tensors, shapes, strict=False):
            wanted = [_evaluate(side, sizes) for side in shape]
            if list(tensor.shape) != wanted or tensor.dtype != dtype or tensor.device.type != "meta":
                findings.append(
                    f"{entry['name']} is {list(tensor.shape)} {tensor.dtype} on {tensor.device}, "
                    f"expected {wanted} {dtype}"
                )
    return findings


def _evaluate(side: object, sizes: Dict[str, int]) -> int:
    """The value of a dimension of interface.py: a number, a name, or a sum or product of such."""
    if isinstance(side, int):
        return side
    if "+" in side:
        return sum(_evaluate(term, sizes) for term in side.split("+"))
    if "*" in side:
        return prod(_evaluate(factor, sizes) for factor in side.split("*"))
    return int(side) if side.isdigit() else sizes[side]
