"""transformers' own model, the judge of every export."""

import importlib.metadata
import importlib.util
from pathlib import Path
from typing import Dict, Optional

import torch
from torch import Tensor

from . import interruption
from .config import tracker_config
from .errors import ExportError

_declared: Optional[torch.library.Library] = None


def transformers_version() -> Optional[str]:
    """The installed version of transformers, None without one."""
    try:
        return importlib.metadata.version("transformers")
    except importlib.metadata.PackageNotFoundError:
        return None


def declare_torchvision_operators() -> Optional[torch.library.Library]:
    """Lets torchvision import beside a torch whose device it was not compiled for.

    transformers imports torchvision for Python code alone, and that import fails where its compiled operators do not
    load and no schema of them is known. Returns what holds the schemas, None where the compiled operators do load:
    declaring what they declare ends the process.
    """
    global _declared
    if _declared is None and not _has_compiled_operators():
        _declared = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            _declared.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return _declared


def _has_compiled_operators() -> bool:
    if hasattr(torch.ops.torchvision, "nms"):
        return True
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return False
    try:
        # As torchvision itself does at its import, which finds them loaded then.
        for library in Path(spec.origin).parent.glob("_C*.so"):
            torch.ops.load_library(str(library))
    except OSError:
        return False
    return hasattr(torch.ops.torchvision, "nms")


def reference_model(config: dict, weights: Dict[str, Tensor], attention: str = "sdpa") -> torch.nn.Module:
    """`Sam3TrackerModel` of `config` (a tracker's, or a sam3_video one) holding `weights` themselves, not copies.

    `weights` have plain module names and one dtype. Raises ExportError if transformers is not there.
    """
    declare_torchvision_operators()
    try:
        from transformers import Sam3TrackerConfig, Sam3TrackerModel
        from transformers.utils.logging import disable_progress_bar
    except ImportError as error:
        interruption.raise_if_interrupted()
        raise ExportError(
            f"Verification compares with transformers, which does not import ({error}). "
            "Install scripts/requirements.txt, or pass --verify none."
        ) from error
    disable_progress_bar()
    dtype = next(iter(weights.values())).dtype
    # Without memory for random weights, which would be drawn only to be replaced; the rotary tables of the layers are
    # no weights and are computed by transformers itself, as from_pretrained does it.
    configuration = Sam3TrackerConfig(**_in_this_versions_form(config))
    configuration._attn_implementation = attention
    model = Sam3TrackerModel.from_pretrained(None, config=configuration, state_dict=dict(weights), dtype=dtype)
    return model.eval()


def has_rope_parameters() -> bool:
    """Whether the installed transformers reads `rope_parameters`, and computes rotary tables as it runs."""
    from transformers.models.sam3.configuration_sam3 import Sam3ViTConfig

    return hasattr(Sam3ViTConfig, "default_rope_type")


def _in_this_versions_form(config: dict) -> dict:
    """The configuration with the rotary base under the name that the installed transformers reads."""
    config = {name: value for name, value in tracker_config(config).items() if name != "model_type"}
    vision = dict(config.get("vision_config") or {})
    backbone = dict(vision.get("backbone_config") or {})
    parameters = backbone.pop("rope_parameters", None) or {}
    theta = parameters.get("rope_theta", backbone.pop("rope_theta", None)) or 10000.0
    if has_rope_parameters():
        backbone["rope_parameters"] = {"rope_theta": theta, "rope_type": "axial"}
    else:
        backbone["rope_theta"] = theta
    vision["backbone_config"] = backbone
    return {**config, "vision_config": vision}
