"""transformers' Sam3TrackerProcessor, for test/unit/processor/processing-sam3-tracker.test.ts."""

import base64
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import torch
from transformers import Sam3TrackerProcessor
from transformers.models.sam3.image_processing_sam3 import Sam3ImageProcessor

SMALL = {"size": {"height": 24, "width": 24}, "mask_size": {"height": 8, "width": 8}}


def decode(value: Any) -> Any:
    """{"$tensor": ...} and {"$array": ...} hold dtype, dims and data; {"$float": ...} what JSON has no number for.

    Bytes of arrays and of a {"$image": ...} come as base64.
    """
    if isinstance(value, list):
        return [decode(item) for item in value]
    if isinstance(value, dict) and next(iter(value)).startswith("$"):
        ((kind, content),) = value.items()
        if kind == "$float":
            return float(content)
        if "base64" in content:
            data = np.frombuffer(base64.b64decode(content["base64"]), dtype=content["dtype"]).reshape(content["dims"])
            return PIL.Image.fromarray(data) if kind == "$image" else data
        if kind == "$tensor":
            return torch.tensor(content["data"], dtype=getattr(torch, content["dtype"])).reshape(content["dims"])
        return np.array(content["data"], dtype=content["dtype"]).reshape(content["dims"])
    return value


def process(settings: dict, options: dict) -> dict:
    processor = Sam3TrackerProcessor(Sam3ImageProcessor(**SMALL), **settings)
    return dict(processor(**{name: decode(value) for name, value in options.items()}).items())


def save(settings: dict, image_settings: dict) -> str:
    """The processor_config.json that `save_pretrained` writes."""
    with tempfile.TemporaryDirectory() as directory:
        Sam3TrackerProcessor(Sam3ImageProcessor(**image_settings), **settings).save_pretrained(directory)
        return Path(directory, "processor_config.json").read_text()


def load(text: str) -> dict:
    """What `from_pretrained` makes of a processor_config.json."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "processor_config.json").write_text(text)
        return json.loads(Sam3TrackerProcessor.from_pretrained(directory).to_json_string())
