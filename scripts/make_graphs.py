#!/usr/bin/env python3
"""Makes the graphs of every model in models/ again, from its config.json alone: what `npm run graphs` runs.

With --check nothing is written: each file that differs from what the exporter gives is named, and the status is 1.
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import List, Optional

sys.path.insert(0, str(Path(__file__).resolve().parent))

from sam3_tracker_export.checkpoint import read_json
from sam3_tracker_export.config import GraphConfig
from sam3_tracker_export.errors import ExportError
from sam3_tracker_export.exporter import build_graphs, make_graphs
from sam3_tracker_export.graphs import COMPONENTS
from sam3_tracker_export.manifest import make_manifest

MODELS = Path(__file__).resolve().parent.parent / "models"


def stale_files(model: Path) -> List[Path]:
    """The files of `model`/torchscript that are not what this exporter gives for `model`/config.json.

    The version of transformers in the manifest is no matter: the graphs do not depend on it.
    """
    config = GraphConfig.from_json(read_json(model / "config.json"))
    committed = model / "torchscript"
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch, "torchscript")
        build_graphs(made, config)
        manifest = _read_manifest(committed / "manifest.json")
        wanted = make_manifest(made, config, (manifest or {}).get("made_with", {}).get("transformers"), False)
        stale = [] if manifest == wanted else [committed / "manifest.json"]
        for name in COMPONENTS:
            file = committed / f"{name}.pt"
            if not file.is_file() or file.read_bytes() != (made / file.name).read_bytes():
                stale.append(file)
    return stale


def remake(model: Path) -> None:
    """Replaces `model`/torchscript by graphs that have passed every check of the exporter."""
    config = GraphConfig.from_json(read_json(model / "config.json"))
    with tempfile.TemporaryDirectory(prefix=".torchscript.", dir=model) as scratch:
        made = Path(scratch, "torchscript")
        make_graphs(made, config)
        shutil.rmtree(model / "torchscript", ignore_errors=True)
        made.rename(model / "torchscript")


def _read_manifest(file: Path) -> Optional[dict]:
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


def main(arguments: List[str]) -> int:
    """Makes or checks; returns the exit status."""
    parser = argparse.ArgumentParser(description="Makes the graphs of the models in models/ from their config.json.")
    parser.add_argument("--check", action="store_true", help="write nothing; name what differs, with status 1")
    check = parser.parse_args(arguments).check
    stale: List[Path] = []
    try:
        for file in sorted(MODELS.glob("*/config.json")):
            print(f"{file.parent.name}:", flush=True)
            if check:
                stale += stale_files(file.parent)
            else:
                remake(file.parent)
    except ExportError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for file in stale:
        print(
            f"{file.relative_to(MODELS.parent)} is not what the exporter gives: run `npm run graphs`", file=sys.stderr
        )
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
