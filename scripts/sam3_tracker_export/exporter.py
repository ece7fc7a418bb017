"""The export from start to end: read, build, check, and only then put the directory in its place."""

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Dict, Iterator, Optional

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from . import interruption
from .checkpoint import Checkpoint, read_json
from .config import GraphConfig, tracker_config
from .errors import ExportError
from .graphs import archive_bytes, build_components, parameter_shapes
from .loading import archived_weights, bind_weights, load_components
from .manifest import make_manifest, write_json, write_manifest
from .meta_check import check_on_meta
from .options import DTYPE_NAMES, ExportOptions
from .reference import transformers_version
from .scan import scan_components
from .verify import verify

#: A model larger than this is verified with one encoding only, unless told otherwise.
QUICK_ABOVE_PARAMETERS = 100_000_000

DTYPES = {name: getattr(torch, name) for name in DTYPE_NAMES}


def export_model(options: ExportOptions) -> None:
    """Writes the model directory `options.out`, replacing an earlier export there.

    Everything is written into a folder beside it, checked there and renamed at the end, so that an export that fails
    or is interrupted leaves things as they were. Raises ExportError where the checkpoint or the result is not as it
    must be.
    """
    _check_target(options.out)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    temporary: Optional[Path] = None
    try:
        with interruption.held():
            temporary = Path(tempfile.mkdtemp(prefix=f".{options.out.name}.", dir=options.out.parent))
        temporary.chmod(0o755)
        if options.config_only is not None:
            _export_graphs_only(options, temporary)
        else:
            _export_checkpoint(options, temporary)
        _put_in_place(temporary, options.out)
    finally:
        with interruption.held():
            if temporary is not None:
                shutil.rmtree(temporary, ignore_errors=True)
    print(f"Wrote {options.out}", flush=True)


def _check_target(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise ExportError(f"--out {out} exists and is not a directory.")
    if out.is_dir() and any(out.iterdir()) and not (out / "torchscript" / "manifest.json").is_file():
        raise ExportError(f"--out {out} holds something that is not an earlier export; remove it, or choose another.")


def _export_graphs_only(options: ExportOptions, folder: Path) -> None:
    """Graphs of a configuration alone: nothing to bind and nothing to compare, but scanned and run on meta."""
    config = read_json(options.config_only)
    graph_config = GraphConfig.from_json(config)
    components = make_graphs(folder / "torchscript", graph_config)
    write_json(folder / "config.json", plain_config(config, None))
    write_json(folder / "preprocessor_config.json", default_preprocessor(graph_config))
    count = sum(len(shapes) for shapes in components.values())
    print(f"Made graphs with {count} empty parameters; put a model.safetensors beside them", flush=True)


def _export_checkpoint(options: ExportOptions, folder: Path) -> None:
    checkpoint = Checkpoint.open(options.checkpoint)
    graph_config = checkpoint.graph_config
    dtype = DTYPES.get(options.weights_dtype)
    with _step("Reading weights"):
        expected: Dict[str, list] = {}
        for component in build_components(graph_config).values():
            expected.update(parameter_shapes(component))
        weights = checkpoint.read_weights(expected, dtype)
    if checkpoint.ignored:
        print(f"Left out {len(checkpoint.ignored)} tensors that are not the tracker's: {_some(checkpoint.ignored)}")
    size = sum(tensor.numel() for tensor in weights.values())
    torchscript = folder / "torchscript"
    build_graphs(torchscript, graph_config)
    _check_portable(torchscript, graph_config)

    write_json(folder / "config.json", plain_config(checkpoint.config, dtype and options.weights_dtype))
    preprocessor = checkpoint.preprocessor_config() or default_preprocessor(graph_config)
    write_json(folder / "preprocessor_config.json", preprocessor)
    processor = checkpoint.folder / "processor_config.json"
    if processor.is_file() and not checkpoint.is_nested:
        shutil.copyfile(processor, folder / "processor_config.json")
    with _step(f"Writing {size / 1e6:.1f} M parameters"):
        if options.with_weights:
            _fill_archives(torchscript, weights)
            weights = archived_weights(torchscript)
        else:
            save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
            # safetensors makes files that only their owner can read.
            (folder / "model.safetensors").chmod(0o644)
            weights = load_file(folder / "model.safetensors")
    # Both branches leave what was written, not what was read.
    _verify(options, folder, checkpoint.config, graph_config, weights, size)
    _write_manifest(torchscript, graph_config, options.with_weights)


def make_graphs(folder: Path, config: GraphConfig) -> Dict[str, dict]:
    """Writes the weightless archives and their manifest, scanned and run on the meta device, into the new `folder`.

    Returns the parameter shapes of each component. Raises ExportError where the graphs are not as they must be.
    """
    shapes = build_graphs(folder, config)
    _check_portable(folder, config)
    _write_manifest(folder, config, holds_weights=False)
    return shapes


def build_graphs(folder: Path, config: GraphConfig) -> Dict[str, dict]:
    """Makes the weightless archives in a fresh process; returns the parameter shapes of each component."""
    folder.mkdir()
    with _step("Building graphs"), tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, "graph_config.json")
        file.write_text(json.dumps(config.to_json()), encoding="utf-8")
        package = Path(__file__).resolve().parent
        command = [sys.executable, "-m", f"{package.name}.graphs", str(file), str(folder.resolve())]
        result = subprocess.run(command, cwd=package.parent, capture_output=True, text=True)
        if result.returncode != 0:
            raise ExportError(f"Building the graphs failed:\n{result.stderr.strip()}")
    return {name: parameter_shapes(component) for name, component in build_components(config).items()}


def _check_portable(folder: Path, config: GraphConfig) -> None:
    with _step("Scanning graphs for devices and dtypes, and running them on the meta device"):
        scan_components(load_components(folder), config)
        check_on_meta(folder, config)


def _fill_archives(folder: Path, weights: Dict[str, Tensor]) -> None:
    for name, module in load_components(folder).items():
        bind_weights(module, weights)
        (folder / f"{name}.pt").write_bytes(archive_bytes(module))


def _verify(
    options: ExportOptions, folder: Path, config: dict, graph_config: GraphConfig, weights: Dict[str, Tensor], size: int
) -> None:
    extent = options.verify or ("quick" if size > QUICK_ABOVE_PARAMETERS else "full")
    if extent == "none":
        print("Not verified, as --verify none asks")
        return
    with _step(f"Verifying against transformers {transformers_version()} ({extent})"):
        differences = verify(folder / "torchscript", config, graph_config, weights, full=extent == "full")
    worst = max(differences, key=lambda difference: difference.relative)
    print(
        f"{len(differences)} cases agree; the largest difference is {worst.largest:.3g} at a scale of "
        f"{worst.scale:.4g} ({worst.case}, {worst.output})",
        flush=True,
    )


def _write_manifest(folder: Path, config: GraphConfig, holds_weights: bool) -> None:
    write_manifest(folder / "manifest.json", make_manifest(folder, config, transformers_version(), holds_weights))


def plain_config(config: dict, dtype: Optional[str]) -> dict:
    """config.json of the exported model: a nested tracker_config is brought to the top as a sam3_tracker one."""
    tracker = tracker_config(config)
    result = dict(config)
    if tracker is not config:
        kept = ("vision_config", "prompt_encoder_config", "mask_decoder_config", "initializer_range")
        outer = {name: config[name] for name in ("dtype", "torch_dtype", "transformers_version") if name in config}
        result = {**{name: tracker[name] for name in kept if name in tracker}, **outer}
        result = {"architectures": ["Sam3TrackerModel"], "model_type": "sam3_tracker", **result}
    if dtype is not None:
        result.pop("torch_dtype", None)
        result["dtype"] = dtype
    return result


def default_preprocessor(config: GraphConfig) -> dict:
    """`Sam3ImageProcessor` with its defaults and the sizes of the configuration, for checkpoints that bring none."""
    image, (mask_height, mask_width) = config.vision.image_size, config.vision.backbone_feature_sizes[0]
    return {
        "image_processor_type": "Sam3ImageProcessor",
        "processor_class": "Sam3TrackerProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "resample": 2,
        "size": {"height": image, "width": image},
        "mask_size": {"height": mask_height, "width": mask_width},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "data_format": "channels_first",
    }


def _put_in_place(temporary: Path, out: Path) -> None:
    if not out.exists():
        temporary.rename(out)
        return
    # What the user keeps beside an export (a model card, a licence) stays.
    for entry in out.iterdir():
        if entry.name not in _OWN_FILES:
            copy = shutil.copytree if entry.is_dir() else shutil.copy2
            copy(entry, temporary / entry.name)
    # Between the two renames the earlier export is in a folder that goes away.
    with interruption.held(), tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as replaced:
        out.rename(Path(replaced, out.name))
        try:
            temporary.rename(out)
        except OSError:
            Path(replaced, out.name).rename(out)
            raise


def _some(names: list) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


@contextlib.contextmanager
def _step(what: str) -> Iterator[None]:
    """Says what a long step is before it starts and how long it took after."""
    print(f"{what} ...", flush=True)
    start = time.monotonic()
    try:
        yield
    finally:
        # An error that a signal caused is no finding of this step.
        interruption.raise_if_interrupted()
    print(f"  done in {time.monotonic() - start:.1f} s", flush=True)


_OWN_FILES = {"config.json", "preprocessor_config.json", "processor_config.json", "model.safetensors", "torchscript"}
