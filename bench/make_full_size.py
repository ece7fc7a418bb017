"""Makes a model of facebook/sam3's tracker configuration with random weights, 458 M parameters, for the benchmark.

Usage: make_full_size.py DIRECTORY. What is there and still right is kept: the weights (1.8 GB) are made once, the
graphs again whenever the exporter has changed.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXPORTER = ROOT / "scripts" / "export_model.py"
# Arguments of random_models.random_model.
WEIGHTS = {"seed": 3, "sharp": False}


def exporter_hash() -> str:
    """SHA-256 over the sources of the exporter, which decide the graphs."""
    digest = hashlib.sha256()
    for source in [EXPORTER, *sorted(EXPORTER.with_name("sam3_tracker_export").glob("*.py"))]:
        digest.update(source.read_bytes())
    return digest.hexdigest()


def make_weights(model: Path, scratch: Path) -> None:
    """Writes config.json and model.safetensors as transformers does."""
    sys.path[:0] = [str(ROOT / "test" / "python")]
    from transformers import Sam3TrackerConfig

    import random_models

    config = Sam3TrackerConfig().to_dict()
    random_models.random_model(config, **WEIGHTS).save_pretrained(scratch)
    (scratch / "model.safetensors").rename(model / "model.safetensors")
    (scratch / "config.json").rename(model / "checkpoint_config.json")


def make_graphs(model: Path, scratch: Path) -> None:
    """Exports the graphs, and config.json and preprocessor_config.json with them."""
    export = [sys.executable, str(EXPORTER), "--config-only", str(model / "checkpoint_config.json")]
    subprocess.run([*export, "--out", str(scratch / "export")], check=True)
    shutil.rmtree(model / "torchscript", ignore_errors=True)
    for entry in (scratch / "export").iterdir():
        entry.rename(model / entry.name)


def main(model: Path) -> None:
    """Makes what is missing or stale in `model`."""
    model.mkdir(parents=True, exist_ok=True)
    stamp = model / "bench.json"
    wanted = {"weights": WEIGHTS, "exporter_sha256": exporter_hash()}
    found = json.loads(stamp.read_text()) if stamp.is_file() else {}
    has_weights = (model / "model.safetensors").is_file() and found.get("weights") == WEIGHTS
    if has_weights and found == wanted:
        return
    # Beside the model, so that a rename moves nothing and a run that is cut short leaves no half-written file in it.
    with tempfile.TemporaryDirectory(prefix=".making.", dir=model.parent) as scratch:
        if not has_weights:
            stamp.unlink(missing_ok=True)
            print(f"Making 458 M random weights in {model} (1.8 GB on disk; about a minute)", flush=True)
            make_weights(model, Path(scratch))
        # Until the graphs are there, too: a run that is cut short keeps the weights.
        stamp.write_text(json.dumps({"weights": WEIGHTS}))
        print(f"Exporting the graphs into {model}", flush=True)
        make_graphs(model, Path(scratch))
    stamp.write_text(json.dumps(wanted))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]).resolve())
