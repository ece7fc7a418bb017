"""pycocotools' side of the benchmark of run-length encodings. See rle.ts; calls come from peer.ts."""

import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
from pycocotools import mask as coco

_masks: list[np.ndarray] = []


def load(array: dict) -> str:
    """Reads masks (masks, height, width) from a file; returns pycocotools' version."""
    _masks[:] = np.fromfile(array["file"], dtype=np.uint8).reshape(array["dims"])
    return version("pycocotools")


def encode() -> dict:
    """Masks to COCO's text. Masks lie row by row, as models give them; pycocotools wants columns."""
    return _timed(lambda: [coco.encode(np.asfortranarray(mask))["counts"].decode() for mask in _masks])


def decode(texts: list[str]) -> dict:
    """COCO's text to masks, column by column; the result is whether they are those of the file."""
    encoded = [{"size": list(mask.shape), "counts": text} for mask, text in zip(_masks, texts, strict=True)]
    timed = _timed(lambda: [coco.decode(rle) for rle in encoded])
    same = all(np.array_equal(mask, decoded) for mask, decoded in zip(_masks, timed["result"], strict=True))
    return {**timed, "result": same}


def _timed(work: Callable[[], Any]) -> dict:
    start = time.perf_counter()
    result = work()
    return {"seconds": time.perf_counter() - start, "result": result}
