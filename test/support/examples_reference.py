"""The examples of transformers' SAM3 Tracker page with the prompts of examples/, for test/e2e/examples.test.ts."""

import base64
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import AutoModel, AutoProcessor, Sam3TrackerConfig, Sam3TrackerModel, Sam3TrackerProcessor

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "models" / "sam3-tracker-tiny"

model = Sam3TrackerModel.from_pretrained(MODEL, dtype=torch.float32)
processor = Sam3TrackerProcessor.from_pretrained(MODEL)


def photo(name: str) -> Image.Image:
    return Image.open(ROOT / "examples" / "images" / name).convert("RGB")


def drawn(masks: torch.Tensor) -> str:
    """Which pixels any of the masks holds, one byte each."""
    return base64.b64encode(masks.flatten(0, -3).any(0).numpy().tobytes()).decode()


def segment(images: list[str], drawn_masks: list[Any], multimask_output: bool = False, **prompts: Any) -> dict:
    """What an example prints, and the masks that it draws: `drawn_masks` picks them for each image."""
    inputs = processor(images=[photo(name) for name in images], return_tensors="pt", **prompts)
    with torch.no_grad():
        outputs = model(**inputs, multimask_output=multimask_output)
    return describe(outputs, inputs["original_sizes"], drawn_masks)


def describe(outputs: Any, original_sizes: torch.Tensor, drawn_masks: list[Any]) -> dict:
    all_masks = processor.post_process_masks(outputs.pred_masks.cpu(), original_sizes)
    return {
        "scores": outputs.iou_scores.tolist(),
        "shapes": [list(masks.shape) for masks in all_masks],
        "drawn": [drawn(pick(masks, outputs)) for masks, pick in zip(all_masks, drawn_masks, strict=True)],
    }


def best(masks: torch.Tensor, outputs: Any) -> torch.Tensor:
    return masks[:, torch.argmax(outputs.iou_scores.squeeze())]


def everything(masks: torch.Tensor, outputs: Any) -> torch.Tensor:
    return masks


def single_point() -> dict:
    return segment(["coffee.png"], [best], True, input_points=[[[[235, 215]]]], input_labels=[[[1]]])


def multiple_points() -> dict:
    points = [[[[235, 215], [130, 270], [60, 350]]]]
    return segment(["coffee.png"], [best], True, input_points=points, input_labels=[[[1, 1, 0]]])


def bounding_box() -> dict:
    return segment(["rocket.jpg"], [best], True, input_boxes=[[[295, 90, 345, 345]]])


def multiple_objects() -> dict:
    points = [[[[235, 215]], [[290, 160]]]]
    return segment(["coffee.png"], [everything], input_points=points, input_labels=[[[1], [1]]])


def batched_images() -> dict:
    points = [[[[235, 215]]], [[[250, 150]]]]
    images = ["coffee.png", "chelsea.png"]
    return segment(images, [everything] * 2, input_points=points, input_labels=[[[1]], [[1]]])


def batched_objects() -> dict:
    points = [[[[235, 215]], [[290, 160]]], [[[250, 150]]]]
    first = [everything, lambda masks, outputs: masks[:1]]
    return segment(["coffee.png", "chelsea.png"], first, input_points=points, input_labels=[[[1], [1]], [[1]]])


def batched_points() -> dict:
    points = [[[[235, 215]], [[290, 160]]], [[[225, 120]], [[220, 300], [190, 440]]]]
    labels = [[[1], [1]], [[1], [1, 1]]]
    return segment(["coffee.png", "astronaut.png"], [everything] * 2, input_points=points, input_labels=labels)


def batched_boxes() -> dict:
    boxes = [
        [[150, 15, 310, 200], [365, 0, 475, 290], [285, 350, 495, 512]],
        [[85, 15, 495, 395], [180, 15, 430, 220], [325, 230, 425, 330]],
    ]
    return segment(["astronaut.png", "coffee.png"], [everything] * 2, input_boxes=boxes)


def previous_mask() -> dict:
    first = processor(
        images=photo("coffee.png"), input_points=[[[[235, 215]]]], input_labels=[[[1]]], return_tensors="pt"
    )
    with torch.no_grad():
        outputs = model(**first)
    mask_input = outputs.pred_masks[:, :, torch.argmax(outputs.iou_scores.squeeze())]
    inputs = processor(
        input_points=[[[[235, 215], [150, 110]]]],
        input_labels=[[[1, 1]]],
        original_sizes=first["original_sizes"],
        return_tensors="pt",
    )
    with torch.no_grad():
        refined = model(
            **inputs, input_masks=mask_input, image_embeddings=outputs.image_embeddings, multimask_output=False
        )
    return describe(refined, first["original_sizes"], [everything])


def auto_model() -> dict:
    classes = [type(auto.from_pretrained(MODEL)).__name__ for auto in (AutoModel, AutoProcessor)]
    result = segment(["coffee.png"], [everything], input_points=[[[[235, 215]]]], input_labels=[[[1]]])
    return {**result, "classes": classes}


def configuration() -> dict:
    with torch.device("meta"):
        made = Sam3TrackerModel(Sam3TrackerConfig())
    return {"parameters": made.num_parameters(), "shapes": [], "drawn": []}
