"""Makes a checkpoint as facebook/sam3's file is: sam3_video, the tracker's weights among those of other parts.

Usage: make_video_checkpoint.py DIRECTORY FULL_SIZE. Names, shapes and configuration are those of transformers' default
Sam3VideoModel, 860 M float32 parameters in one file of 3.4 GB. The tracker's weights are FULL_SIZE's (made by
make_full_size.py); those of the detector, the text encoder and the memory are random. Made once.
"""

import json
import re
import shutil
import sys
import tempfile
from pathlib import Path

# transformers' own three renamings, from a sam3_video checkpoint to the tracker.
RENAMINGS = [
    (r"^detector_model\.vision_encoder\.backbone\.", "vision_encoder.backbone."),
    (r"^tracker_neck\.", "vision_encoder.neck."),
    (r"^tracker_model\.", ""),
]


def tracker_name(name: str) -> str:
    """What Sam3TrackerModel calls a weight, if it is one of its own."""
    for pattern, replacement in RENAMINGS:
        name = re.sub(pattern, replacement, name)
    return name


def make(folder: Path, full_size: Path) -> None:
    """Writes config.json, preprocessor_config.json and model.safetensors."""
    import reference  # noqa: F401, it makes transformers importable beside a CPU torch
    import torch
    from safetensors import safe_open
    from safetensors.torch import save_file
    from transformers import Sam3VideoConfig, Sam3VideoModel

    config = Sam3VideoConfig()
    with torch.device("meta"):
        shapes = {name: weight.shape for name, weight in Sam3VideoModel(config).state_dict().items()}
    torch.manual_seed(4)
    with safe_open(full_size / "model.safetensors", "pt") as tracker:
        names = set(tracker.keys())
        # Those of the tracker stay in the file's mapping until they are written.
        weights = {
            name: tracker.get_tensor(plain) if (plain := tracker_name(name)) in names else torch.rand(shape)
            for name, shape in shapes.items()
        }
        left_out = names - {tracker_name(name) for name in shapes}
        if left_out:
            raise RuntimeError(f"Sam3VideoModel has no {sorted(left_out)}")
        save_file(weights, folder / "model.safetensors", {"format": "pt"})
    config.architectures, config.dtype = ["Sam3VideoModel"], "float32"
    config.save_pretrained(folder)
    shutil.copy(full_size / "preprocessor_config.json", folder)


def main(checkpoint: Path, full_size: Path) -> None:
    """Makes `checkpoint` where it is missing, or was made of other weights."""
    stamp = checkpoint / "bench.json"
    wanted = {"tracker": json.loads((full_size / "bench.json").read_text())["weights"]}
    if stamp.is_file() and json.loads(stamp.read_text()) == wanted:
        return
    print(f"Making a sam3_video checkpoint in {checkpoint} (3.4 GB on disk; about a minute)", flush=True)
    shutil.rmtree(checkpoint, ignore_errors=True)
    # Beside it, so that a run that is cut short leaves nothing that looks whole.
    with tempfile.TemporaryDirectory(prefix=".making.", dir=checkpoint.parent) as scratch:
        folder = Path(scratch, "checkpoint")
        folder.mkdir()
        make(folder, full_size)
        Path(folder, "bench.json").write_text(json.dumps(wanted))
        folder.rename(checkpoint)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
