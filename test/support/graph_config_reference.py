"""The exporter's graph configuration, for test/graph-config.test.ts."""

import json
import sys
from pathlib import Path

import reference

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
from sam3_tracker_export.config import GraphConfig, canonical_json


@reference.register
def graph_config(text: str) -> dict:
    config = GraphConfig.from_json(json.loads(text))
    return {"json": canonical_json(config.to_json()), "hash": config.hash()}


@reference.register
def canonical(numbers: list) -> str:
    return canonical_json([float(number) for number in numbers])


reference.serve()
