"""Answers calls of functions of scripts from test/support/python.ts: one JSON object a line in, one out.

A script that is also run by itself imports this module first: it makes transformers importable beside a CPU torch.
"""

import functools
import importlib.util
import json
import math
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import torch

torch.set_num_threads(1)
sys.path.append(str(Path(__file__).resolve().parents[2] / "scripts"))

from sam3_tracker_export.reference import declare_torchvision_operators  # noqa: E402

#: The schemas of torchvision's operators, for scripts that implement one; None where the compiled ones load.
torchvision_operators = declare_torchvision_operators()


@functools.cache
def _load(script: str) -> ModuleType:
    """Runs a script, once."""
    spec = importlib.util.spec_from_file_location(script, script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _plain(value: Any) -> Any:
    """Tensors and arrays as {dtype, dims, data}; NaN and infinities as strings, for which JSON has no numbers."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        return {
            "dtype": str(value.dtype).removeprefix("torch."),
            "dims": list(value.shape),
            "data": _plain(value.flatten().tolist()),
        }
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return {"dtype": str(value.dtype), "dims": list(value.shape), "data": _plain(value.reshape(-1).tolist())}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict) or hasattr(value, "items"):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def serve() -> None:
    """Answers until the input ends."""
    # Whatever a library prints must not be taken for an answer.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"result": _plain(getattr(_load(request["script"]), request["method"])(**request["args"]))}
        except Exception as error:
            answer = {"error": {"type": type(error).__name__, "message": str(error)}}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    # For scripts that import this one.
    sys.modules["reference"] = sys.modules["__main__"]
    serve()
