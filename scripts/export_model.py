#!/usr/bin/env python3
"""Writes a model directory for sam3-tracker from a checkpoint in transformers' layout.

Example: python scripts/export_model.py --checkpoint facebook/sam3 --out models/sam3
"""

import argparse
import importlib.util
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from sam3_tracker_export import interruption
from sam3_tracker_export.errors import ExportError
from sam3_tracker_export.options import DTYPE_NAMES, ExportOptions


def parse_arguments(arguments: list) -> ExportOptions:
    """The options of the command line; exits with status 2 and a usage line where they are wrong."""
    parser = argparse.ArgumentParser(description="Exports SAM3 Tracker as TorchScript graphs and safetensors weights.")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--checkpoint",
        metavar="DIRECTORY_OR_ID",
        help="directory of a sam3_tracker or sam3_video checkpoint, or the id of one on the Hugging Face hub",
    )
    source.add_argument(
        "--config-only",
        metavar="CONFIG_JSON",
        type=Path,
        help="make the graphs of a configuration, without weights and without comparing with transformers",
    )
    parser.add_argument("--out", required=True, type=Path, help="model directory to write, such as models/<id>")
    parser.add_argument(
        "--with-weights", action="store_true", help="put the weights into the graphs instead of model.safetensors"
    )
    parser.add_argument(
        "--weights-dtype",
        choices=["keep", *DTYPE_NAMES],
        default="keep",
        help="dtype of the written weights (default: keep the checkpoint's)",
    )
    parser.add_argument(
        "--verify",
        choices=["full", "quick", "none"],
        help="how far to compare with transformers: full; quick, one encoding of one image, then every prompt, and the "
        "decoder alone with eager attention and in bfloat16; or none (default: full, and quick above 100 million "
        "parameters)",
    )
    values = parser.parse_args(arguments)
    if values.config_only is not None:
        for name in ("with_weights", "verify"):
            if getattr(values, name):
                parser.error(f"--{name.replace('_', '-')} needs the weights of a --checkpoint")
        if values.weights_dtype != "keep":
            parser.error("--weights-dtype needs the weights of a --checkpoint")
    return ExportOptions(**vars(values))


def check_packages(options: ExportOptions) -> None:
    """Raises ExportError that names the packages that `options` need and this Python does not have."""
    needed = ["torch", "safetensors"]
    if options.checkpoint is not None:
        needed.append("numpy")
        if options.verify != "none":
            needed += ["torchvision", "transformers"]
        if not Path(options.checkpoint).exists():
            needed.append("huggingface_hub")
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise ExportError(
            f"{sys.executable or 'this Python'} has no {', '.join(missing)}: "
            f"pip install -r {Path(__file__).resolve().parent / 'requirements.txt'}"
        )


def run(options: ExportOptions) -> None:
    """Exports; an error that comes of a signal becomes KeyboardInterrupt or SystemExit."""
    try:
        check_packages(options)
        # Only now: it imports torch, which takes seconds, and which may not be there.
        from sam3_tracker_export.exporter import export_model

        export_model(options)
    finally:
        interruption.raise_if_interrupted()


def main(arguments: list) -> int:
    """Exports; returns the exit status: 0, 1 with the reason on stderr, or 130 after Ctrl-C. SIGTERM exits with 143."""
    interruption.install_handlers()
    try:
        run(parse_arguments(arguments))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except ExportError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
