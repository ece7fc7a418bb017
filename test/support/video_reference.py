"""A sam3_video checkpoint that transformers itself writes, and the tracker's outputs from it."""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import Sam3TrackerModel, Sam3VideoConfig, Sam3VideoModel
from transformers.utils import logging

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "test" / "python")]

import export_model  # noqa: E402
import random_models  # noqa: E402

# It says that sam3_video is another model_type than sam3_tracker.
logging.set_verbosity_error()


def create(folder: str, dtype: str, shard_size: str, layers: int) -> None:
    """Writes Sam3VideoModel, the tracker in facebook/sam3's shapes with some of its 32 layers, and its graphs.

    The detector beside it keeps its vision encoder's shape and is small otherwise. Every parameter of the tracker is
    random, and so is the detector's own neck.
    """
    config = Sam3VideoConfig()
    for vision in (config.detector_config.vision_config, config.tracker_config.vision_config):
        vision.backbone_config.num_hidden_layers = layers
        vision.backbone_config.global_attn_indexes = [i for i in range(layers) if i % 8 == 7 or i == layers - 1]
    text = config.detector_config.text_config
    text.num_hidden_layers, text.vocab_size = 1, 100
    for name in ("geometry_encoder_config", "detr_encoder_config", "detr_decoder_config"):
        getattr(config.detector_config, name).num_layers = 1
    torch.manual_seed(0)
    model = Sam3VideoModel(config)
    weights = random_models.random_weights(config.tracker_config.to_dict() | {"model_type": "sam3_tracker"}, 5)
    state = model.state_dict()
    with torch.no_grad():
        for name, tensor in state.items():
            plain = name.replace("detector_model.vision_encoder.backbone.", "vision_encoder.backbone.")
            plain = plain.replace("tracker_neck.", "vision_encoder.neck.").removeprefix("tracker_model.")
            if plain in weights:
                # At these shapes the decoder's random matrices would amplify the last bits of a sum fiftyfold.
                gain = 0.5 if plain.startswith("mask_decoder.") and tensor.dim() > 1 else 1.0
                tensor.copy_(gain * weights.pop(plain))
            elif "vision_encoder.neck." in name:
                tensor.normal_(std=0.05)
    if weights:
        raise RuntimeError(f"Sam3VideoModel has no {sorted(weights)}")
    # Its module names are those of the hub's file; what it would write otherwise it cannot read back itself.
    model.to(getattr(torch, dtype)).save_pretrained(folder, max_shard_size=shard_size, save_original_format=False)
    if layers == 32:
        # The package has the graphs of this one.
        return
    arguments = ["--config-only", str(Path(folder, "config.json")), "--out", str(Path(folder, "graphs"))]
    if export_model.main(arguments) != 0:
        raise RuntimeError("the export failed")
    Path(folder, "graphs", "torchscript").rename(Path(folder, "torchscript"))


def run(folder: str, file: str) -> None:
    """Writes inputs and outputs of the tracker, loaded from the checkpoint in float32, into a safetensors file."""
    model = Sam3TrackerModel.from_pretrained(folder, dtype="float32").eval()
    generator = torch.Generator().manual_seed(1)
    side = model.config.prompt_encoder_config.image_size
    pixel_values = torch.rand(1, 3, side, side, generator=generator) * 2 - 1
    input_boxes = torch.tensor([[[100.0, 200.0, 700.0, 800.0], [5.0, 5.0, 300.0, 400.0]]])
    with torch.inference_mode():
        outputs = model(pixel_values=pixel_values, input_boxes=input_boxes)
    save_file(
        {
            "pixel_values": pixel_values,
            "input_boxes": input_boxes,
            "pred_masks": outputs.pred_masks.contiguous(),
            "iou_scores": outputs.iou_scores.contiguous(),
            "object_score_logits": outputs.object_score_logits.contiguous(),
            "image_embeddings": outputs.image_embeddings[-1].contiguous(),
        },
        file,
    )
