"""transformers' and pycocotools' run-length encodings, for test/unit/masks/masks.test.ts."""

import numpy as np
import torch
from pycocotools import mask as coco
from transformers.models.sam3.image_processing_sam3 import _batched_mask_to_box, _mask_to_rle, _rle_to_mask


def describe(rows: list[list[int]]) -> dict:
    """All that the libraries say of one mask."""
    mask = torch.tensor(rows, dtype=torch.bool)
    rle = _mask_to_rle(mask[None])[0]
    compressed = coco.encode(np.asfortranarray(mask.numpy().astype(np.uint8)))
    return {
        "rle": rle,
        "decoded": _rle_to_mask(rle).int().tolist(),
        "text": compressed["counts"].decode(),
        "area": int(coco.area(compressed)),
        "box": _batched_mask_to_box(mask[None, None])[0, 0].tolist(),
    }


def encode_all(file: str, sizes: list[list[int]]) -> list[str]:
    """pycocotools' text of many masks, whose row-major bytes lie one behind the other in a file."""
    data = np.fromfile(file, dtype=np.uint8)
    texts, begin = [], 0
    for height, width in sizes:
        mask = data[begin : begin + height * width].reshape(height, width)
        texts.append(coco.encode(np.asfortranarray(mask))["counts"].decode())
        begin += height * width
    return texts


def merge(rles: list[dict], intersect: bool) -> str:
    """pycocotools' union or intersection of encodings, as text."""
    return coco.merge(rles, intersect)["counts"].decode()


def draw(polygons: list[list[float]], size: list[int]) -> list[list[int]]:
    """The pixels that pycocotools fills for polygons."""
    return coco.decode(coco.merge(coco.frPyObjects(polygons, *size))).tolist()


def iou(first: list[list[int]], second: list[list[int]]) -> float:
    """pycocotools' intersection over union, neither a crowd."""
    masks = [coco.encode(np.asfortranarray(np.array(rows, dtype=np.uint8))) for rows in (first, second)]
    return float(coco.iou([masks[0]], [masks[1]], [0])[0][0])
