"""Makes a model whose decoder has facebook/sam3's size and whose vision encoder is small, with random weights.

Usage: make_decoder_model.py DIRECTORY. What is there and still right is kept. For segment-everything, where the
decoder runs for every point and the encoder once.
"""

import json
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "test" / "python")]

from make_full_size import exporter_hash  # noqa: E402

import export_model  # noqa: E402
import random_models  # noqa: E402

# Arguments of random_models.random_model.
WEIGHTS = {"seed": 3, "sharp": False}
BACKBONE = {
    "model_type": "sam3_vit_model",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 1008,
    "patch_size": 14,
    "window_size": 24,
    "global_attn_indexes": [1],
    "pretrain_image_size": 336,
    "rope_theta": 10000.0,
}


def main(model: Path) -> None:
    """Makes the model unless it is there."""
    stamp = model / "bench.json"
    wanted = {"weights": WEIGHTS, "exporter_sha256": exporter_hash()}
    if stamp.is_file() and json.loads(stamp.read_text()) == wanted:
        return
    config = random_models.config_dict("default-like")
    config["vision_config"] = {"model_type": "sam3_vision_model", "backbone_config": BACKBONE}
    config["prompt_encoder_config"] = {}
    config["mask_decoder_config"] = {}
    checkpoint = model.with_name(model.name + "-checkpoint")
    random_models.random_model(config, **WEIGHTS).save_pretrained(checkpoint)
    # What a run that was cut short left.
    shutil.rmtree(model, ignore_errors=True)
    if export_model.main(["--checkpoint", str(checkpoint), "--out", str(model), "--verify", "none"]) != 0:
        sys.exit("the model could not be exported")
    stamp.write_text(json.dumps(wanted))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]).resolve())
