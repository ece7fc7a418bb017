"""torchscript/manifest.json: what the graphs are, for programs that load them."""

import hashlib
import json
import re
from pathlib import Path

import torch

from .config import GraphConfig
from .graphs import COMPONENTS, build_components, parameter_shapes
from .interface import component_methods

FORMAT_VERSION = 3


def make_manifest(folder: Path, config: GraphConfig, transformers_version: str, holds_weights: bool) -> dict:
    """The manifest of the archives in `folder`.

    `config_hash` is the sha256 of `graph_config` as canonical JSON (RFC 8785: keys sorted, no white space, numbers as
    ECMAScript writes them). Everything but `made_with` is the same whichever version of transformers was there.
    """
    methods = component_methods(config)
    files = {}
    for name in COMPONENTS:
        data = (folder / f"{name}.pt").read_bytes()
        files[f"{name}.pt"] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    return {
        "format_version": FORMAT_VERSION,
        "torch_version": release(torch.__version__),
        "made_with": {"transformers": transformers_version},
        "config_hash": config.hash(),
        "graph_config": config.to_json(),
        "holds_weights": holds_weights,
        "files": files,
        "components": {
            name: {"methods": methods[name], "parameters": parameter_shapes(component)}
            for name, component in build_components(config).items()
        },
    }


def release(version: str) -> str:
    """A version without its local part: 2.13.0+cpu and 2.13.0+cu130 write the same graphs."""
    return version.partition("+")[0]


def write_json(file: Path, value: dict) -> None:
    """JSON as transformers writes it, indented by two spaces, with a newline at the end."""
    file.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_manifest(file: Path, manifest: dict) -> None:
    """JSON with every shape on one line: a model has hundreds."""
    text = json.dumps(manifest, indent=2, ensure_ascii=False)
    # An innermost list; no string of a manifest holds a bracket.
    text = re.sub(
        r"\[[^\[\]{}]*\]", lambda match: re.sub(r"\s+", " ", match[0]).replace("[ ", "[").replace(" ]", "]"), text
    )
    file.write_text(text + "\n", encoding="utf-8")
