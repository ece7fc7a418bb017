"""torch, Pillow and safetensors as judges of annotation tools: test/unit/model/annotation and masks/pictures."""

import io
from base64 import b64decode

import numpy as np
import torch
from PIL import Image
from pycocotools.coco import COCO
from safetensors.torch import load_file, save_file


def best(scores: list) -> list:
    """The index of the best candidate of each object."""
    return torch.tensor(scores).argmax(-1).tolist()


def picture(png: str) -> dict:
    """What Pillow reads of a PNG in base64."""
    image = Image.open(io.BytesIO(b64decode(png)))
    return {"mode": image.mode, "size": list(image.size), "data": np.asarray(image).reshape(-1).tolist()}


def cut_out(pixels: list, mode: str, mask: list, size: list, box: list | None) -> list:
    """The image with the mask as its alpha, transparent black outside, as Pillow composes it; cropped to a box."""
    image = Image.frombytes(mode, tuple(size), bytes(pixels)).convert("RGBA")
    shape = Image.frombytes("L", tuple(size), bytes(mask)).point(lambda inside: 255 if inside else 0)
    out = Image.composite(image, Image.new("RGBA", image.size), shape)
    return list((out.crop(tuple(box)) if box else out).tobytes())


def tensors(file: str) -> dict:
    """What safetensors reads of a file."""
    return load_file(file)


def save(file: str, shapes: dict, sizes: list) -> None:
    """Embeddings of ones as Python would save them."""
    levels = {name: torch.ones(shape) for name, shape in shapes.items()}
    save_file({**levels, "original_sizes": torch.tensor(sizes)}, file)


def annotations(file: str) -> dict:
    """What pycocotools reads of an annotation file: images, categories, and the area of the masks of each category."""
    coco = COCO(file)
    of_category = {
        category["name"]: [
            int(coco.annToMask(one).sum()) for one in coco.loadAnns(coco.getAnnIds(catIds=[category["id"]]))
        ]
        for category in coco.loadCats(coco.getCatIds())
    }
    return {"images": [image["file_name"] for image in coco.loadImgs(coco.getImgIds())], "areas": of_category}
