"""Makes the weightless graphs of a configuration.

Run as a program (`python -m sam3_tracker_export.graphs CONFIG.json FOLDER`) it writes the three archives. The exporter
does so in a process of its own: TorchScript numbers the types of a process in the order in which they come up, so that
only a fresh process gives the same bytes every time. Imports torch alone, hence no version of transformers matters.
"""

import io
import json
import sys
import warnings
from pathlib import Path
from typing import Dict

import torch
from torch import nn

from .archive import rewrite_archive
from .config import GraphConfig
from .decoder_component import DecoderComponent
from .prompt_encoder import PromptComponent
from .vision_encoder import VisionComponent

COMPONENTS = {
    "vision_encoder": VisionComponent,
    "prompt_encoder": PromptComponent,
    "mask_decoder": DecoderComponent,
}


def silence_deprecation() -> None:
    """Silences torch's notice that TorchScript is deprecated, and no other warning."""
    warnings.filterwarnings("ignore", message=r"`torch\.jit\.\w+` is deprecated", category=DeprecationWarning)


def build_components(config: GraphConfig) -> Dict[str, nn.Module]:
    """The three components on the meta device: shapes and names, no storage."""
    with torch.device("meta"):
        return {name: kind(config).eval() for name, kind in COMPONENTS.items()}


def parameter_shapes(component: nn.Module) -> Dict[str, list]:
    """The shape of every parameter and buffer by its name, as transformers names it."""
    return {name: list(tensor.shape) for name, tensor in component.state_dict().items()}


def script_without_weights(component: nn.Module) -> torch.jit.ScriptModule:
    """Scripts a component whose parameters and buffers are empty: shape (0, *true_shape), float32, on the CPU."""
    for module in component.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            empty = nn.Parameter(torch.empty((0, *parameter.shape), dtype=torch.float32), requires_grad=False)
            setattr(module, name, empty)
        for name, buffer in list(module.named_buffers(recurse=False)):
            setattr(module, name, torch.empty((0, *buffer.shape), dtype=torch.float32))
    silence_deprecation()
    return torch.jit.script(component)


def archive_bytes(module: torch.jit.ScriptModule) -> bytes:
    """The deterministic archive of a scripted module."""
    silence_deprecation()
    buffer = io.BytesIO()
    torch.jit.save(module, buffer)
    return rewrite_archive(buffer.getvalue())


def main(config_path: str, folder: str) -> None:
    """Writes the three archives for the canonical configuration in `config_path` into `folder`."""
    values = json.loads(Path(config_path).read_text(encoding="utf-8"))
    config = GraphConfig.from_graph_json(values)
    for name, component in build_components(config).items():
        Path(folder, f"{name}.pt").write_bytes(archive_bytes(script_without_weights(component)))


if __name__ == "__main__":
    main(*sys.argv[1:])
