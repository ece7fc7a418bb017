"""The exporter's graph configuration, for test/unit/model/graph-config.test.ts."""

import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
from sam3_tracker_export.config import GraphConfig, canonical_json


def graph_config(text: str) -> dict:
    config = GraphConfig.from_json(json.loads(text))
    return {"json": canonical_json(config.to_json()), "hash": config.hash()}


def video_configurations() -> dict:
    """A default Sam3VideoConfig, which is what transformers' converter gives facebook/sam3: all of it, and as saved."""
    from transformers import Sam3VideoConfig

    config = Sam3VideoConfig(architectures=["Sam3VideoModel"], dtype="float32")
    with tempfile.TemporaryDirectory() as directory:
        config.save_pretrained(directory)
        saved = Path(directory, "config.json").read_text()
    return {"whole": json.dumps(config.to_dict()), "saved": saved}


def canonical(numbers: list) -> str:
    return canonical_json([float(number) for number in numbers])
