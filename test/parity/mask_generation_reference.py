"""transformers' own mask-generation pipeline, for mask-generation.test.ts.

With a path as its argument it records there what the installed version gives for the cases of
test/fixtures/mask-generation-cases.json: images with crops, which 5.8 cannot.
"""

import json
import sys
import tempfile
from pathlib import Path

import nms_reference
import numpy as np
import torch
import transformers
from PIL import Image
from pycocotools import mask as coco
from transformers import Sam3ImageProcessor, Sam3TrackerModel, pipeline

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "test" / "python")]

import export_model  # noqa: E402
import random_models  # noqa: E402

BUNDLED = ROOT / "models" / "sam3-tracker-tiny"

_pipelines: dict[str, transformers.Pipeline] = {}


nms_reference.declare_nms()


def versions() -> dict:
    """What the reference runs on."""
    return {"transformers": transformers.__version__, "torch": torch.__version__}


def create(name: str, seed: int, folder: str) -> dict:
    """Writes the checkpoint of a random model to `folder`/checkpoint and exports it to `folder`/model."""
    checkpoint = Path(folder, "checkpoint")
    random_models.random_model(name, seed).save_pretrained(checkpoint)
    status = export_model.main(
        ["--checkpoint", str(checkpoint), "--out", str(Path(folder, "model")), "--verify", "none"]
    )
    if status != 0:
        raise RuntimeError(f"export_model.py ended with status {status}")
    return {"checkpoint": str(checkpoint), "model": str(Path(folder, "model"))}


def image(height: int, width: int, seed: int, file: str) -> None:
    """Writes an image of coloured blobs as a PNG: something to find for the bundled model."""
    generator = np.random.RandomState(seed)
    coarse = generator.randint(0, 256, (4, 6, 3)).astype(np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    noise = generator.randint(-8, 9, (height, width, 3))
    Image.fromarray(np.clip(np.asarray(image).astype(int) + noise, 0, 255).astype(np.uint8)).save(file)


def generate(checkpoint: str, side: int, file: str, options: dict) -> dict:
    """The pipeline's answer: scores, boxes, and masks in COCO's compressed form. `side` is the model's input."""
    if checkpoint not in _pipelines:
        model = Sam3TrackerModel.from_pretrained(checkpoint, dtype=torch.float32).eval()
        size = {"height": side, "width": side}
        _pipelines[checkpoint] = pipeline(
            "mask-generation", model=model, image_processor=Sam3ImageProcessor(size=size), device="cpu"
        )
    output = _pipelines[checkpoint](file, output_rle_mask=True, output_bboxes_mask=True, **options)
    rles = [coco.encode(np.asfortranarray(mask.numpy().astype(np.uint8))) for mask in output["masks"]]
    return {
        "scores": output["scores"].tolist(),
        "bounding_boxes": output["bounding_boxes"].int().tolist(),
        "counts": [rle["counts"].decode() for rle in rles],
        "rle_mask": output["rle_mask"],
    }


def record(cases_file: Path, file: Path) -> None:
    """Writes the answers to the recorded cases beside the versions that gave them."""
    answers = []
    with tempfile.TemporaryDirectory() as folder:
        for case in json.loads(cases_file.read_text()):
            name, seed = case["model"], case["seed"]
            if name != "sam3-tracker-tiny" and not Path(folder, name).exists():
                create(name, 0, str(Path(folder, name)))
            checkpoint = BUNDLED if name == "sam3-tracker-tiny" else Path(folder, name, "checkpoint")
            png = str(Path(folder, "image.png"))
            image(*case["size"], seed, png)
            answer = generate(str(checkpoint), case["side"], png, case["options"])
            answers.append({**case, **{key: answer[key] for key in ("scores", "bounding_boxes", "counts")}})
            print(name, case["size"], len(answer["scores"]), "masks")
    file.write_text(json.dumps({"versions": versions(), "cases": answers}) + "\n")


if __name__ == "__main__":
    record(ROOT / "test" / "fixtures" / "mask-generation-cases.json", Path(sys.argv[1]))
