#!/usr/bin/env python3
"""Writes a model directory for sam3-tracker from a checkpoint in transformers' layout.

Example: python scripts/export_model.py --checkpoint facebook/sam3 --out models/sam3
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from sam3_tracker_export.errors import ExportError
from sam3_tracker_export.exporter import DTYPES, ExportOptions, export_model


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
        choices=["keep", *DTYPES],
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


def main(arguments: list) -> int:
    """Exports; returns the exit status: 0, or 1 with the reason on stderr."""
    options = parse_arguments(arguments)
    try:
        export_model(options)
    except ExportError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
