"""transformers' processor and model on photos, for photos.test.ts."""

from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import Sam3TrackerModel, Sam3TrackerProcessor
from transformers.image_utils import load_image

ROOT = Path(__file__).resolve().parents[2]
BUNDLED = str(ROOT / "models" / "sam3-tracker-tiny")

_processor = Sam3TrackerProcessor.from_pretrained(BUNDLED)
_model = Sam3TrackerModel.from_pretrained(BUNDLED, dtype=torch.float32).eval()


def segment(photos: list[str], prompts: dict, multimask_output: bool, file: str) -> None:
    """Writes what the processor, the model and post_process_masks give to a safetensors file."""
    images = [load_image(photo) for photo in photos]
    inputs = _processor(images=images, **prompts, return_tensors="pt")
    with torch.no_grad():
        outputs = _model(**inputs, multimask_output=multimask_output)
    masks = _processor.post_process_masks(outputs.pred_masks, inputs["original_sizes"])
    tensors = {
        **dict(inputs),
        "pred_masks": outputs.pred_masks,
        "iou_scores": outputs.iou_scores,
        "object_score_logits": outputs.object_score_logits,
        **{f"masks.{index}": mask for index, mask in enumerate(masks)},
    }
    save_file({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, file)
