"""Exports a model directory to ONNX, for the ONNX Runtime side of the benchmark.

Usage: make_onnx.py MODEL DIRECTORY. Writes vision_encoder.onnx and one prompt encoder with mask decoder for each kind
of prompt, as transformers.js has them, for one image and any number of objects; what is there and still right is
kept. Taken from transformers' own modules, in float32.
"""

import hashlib
import importlib.util
import json
import logging
import sys
import tempfile
import warnings
from pathlib import Path

import reference  # noqa: F401  (declares what transformers needs of torchvision)
import torch
from torch import Tensor, nn
from transformers import Sam3TrackerModel

#: Inputs of each decoder beside the image embeddings.
DECODERS = {
    "points": ("input_points", "input_labels"),
    "boxes": ("input_boxes",),
    "points_and_mask": ("input_points", "input_labels", "input_masks"),
}
OUTPUTS = ("iou_scores", "pred_masks", "object_score_logits")


class Encoder(nn.Module):
    """`get_image_embeddings`."""

    def __init__(self, model: Sam3TrackerModel):
        super().__init__()
        self.model = model

    def forward(self, pixel_values: Tensor) -> tuple:
        return tuple(self.model.get_image_embeddings(pixel_values))


class Decoder(nn.Module):
    """`forward` on given image embeddings, with named prompts."""

    def __init__(self, model: Sam3TrackerModel, names: tuple):
        super().__init__()
        self.model = model
        self.names = names

    def forward(self, *values: Tensor) -> tuple:
        prompts = dict(zip(self.names, values, strict=False))
        output = self.model(image_embeddings=list(values[len(prompts) :]), **prompts)
        return tuple(output[name] for name in OUTPUTS)


def export(module: nn.Module, values: tuple, inputs: list, outputs: list, axes: tuple, file: Path) -> None:
    """Writes one graph, its weights beside it: one file holds no more than 2 GB."""
    program = torch.onnx.export(
        module.eval(),
        values,
        dynamo=True,
        dynamic_shapes=axes,
        input_names=inputs,
        output_names=outputs,
        verbose=False,
    )
    program.save(file, external_data=True)


def export_model(model: Sam3TrackerModel, folder: Path) -> None:
    """Writes every graph of `model` into `folder`."""
    side = model.config.prompt_encoder_config.image_size
    pixels = torch.zeros(1, 3, side, side)
    levels = [f"image_embeddings.{index}" for index in range(3)]
    decoder, sizes = model.config.mask_decoder_config, model.config.vision_config.backbone_feature_sizes
    widths = (decoder.hidden_size // 8, decoder.hidden_size // 4, decoder.hidden_size)
    embeddings = tuple(torch.zeros(1, width, *size) for width, size in zip(widths, sizes, strict=True))
    # Traced with several of each, so that no number is taken for a constant.
    objects, points = torch.export.Dim("objects", min=1), torch.export.Dim("points", min=1)
    examples = {
        "input_points": (torch.rand(1, 3, 2, 2) * side, {1: objects, 2: points}),
        "input_labels": (torch.ones(1, 3, 2, dtype=torch.int64), {1: objects, 2: points}),
        "input_boxes": (torch.rand(1, 3, 4) * side, {1: objects}),
        "input_masks": (torch.zeros(1, 1, *model.prompt_encoder.mask_input_size), None),
    }
    for name, prompts in DECODERS.items():
        values, axes = zip(*(examples[prompt] for prompt in prompts), strict=True)
        module = Decoder(model, prompts)
        shapes = ((*axes, None, None, None),)
        export(module, (*values, *embeddings), [*prompts, *levels], [*OUTPUTS], shapes, folder / f"{name}.onnx")
    export(Encoder(model), (pixels,), ["pixel_values"], levels, None, folder / "vision_encoder.onnx")


def main(model: Path, folder: Path) -> None:
    """Makes what is missing or stale in `folder`."""
    weights = (model / "model.safetensors").stat()
    source = Path(__file__).read_bytes() + (model / "config.json").read_bytes()
    wanted = {"source": hashlib.sha256(source).hexdigest(), "weights": [weights.st_size, weights.st_mtime_ns]}
    stamp = folder / "bench.json"
    if stamp.is_file() and json.loads(stamp.read_text()) == wanted:
        return
    if missing := [name for name in ("onnx", "onnxscript") if importlib.util.find_spec(name) is None]:
        sys.exit(
            f"ONNX Runtime's side needs {' and '.join(missing)}: "
            f"{sys.executable} -m pip install --no-deps -r scripts/requirements-bench.txt"
        )
    print(f"Exporting {model} to ONNX in {folder}", flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    stamp.unlink(missing_ok=True)
    # What the exporter of torch says of its own workings.
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    loaded = Sam3TrackerModel.from_pretrained(model, dtype=torch.float32, attn_implementation="sdpa").eval()
    with tempfile.TemporaryDirectory(prefix=".making.", dir=folder) as scratch, torch.no_grad():
        export_model(loaded, Path(scratch))
        for file in Path(scratch).iterdir():
            file.rename(folder / file.name)
    stamp.write_text(json.dumps(wanted))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
