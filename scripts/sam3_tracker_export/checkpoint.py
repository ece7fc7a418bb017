"""Reads a checkpoint of transformers' layout: configurations, and the tracker's weights under plain module names."""

import contextlib
import json
import re
from pathlib import Path
from typing import Dict, Iterator, List, Optional

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from .config import GraphConfig, tracker_config
from .errors import ExportError

#: What a checkpoint may hold beside the tracker, as `Sam3TrackerModel._keys_to_ignore_on_load_unexpected` lists it.
_NOT_THE_TRACKERS = re.compile(
    r"detector_model\.|memory_|mask_downsample|object_pointer_proj|temporal_positional_encoding_projection_layer"
    r"|no_memory_positional_encoding|no_object_pointer|occlusion_spatial_embedding_parameter"
)

_FILES = [
    "config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "*.safetensors",
    "*.safetensors.index.json",
]


def canonical_name(name: str) -> str:
    """The plain module name of a weight, from any of the three spellings that transformers reads or writes.

    transformers' own renaming for sam3_tracker, in its order. The detector has a neck of its own, which these
    replacements leave under `detector_model.`: the tracker's is `tracker_neck`.
    """
    name = name.replace("detector_model.vision_encoder.backbone.", "vision_encoder.backbone.")
    name = name.replace("tracker_neck.", "vision_encoder.neck.")
    return name.removeprefix("tracker_model.")


class Checkpoint:
    """A directory with config.json and safetensors files."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.config = read_json(folder / "config.json")
        self.graph_config = GraphConfig.from_json(self.config)
        self.is_nested = tracker_config(self.config) is not self.config
        self.ignored: List[str] = []

    @classmethod
    def open(cls, name: str) -> "Checkpoint":
        """`name` is a directory, or the id of a repository on the hub, which is downloaded into the hub's cache."""
        folder = Path(name)
        if not folder.is_dir():
            if folder.exists() or not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name):
                raise ExportError(f"--checkpoint {name}: no such directory, and not the id of a repository on the hub.")
            folder = _download(name)
        return cls(folder)

    def read_weights(self, expected: Dict[str, list], dtype: Optional[torch.dtype]) -> Dict[str, Tensor]:
        """The weights named in `expected` (name to shape), memory-mapped where `dtype` is None or already theirs.

        Raises ExportError that names every weight that is missing or of another shape, or a file that is damaged.
        """
        sources: Dict[str, tuple] = {}
        for file in self._weight_files():
            with _open_weights(file) as weights:
                for name in weights.keys():  # noqa: SIM118 (safe_open is no mapping)
                    self._add_source(sources, expected, name, file)
        missing = sorted(set(expected) - set(sources))
        if missing:
            raise ExportError(
                f"The checkpoint in {self.folder} misses {len(missing)} of {len(expected)} weights:\n  "
                + "\n  ".join(missing)
            )
        result = self._read_sources(sources, expected)
        if dtype is not None:
            result = {name: tensor.to(dtype) for name, tensor in result.items()}
        return result

    def preprocessor_config(self) -> Optional[dict]:
        """transformers' image processor JSON, from either of the files that may hold it; None if neither does."""
        file = self.folder / "preprocessor_config.json"
        if file.is_file():
            return read_json(file)
        file = self.folder / "processor_config.json"
        return read_json(file).get("image_processor") if file.is_file() else None

    def _add_source(self, sources: dict, expected: Dict[str, list], name: str, file: Path) -> None:
        plain = canonical_name(name)
        if plain not in expected:
            if not _NOT_THE_TRACKERS.match(plain):
                self.ignored.append(name)
            return
        if plain in sources:
            raise ExportError(f"{name} in {file} and {sources[plain][0]} in {sources[plain][1]} are the same weight.")
        sources[plain] = (name, file)

    def _read_sources(self, sources: dict, expected: Dict[str, list]) -> Dict[str, Tensor]:
        wrong: List[str] = []
        result: Dict[str, Tensor] = {}
        for file in sorted({file for _, file in sources.values()}):
            with _open_weights(file) as weights:
                for plain in sorted(name for name, source in sources.items() if source[1] == file):
                    tensor = weights.get_tensor(sources[plain][0])
                    if list(tensor.shape) != expected[plain]:
                        wrong.append(f"{plain}: {list(tensor.shape)}, expected {expected[plain]}")
                    elif not tensor.is_floating_point():
                        wrong.append(f"{plain}: {tensor.dtype}, expected a floating dtype")
                    result[plain] = tensor
        if wrong:
            raise ExportError("Weights that do not fit config.json:\n  " + "\n  ".join(wrong))
        return dict(sorted(result.items()))

    def _weight_files(self) -> List[Path]:
        index = self.folder / "model.safetensors.index.json"
        if index.is_file():
            files = sorted({self.folder / file for file in read_json(index)["weight_map"].values()})
        else:
            files = [self.folder / "model.safetensors"]
        for file in files:
            if not file.is_file():
                raise ExportError(f"{file} does not exist; the weights must be in model.safetensors, or in shards.")
        return files


def read_json(file: Path) -> dict:
    """The object in a JSON file. Raises ExportError if there is none."""
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ExportError(f"{file} does not exist.") from error
    except ValueError as error:
        raise ExportError(f"{file} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ExportError(f"{file} does not hold a JSON object.")
    return value


@contextlib.contextmanager
def _open_weights(file: Path) -> Iterator[safe_open]:
    """An open safetensors file. Raises ExportError with its name where it is damaged, also while it is being read."""
    try:
        with safe_open(file, framework="pt") as weights:
            yield weights
    except (SafetensorError, OSError) as error:
        raise ExportError(f"{file} cannot be read as safetensors; it may be truncated or damaged: {error}") from error


def _download(repository: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    print(f"Fetching {repository} from the Hugging Face hub (kept in the hub's own cache)", flush=True)
    try:
        return Path(snapshot_download(repository, allow_patterns=_FILES))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise ExportError(
            f"--checkpoint {repository} is not a directory here, and the hub did not give it: {error}\n"
            "A gated repository needs its terms accepted and `hf auth login`; without a network pass a directory."
        ) from error
