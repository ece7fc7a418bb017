"""The configuration fields that shape the graphs, read from transformers' JSON of any version without transformers.

`GraphConfig.from_json` fills transformers' defaults, checks that the graphs can be made, and gives the canonical
object behind `config_hash`, which a reader in another language can rebuild from config.json.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any, List

from .errors import ExportError
from .layers import ACTIVATIONS

SCALE_FACTORS = (4.0, 2.0, 1.0, 0.5)


@dataclass(frozen=True)
class VisionGraphConfig:
    """Fields of `Sam3ViTConfig` (first part) and `Sam3VisionConfig` (from fpn_hidden_size on)."""

    hidden_size: int = 1024
    intermediate_size: int = 4736
    num_hidden_layers: int = 32
    num_attention_heads: int = 16
    num_channels: int = 3
    image_size: int = 1008
    patch_size: int = 14
    hidden_act: str = "gelu"
    layer_norm_eps: float = 1e-6
    rope_theta: float = 10000.0
    window_size: int = 24
    global_attn_indexes: List[int] = dataclasses.field(default_factory=lambda: [7, 15, 23, 31])
    pretrain_image_size: int = 336
    fpn_hidden_size: int = 256
    backbone_feature_sizes: List[List[int]] = dataclasses.field(
        default_factory=lambda: [[288, 288], [144, 144], [72, 72]]
    )
    scale_factors: List[float] = dataclasses.field(default_factory=lambda: [4.0, 2.0, 1.0, 0.5])


@dataclass(frozen=True)
class PromptGraphConfig:
    """Fields of `Sam3TrackerPromptEncoderConfig`."""

    hidden_size: int = 256
    image_size: int = 1008
    patch_size: int = 14
    mask_input_channels: int = 16
    num_point_embeddings: int = 4
    hidden_act: str = "gelu"
    layer_norm_eps: float = 1e-6


@dataclass(frozen=True)
class DecoderGraphConfig:
    """Fields of `Sam3TrackerMaskDecoderConfig`."""

    hidden_size: int = 256
    mlp_dim: int = 2048
    num_hidden_layers: int = 2
    num_attention_heads: int = 8
    attention_downsample_rate: int = 2
    num_multimask_outputs: int = 3
    iou_head_depth: int = 3
    iou_head_hidden_dim: int = 256


@dataclass(frozen=True)
class GraphConfig:
    """Everything that shapes the graphs; two configurations with equal fields have byte-identical graphs."""

    vision: VisionGraphConfig
    prompt_encoder: PromptGraphConfig
    mask_decoder: DecoderGraphConfig

    @classmethod
    def from_json(cls, config: dict) -> "GraphConfig":
        """Reads a `Sam3TrackerConfig`, or a sam3_video one with a nested `tracker_config`.

        Raises ExportError for a configuration that is not SAM3 Tracker's or that the reference could not run either.
        """
        config = tracker_config(config)
        vision = dict(_section(config, "vision_config"))
        backbone = dict(_section(vision, "backbone_config", "vision_config."))
        backbone["rope_theta"] = _rope_theta(backbone)
        for name in ("image_size", "pretrain_image_size"):
            backbone[name] = _square(backbone.get(name), f"vision_config.backbone_config.{name}")
        fields = {name: vision.get(name) for name in ("fpn_hidden_size", "backbone_feature_sizes", "scale_factors")}
        # hidden_act and layer_norm_eps exist on both levels; those of the backbone are the ones in use.
        result = cls(
            vision=_read(VisionGraphConfig, {**backbone, **fields}, "vision_config"),
            prompt_encoder=_read(PromptGraphConfig, _section(config, "prompt_encoder_config"), "prompt_encoder_config"),
            mask_decoder=_read(DecoderGraphConfig, _section(config, "mask_decoder_config"), "mask_decoder_config"),
        )
        _check(result)
        return result

    @classmethod
    def from_graph_json(cls, values: dict) -> "GraphConfig":
        """The inverse of `to_json`."""
        kinds = {field.name: field.type for field in dataclasses.fields(cls)}
        return cls(**{name: _read(kind, values[name], name) for name, kind in kinds.items()})

    def to_json(self) -> dict:
        """The `graph_config` object of the manifest."""
        return dataclasses.asdict(self)

    def hash(self) -> str:
        """sha256 (hex) over the canonical JSON (RFC 8785) of `to_json()`: the manifest's `config_hash`."""
        return hashlib.sha256(canonical_json(self.to_json()).encode()).hexdigest()


def tracker_config(config: dict) -> dict:
    """The `Sam3TrackerConfig` object itself, taken out of a sam3_video configuration where it is nested."""
    if not isinstance(config, dict):
        raise ExportError("config.json does not hold an object.")
    nested = config.get("tracker_config")
    if isinstance(nested, dict):
        return nested
    model_type = config.get("model_type", "sam3_tracker")
    if model_type != "sam3_tracker":
        raise ExportError(
            f"config.json is of model_type {model_type!r}; "
            "expected 'sam3_tracker', or 'sam3_video' with a tracker_config."
        )
    return config


def canonical_json(value: Any) -> str:
    """RFC 8785: sorted keys, no white space, numbers as ECMAScript writes them (4.0 is 4, 1e-06 is 0.000001).

    In JavaScript this is JSON.stringify of the value with its keys sorted.
    """
    if isinstance(value, dict):
        return "{" + ",".join(f"{canonical_json(key)}:{canonical_json(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(canonical_json(item) for item in value) + "]"
    if isinstance(value, float):
        return _ecmascript_number(value)
    return json.dumps(value, ensure_ascii=False)


def _ecmascript_number(value: float) -> str:
    """Number::toString of ECMAScript: the same shortest digits as Python's repr, laid out by other rules."""
    if value == 0:
        return "0"
    sign, digits, exponent = "-" if value < 0 else "", *_digits(abs(value))
    point = exponent + len(digits)
    if 0 < point <= 21:
        body = digits.ljust(point, "0") if len(digits) <= point else f"{digits[:point]}.{digits[point:]}"
    elif -6 < point <= 0:
        body = f"0.{'0' * -point}{digits}"
    else:
        power = f"{point - 1:+d}"
        body = f"{digits[0]}{'.' + digits[1:] if len(digits) > 1 else ''}e{power}"
    return sign + body


def _digits(value: float) -> tuple:
    """The shortest decimal digits of a positive float and the power of ten that they are multiplied with."""
    mantissa, _, power = repr(value).partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = fraction.rstrip("0")
    digits, exponent = (whole + fraction).lstrip("0"), int(power or 0) - len(fraction)
    stripped = digits.rstrip("0")
    return stripped, exponent + len(digits) - len(stripped)


def _section(config: dict, name: str, prefix: str = "") -> dict:
    section = config.get(name)
    if section is None:
        return {}
    if not isinstance(section, dict):
        raise ExportError(f"{prefix}{name} must be an object.")
    return section


def _rope_theta(backbone: dict) -> Any:
    """transformers 5.8 writes `rope_theta`, later versions `rope_parameters`."""
    parameters = backbone.get("rope_parameters")
    if parameters is None:
        return backbone.get("rope_theta")
    rope_type = parameters.get("rope_type", "axial")
    if rope_type != "axial":
        raise ExportError(f"rope_parameters.rope_type is {rope_type!r}; only 'axial' is supported.")
    return parameters.get("rope_theta", backbone.get("rope_theta"))


def _square(value: Any, name: str) -> Any:
    if isinstance(value, (list, tuple)):
        if len(value) != 2 or value[0] != value[1]:
            raise ExportError(f"{name} is {list(value)}; only square images are supported.")
        return value[0]
    return value


def _read(kind: type, values: dict, name: str) -> Any:
    """A dataclass from those of `values` that it has a field for; null stands for the default, as in transformers."""
    fields = {}
    for field in dataclasses.fields(kind):
        value = values.get(field.name)
        if value is None:
            continue
        fields[field.name] = _typed(value, field.type, f"{name}.{field.name}")
    return kind(**fields)


def _typed(value: Any, kind: Any, name: str) -> Any:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind is int and number and float(value).is_integer():
        return int(value)
    if kind is float and number:
        return float(value)
    if kind is str and isinstance(value, str):
        return value
    if kind in (List[int], List[float], List[List[int]]) and isinstance(value, (list, tuple)):
        (item_kind,) = kind.__args__
        return [_typed(item, item_kind, f"{name}[{index}]") for index, item in enumerate(value)]
    expected = {int: "an integer", float: "a number", str: "a string"}.get(kind, "a list of numbers")
    raise ExportError(f"{name} is {value!r}; expected {expected}.")


def _check(config: GraphConfig) -> None:
    """Refuses what the reference could not run either, naming the field."""
    vision, prompt, decoder = config.vision, config.prompt_encoder, config.mask_decoder

    def require(condition: bool, message: str) -> None:
        if not condition:
            raise ExportError(f"Unsupported configuration: {message}.")

    for section in (vision, prompt, decoder):
        for field in dataclasses.fields(section):
            value = getattr(section, field.name)
            if field.type is int and field.name != "window_size":
                require(value > 0, f"{field.name} is {value}, and must be positive")
    for name, activation in (("vision_config", vision.hidden_act), ("prompt_encoder_config", prompt.hidden_act)):
        require(
            activation in ACTIVATIONS,
            f"{name} hidden_act {activation!r} is not one of {', '.join(sorted(ACTIVATIONS))}",
        )
    head_dim = vision.hidden_size // vision.num_attention_heads
    require(
        head_dim * vision.num_attention_heads == vision.hidden_size and head_dim % 4 == 0,
        "the vision hidden_size divided by num_attention_heads must be a multiple of 4 for axial rotary positions",
    )
    require(vision.window_size >= 0, f"window_size is {vision.window_size}, and must not be negative")
    require(vision.pretrain_image_size >= vision.patch_size, "pretrain_image_size is smaller than patch_size")
    require(vision.image_size >= vision.patch_size, "image_size is smaller than patch_size")
    require(
        vision.fpn_hidden_size == prompt.hidden_size == decoder.hidden_size,
        f"fpn_hidden_size {vision.fpn_hidden_size}, prompt encoder hidden_size {prompt.hidden_size} and mask decoder "
        f"hidden_size {decoder.hidden_size} must be equal",
    )
    require(decoder.hidden_size % 8 == 0, "the mask decoder's hidden_size must be a multiple of 8")
    internal = decoder.hidden_size // decoder.attention_downsample_rate
    for width in (decoder.hidden_size, internal):
        require(
            width % decoder.num_attention_heads == 0,
            f"the mask decoder's attention width {width} is not a multiple of its {decoder.num_attention_heads} heads",
        )
    require(prompt.mask_input_channels % 4 == 0, "mask_input_channels must be a multiple of 4")
    _check_feature_sizes(config, require)


def _check_feature_sizes(config: GraphConfig, require: Any) -> None:
    vision, prompt = config.vision, config.prompt_encoder
    for scale in vision.scale_factors:
        require(scale in SCALE_FACTORS, f"scale_factors has {scale}; the reference knows 4, 2, 1 and 0.5")
    sizes = vision.backbone_feature_sizes
    require(len(sizes) == 3, f"backbone_feature_sizes names {len(sizes)} maps; the mask decoder takes exactly 3")
    require(len(vision.scale_factors) >= 3, "scale_factors must have at least 3 entries")
    grid = vision.image_size // vision.patch_size
    for size, scale in zip(sizes, vision.scale_factors, strict=False):
        side = int(grid * scale)
        require(
            size == [side, side],
            f"backbone_feature_sizes has {size} where {grid} patches times scale {scale} give {[side, side]}",
        )
    side = sizes[2][0]
    require(
        sizes[1][0] == 2 * side and sizes[0][0] == 4 * side,
        f"backbone_feature_sizes {sizes} must halve from map to map",
    )
    require(
        prompt.image_size // prompt.patch_size == side,
        f"the prompt encoder's {prompt.image_size} / {prompt.patch_size} is not the side {side} of the last map",
    )
