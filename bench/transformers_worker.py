"""transformers' side of the benchmark: does what cases.ts asks for and says how long it took.

Calls come from peer.ts, one JSON object a line. Arrays are raw files with a dtype and dims, the same for every side.
"""

import platform
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import reference
import torch
import transformers
from PIL import Image
from torch import Tensor
from transformers import Sam3TrackerModel, Sam3TrackerProcessor

_loaded: dict[str, Any] = {}


def describe(threads: int) -> dict:
    """Sets the number of threads; returns versions and the number that torch then says."""
    # reference.py takes one, which is right for small tests only.
    torch.set_num_threads(threads)
    versions = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    return {"versions": versions, "threads": torch.get_num_threads()}


def machine_rates() -> dict:
    """What the machine gives torch: float32 products in GFLOP/s, and copying in GB/s read and written, best of nine."""
    side, count = 2048, 2**26
    left, right, product = torch.rand(side, side), torch.rand(side, side), torch.empty(side, side)
    source, copy = torch.zeros(count), torch.zeros(count)
    return {
        "gigaflops": 2 * side**3 / 1e9 / _shortest(lambda: torch.mm(left, right, out=product)),
        "gigabytes": 2 * 4 * count / 1e9 / _shortest(lambda: copy.copy_(source)),
    }


def _shortest(call: Callable[[], Any]) -> float:
    seconds = []
    for _ in range(9):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def load(directory: str, dtype: str = "float32", device: str = "cpu") -> dict:
    """Loads model and processor, in float32 and on the CPU unless told; the time is the model's alone."""
    start = time.perf_counter()
    model = Sam3TrackerModel.from_pretrained(directory, dtype=getattr(torch, dtype), attn_implementation="sdpa")
    model = model.to(device)
    _wait_for_device()
    seconds = time.perf_counter() - start
    _loaded.update(model=model, processor=Sam3TrackerProcessor.from_pretrained(directory))
    return {"seconds": seconds}


def load_processor(directory: str) -> None:
    """Loads no model: preprocessing and post-processing need none."""
    _loaded.update(processor=Sam3TrackerProcessor.from_pretrained(directory))


def prepare(args: dict) -> None:
    """Reads a call's arrays before its memory is measured."""
    for value in args.values():
        _argument(value)


def run(call: str, args: dict, save: str | None) -> dict:
    """Runs one call on the arrays that `args` names; returns its seconds, and its outputs in the directory `save`."""
    arguments = {name: _argument(value) for name, value in args.items()}
    with torch.inference_mode():
        _wait_for_device()
        start = time.perf_counter()
        outputs = CALLS[call](**arguments)
        _wait_for_device()
        seconds = time.perf_counter() - start
    return {"seconds": seconds, "outputs": _write(outputs, Path(save)) if save else {}}


def _wait_for_device() -> None:
    """A device works on after a call has returned."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def load_everything(directory: str) -> None:
    """Loads a model and makes a pipeline for `everything` of it."""
    import torchvision
    from transformers import Sam3ImageProcessor, pipeline

    # The compiled form does not load beside a CPU torch; 3,072 boxes in plain torch take no time that counts.
    if reference.torchvision_operators:
        torchvision.ops.boxes._assert_has_ops = lambda: None
        reference.torchvision_operators.impl("nms", _nms, "CPU")
    model = Sam3TrackerModel.from_pretrained(directory, dtype=torch.float32).eval()
    processor = Sam3ImageProcessor()
    generator = pipeline("mask-generation", model=model, image_processor=processor, device="cpu")
    _loaded.update(generator=generator, model=model, image_processor=processor)


def everything(file: str, options: dict, keep: bool) -> dict:
    """Segments everything in an image; `keep` for `mask` to write its masks, after the measurement.

    Returns the seconds of each stage, the scores, and the peak memory up to the end of the encoder, after which it
    begins anew.
    """
    model, processor = _loaded["model"], _loaded["image_processor"]
    _loaded.pop("masks", None)
    seconds: dict[str, float] = {}
    timed = [
        # As in ours, where the stage holds preprocessing, too.
        (processor, "preprocess", "encode"),
        (model, "get_image_embeddings", "encode"),
        (model, "forward", "decode"),
        (processor, "post_process_masks", "upsample"),
        (processor, "filter_masks", "filter"),
        (processor, "post_process_for_mask_generation", "suppress"),
    ]
    module = sys.modules[type(processor).filter_masks.__module__]
    timed.append((module, "_mask_to_rle", "rle"))
    originals = [(owner, method, getattr(owner, method)) for owner, method, _ in timed]
    for owner, method, stage in timed:
        setattr(owner, method, _timed(getattr(owner, method), stage, seconds))
    peaks: list[int | None] = []
    encode = model.get_image_embeddings

    def encode_and_look(*args: Any, **kwargs: Any) -> Any:
        embeddings = encode(*args, **kwargs)
        peaks.append(_restart_peak_memory())
        return embeddings

    model.get_image_embeddings = encode_and_look
    start = time.perf_counter()
    output = _loaded["generator"](file, **options)
    seconds["all"] = time.perf_counter() - start
    for owner, method, original in originals:
        setattr(owner, method, original)
    if keep:
        _loaded["masks"] = output["masks"]
    # The filter's last step.
    seconds["filter"] -= seconds.get("rle", 0.0)
    seconds["upsample"] += seconds.pop("rle", 0.0)
    return {"seconds": seconds, "scores": output["scores"].tolist(), "encodePeak": peaks[0]}


def mask(index: int, save: str) -> dict:
    """Writes a mask of the image that was kept to the directory `save`."""
    return _write({"mask": torch.as_tensor(_loaded["masks"][index])}, Path(save))["mask"]


def _restart_peak_memory() -> int | None:
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status.read_text(), re.MULTILINE)
    Path("/proc/self/clear_refs").write_text("5")
    return found and int(found[1]) * 1024


def _timed(function: Any, stage: str, seconds: dict[str, float]) -> Any:
    def call(*args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        result = function(*args, **kwargs)
        seconds[stage] = seconds.get(stage, 0.0) + time.perf_counter() - start
        return result

    return call


def _nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    order = scores.sort(stable=True, descending=True)[1]
    keep = []
    while len(order) > 0:
        best, order = order[0], order[1:]
        keep.append(best)
        sizes = torch.minimum(boxes[best, 2:], boxes[order, 2:]) - torch.maximum(boxes[best, :2], boxes[order, :2])
        intersection = sizes.clamp(min=0).prod(1)
        order = order[~(intersection / (areas[best] + areas[order] - intersection) > iou_threshold)]
    return torch.tensor(keep, dtype=torch.long)


def preprocess(image: Image.Image) -> dict[str, Tensor]:
    """A decoded image to pixel_values."""
    device = _loaded["model"].device if "model" in _loaded else "cpu"
    return {"pixel_values": _loaded["processor"](images=image, return_tensors="pt", device=device).pixel_values}


def encode(pixel_values: Tensor) -> dict[str, Tensor]:
    """pixel_values to image embeddings."""
    levels = _loaded["model"].get_image_embeddings(pixel_values)
    return {f"image_embeddings.{index}": level for index, level in enumerate(levels)}


def click(original_sizes: list | None = None, **inputs: Any) -> dict[str, Tensor]:
    """Prompts on given image embeddings to logits, and to masks of the image where its size is given."""
    output = _loaded["model"](**inputs)
    scores = {"iou_scores": output.iou_scores, "object_score_logits": output.object_score_logits}
    if original_sizes is None:
        return {**scores, "pred_masks": output.pred_masks}
    return {**scores, **post_process(output.pred_masks, original_sizes)}


def post_process(pred_masks: Tensor, original_sizes: list) -> dict[str, Tensor]:
    """Low-resolution logits to boolean masks of the images."""
    masks = _loaded["processor"].post_process_masks(pred_masks, original_sizes)
    return {f"masks.{index}": mask for index, mask in enumerate(masks)}


CALLS = {
    "preprocess": preprocess,
    "encode": encode,
    "click": click,
    # Ours has both in one.
    "predict_masks": click,
    "post_process": post_process,
}


def _argument(value: Any) -> Any:
    if isinstance(value, dict):
        read = _fresh_array if value.get("fresh") else _array
        return read(value["file"], value["dtype"], tuple(value["dims"]))
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [_argument(item) for item in value]
    return value


#: How often an array was read that no call shares with another: see arrays.ts.
_readings: Counter[str] = Counter()


def _fresh_array(file: str, dtype: str, dims: tuple[int, ...]) -> Tensor:
    tensor = _array.__wrapped__(file, dtype, dims)
    _readings[file] += 1
    tensor.view(-1)[0] = _readings[file]
    return tensor


@cache
def _array(file: str, dtype: str, dims: tuple[int, ...]) -> Tensor | Image.Image:
    data = bytearray(Path(file).read_bytes())
    if dtype == "uint8":
        # Users have a decoded image, not a tensor.
        return Image.frombytes("RGB", (dims[1], dims[0]), bytes(data))
    tensor = torch.frombuffer(data, dtype=getattr(torch, dtype)).reshape(dims)
    model = _loaded.get("model")
    if model is None or model.device.type == "cpu":
        return tensor
    # Its prompt encoder takes masks in the model's dtype only.
    in_model_dtype = Path(file).name.startswith(("image_embeddings", "input_masks"))
    return tensor.to(model.device, model.dtype if in_model_dtype else tensor.dtype)


def _write(outputs: dict[str, Tensor], folder: Path) -> dict[str, dict]:
    described = {}
    for name, tensor in outputs.items():
        file = folder / f"{name}.raw"
        tensor = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).cpu()
        file.write_bytes(tensor.contiguous().numpy().tobytes())
        dtype = str(tensor.dtype).removeprefix("torch.")
        described[name] = {"file": str(file), "dtype": dtype, "dims": list(tensor.shape)}
    return described
