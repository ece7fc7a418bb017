"""transformers' own Sam3TrackerModel, for the parity tests: makes models, exports them, and runs cases on them.

A case is described in cases.ts. Its inputs are drawn here; inputs and outputs go into one safetensors file, named
`inputs.NAME` and `outputs.NAME`, or `outputs.NAME.0`, `.1`, ... where the output is a list.
"""

import json
import os
import platform
import sys
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from torch import Tensor
from transformers import Sam3ImageProcessor, Sam3TrackerModel, Sam3TrackerProcessor

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "test" / "python")]

import export_model  # noqa: E402
import random_models  # noqa: E402

OUTPUTS = {
    "forward": [
        "iou_scores",
        "pred_masks",
        "object_score_logits",
        "image_embeddings",
        "vision_hidden_states",
        "vision_attentions",
        "mask_decoder_attentions",
    ],
    "get_image_features": [
        "last_hidden_state",
        "pooler_output",
        "hidden_states",
        "attentions",
        "fpn_hidden_states",
        "fpn_position_encoding",
    ],
    "get_image_embeddings": ["image_embeddings"],
    "get_prompt_embeddings": ["sparse", "dense"],
    "get_image_wide_positional_embeddings": ["image_wide_positional_embeddings"],
}

# As subject.ts has it.
DEVICE = os.environ.get("SAM3_TRACKER_PARITY_DEVICE", "cpu")

_models: dict[tuple[str, str, str], Sam3TrackerModel] = {}


def versions() -> dict:
    """What the reference runs on."""
    device = DEVICE if DEVICE == "cpu" else torch.cuda.get_device_name(DEVICE)
    return {
        "transformers": transformers.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": device,
    }


def create(name: str, seed: int, folder: str) -> dict:
    """Writes the checkpoint of a random model to `folder`/checkpoint and exports it to `folder`/model."""
    config = random_models.config_dict(name)
    config["mask_decoder_config"]["dynamic_multimask_via_stability"] = True
    model = random_models.random_model(config, seed)
    _choose_stability_threshold(model, seed)
    checkpoint = Path(folder, "checkpoint")
    model.save_pretrained(checkpoint)
    status = export_model.main(
        ["--checkpoint", str(checkpoint), "--out", str(Path(folder, "model")), "--verify", "none"]
    )
    if status != 0:
        raise RuntimeError(f"export_model.py ended with status {status}")
    return {"checkpoint": str(checkpoint), "model": str(Path(folder, "model"))}


def without_stability(file: str) -> None:
    """Turns dynamic_multimask_via_stability off in a config.json."""
    config = json.loads(Path(file).read_text())
    config["mask_decoder_config"]["dynamic_multimask_via_stability"] = False
    Path(file).write_text(json.dumps(config))


def run(checkpoint: str, dtype: str, attention: str, case: dict, seed: int, file: str) -> dict:
    """Runs a case in `dtype` on inputs that `seed` gives, and writes inputs and outputs to `file`.

    Returns the kind of each output, null, "tensor" or the length of a list, and which objects took the single mask
    where the choice was made by stability.
    """
    model = _model(checkpoint, dtype, attention)
    inputs = _inputs(model, case, seed)
    _embed(model, case, inputs)
    arguments = {**inputs, **case.get("options", {})}
    if "image_embeddings" in arguments:
        arguments["image_embeddings"] = [level.clone() for level in inputs["image_embeddings"]]
    if "target_embedding" in arguments:
        arguments["target_embedding"] = inputs["target_embedding"].clone()
    stable: list[Tensor] = []
    with torch.no_grad(), _StabilityRecord(model, stable):
        outputs = _call(model, case["method"], arguments)
    if case["method"] == "forward":
        sizes = _original_sizes(len(outputs["pred_masks"]))
        processor = Sam3TrackerProcessor(Sam3ImageProcessor())
        outputs["post_processed"] = processor.post_process_masks(outputs["pred_masks"].float(), sizes)
    tensors = {**_flat("inputs", inputs), **_flat("outputs", outputs)}
    _save(tensors, file)
    return {
        "kinds": {name: _kind(value) for name, value in outputs.items()},
        "stable": [bool(flag) for flags in stable for flag in flags.flatten()],
    }


def write_inputs(checkpoint: str, dtype: str, attention: str, case: dict, seed: int, file: str) -> None:
    """Writes the inputs of a case, as `run` does, without running it."""
    model = _model(checkpoint, dtype, attention)
    inputs = _inputs(model, case, seed)
    _embed(model, case, inputs)
    # A file without tensors is no safetensors file to every reader.
    tensors = _flat("inputs", inputs) or {"none": torch.zeros(1)}
    _save(tensors, file)


def _save(tensors: dict[str, Tensor], file: str) -> None:
    save_file({name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}, file)


def _embed(model: Sam3TrackerModel, case: dict, inputs: dict[str, Tensor]) -> None:
    """Replaces pixel values by their embeddings where the case says so."""
    if case.get("embeddings"):
        inputs["image_embeddings"] = model.get_image_embeddings(inputs["pixel_values"])
        if not case.get("keep_pixels"):
            del inputs["pixel_values"]


def _model(checkpoint: str, dtype: str, attention: str) -> Sam3TrackerModel:
    key = (checkpoint, dtype, attention)
    if key not in _models:
        model = Sam3TrackerModel.from_pretrained(checkpoint, dtype=getattr(torch, dtype), attn_implementation=attention)
        model = model.to(DEVICE).eval()
        _install_capturing_hooks(model)
        _models[key] = model
    return _models[key]


def _install_capturing_hooks(model: Sam3TrackerModel) -> None:
    """Has transformers hook the whole model at once, as the first call with output_attentions does.

    Where a call for hidden states alone comes first it hooks the vision encoder, and the first call for attentions
    hooks that again: every hidden state is then returned twice.
    """
    with torch.no_grad():
        model(**_inputs(model, {"images": 1}, seed=0), output_attentions=True)


def _choose_stability_threshold(model: Sam3TrackerModel, seed: int) -> None:
    """Sets delta and threshold so that about half of all objects take the single mask, and none is near the border."""
    decoder = model.mask_decoder
    inputs = _inputs(model, {"images": 2, "points": [32, 1], "labels": [1]}, seed)
    decoder.dynamic_multimask_via_stability = False
    with torch.no_grad():
        logits = model(**inputs, multimask_output=False).pred_masks
        delta = round(0.1 * logits.abs().median().item(), 3)
        decoder.dynamic_multimask_via_stability = True
        decoder.dynamic_multimask_stability_delta = delta
        scores = decoder._get_stability_scores(logits).flatten().sort().values
    middle = scores[len(scores) // 4 : 3 * len(scores) // 4]
    gaps = middle.diff()
    if gaps.max() == 0:
        raise RuntimeError(f"All stability scores of this model are {scores[0]}: choose another seed.")
    at = gaps.argmax()
    threshold = round((middle[at] + middle[at + 1]).item() / 2, 6)
    model.config.mask_decoder_config.dynamic_multimask_stability_delta = delta
    model.config.mask_decoder_config.dynamic_multimask_stability_thresh = threshold


class _StabilityRecord:
    """While open, notes for each object whether its single mask counts as stable."""

    def __init__(self, model: Sam3TrackerModel, stable: list[Tensor]):
        self.decoder = model.mask_decoder
        self.stable = stable

    def __enter__(self) -> None:
        scores_of = self.decoder._get_stability_scores

        def record(logits: Tensor) -> Tensor:
            scores = scores_of(logits)
            self.stable.append(scores >= self.decoder.dynamic_multimask_stability_thresh)
            return scores

        self.decoder._get_stability_scores = record

    def __exit__(self, *_: object) -> None:
        del self.decoder._get_stability_scores


def _inputs(model: Sam3TrackerModel, case: dict, seed: int) -> dict[str, Tensor]:
    """The tensors that a case describes, in the dtypes that a caller of transformers has."""
    generator = torch.Generator().manual_seed(seed)
    vision = model.config.vision_config.backbone_config
    side = model.config.prompt_encoder_config.image_size
    images = case["images"]
    dtype = model.dtype
    coordinates = getattr(torch, case.get("prompt_dtype", "float32"))

    def normal(*shape: int, scale: float = 1) -> Tensor:
        # Rounded to bfloat16, so that models of every dtype compute on the same values.
        return (scale * torch.randn(shape, generator=generator)).bfloat16().to(dtype)

    def positions(*shape: int) -> Tensor:
        # Some lie outside the image, which is allowed.
        drawn = (torch.rand(shape, generator=generator) * 1.2 - 0.1) * side
        return drawn.bfloat16().to(coordinates)

    inputs: dict[str, Tensor] = {}
    if case.get("pixels", True):
        inputs["pixel_values"] = normal(images, vision.num_channels, vision.image_size, vision.image_size)
    prompt_tokens = 0 if "points" in case or "boxes" in case else 2
    if "points" in case:
        objects, points = case["points"]
        inputs["input_points"] = positions(images, objects, points, 2)
        if case.get("labels") is not None:
            labels = torch.tensor(case["labels"]).repeat(objects * points)[: objects * points]
            inputs["input_labels"] = labels.reshape(1, objects, points).repeat(images, 1, 1)
            # The processor pads points and labels alike.
            inputs["input_points"][inputs["input_labels"] == -10] = -10
        prompt_tokens += points + (0 if "boxes" in case else 1)
    if "boxes" in case:
        corners = positions(images, case["boxes"], 2, 2)
        upper = corners.amin(2) if case.get("zero_area") else corners.amax(2)
        inputs["input_boxes"] = torch.cat([corners.amin(2), upper], dim=-1)
        prompt_tokens += 3
    if "masks" in case:
        # Sizes are given as multiples of the prompt encoder's own.
        height, width = (
            round(size * scale) for size, scale in zip(model.prompt_encoder.mask_input_size, case["masks"], strict=True)
        )
        inputs["input_masks"] = normal(images, 1, height, width, scale=5)
    objects = case["points"][0] if "points" in case else case.get("boxes", 1)
    tokens = model.mask_decoder.num_mask_tokens + 2 + prompt_tokens
    grid = model.prompt_encoder.image_embedding_size
    if case.get("similarity"):
        inputs["attention_similarity"] = normal(images * objects, 1, tokens, grid[0] * grid[1])
    if case.get("target"):
        inputs["target_embedding"] = normal(images, objects, tokens, model.config.mask_decoder_config.hidden_size)
    return {name: tensor.to(model.device) for name, tensor in inputs.items()}


def _original_sizes(images: int) -> list[tuple[int, int]]:
    return [(97 + 22 * index, 131 - 17 * index) for index in range(images)]


def _call(model: Sam3TrackerModel, method: str, arguments: dict) -> dict:
    output = model(**arguments) if method == "forward" else getattr(model, method)(**arguments)
    if method == "get_image_embeddings":
        output = {"image_embeddings": output}
    elif method == "get_prompt_embeddings":
        output = dict(zip(("sparse", "dense"), output, strict=True))
    elif method == "get_image_wide_positional_embeddings":
        output = {"image_wide_positional_embeddings": output}
    return {name: _get(output, name) for name in OUTPUTS[method]}


def _get(output: object, name: str) -> object:
    return output.get(name) if isinstance(output, dict) else getattr(output, name, None)


def _flat(prefix: str, values: dict) -> dict[str, Tensor]:
    tensors = {}
    for name, value in values.items():
        if isinstance(value, Tensor):
            tensors[f"{prefix}.{name}"] = value
        elif value is not None:
            tensors.update({f"{prefix}.{name}.{index}": item for index, item in enumerate(value)})
    return tensors


def _kind(value: object) -> object:
    if value is None:
        return None
    return "tensor" if isinstance(value, Tensor) else len(value)
