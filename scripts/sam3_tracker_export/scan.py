"""Looks through every graph for what ties it to a device, a dtype, a checkpoint or this Python.

One file must run on any device, in any floating dtype, with any weights. The only dtypes a graph may name are the
float32 upcasts that the reference itself fixes, and their number in each method follows from the configuration:

- `aten::to(float32)`: two per layer of the vision transformer (query and key are rotated in float32), three for each
  of its two rotary tables, and one in `embed_masks` (masks are resized in float32);
- `aten::softmax(dtype=float32)`: one per attention of the mask decoder, in the branch for eager attention.
"""

from collections import Counter
from typing import Dict, Iterator, List

import torch

from .config import GraphConfig
from .errors import ExportError
from .graphs import build_components, parameter_shapes
from .interface import component_methods
from .loading import archived_shapes

#: c10::ScalarType::Float, as TorchScript writes torch.float32 in a graph.
_FLOAT32 = 6

#: Operators that move to a device by name.
_DEVICE_OPERATORS = {"aten::cpu", "aten::cuda"}


def allowed_upcasts(config: GraphConfig, method: str) -> Counter:
    """How often each operator may name float32 in an exported method."""
    if method.startswith("get_image_"):
        tables = 2 * 3
        return Counter({"aten::to": tables + 2 * config.vision.num_hidden_layers})
    if method == "embed_masks":
        return Counter({"aten::to": 1})
    if method.startswith("decode"):
        # Self-attention and both cross attentions of each block, and the final attention.
        return Counter({"aten::softmax": 3 * config.mask_decoder.num_hidden_layers + 1})
    return Counter()


def scan_components(components: Dict[str, torch.jit.ScriptModule], config: GraphConfig) -> None:
    """Scans loaded components. Raises ExportError that lists everything found."""
    findings: List[str] = []
    shapes = {name: parameter_shapes(component) for name, component in build_components(config).items()}
    for name, methods in component_methods(config).items():
        module = components[name]
        if archived_shapes(module) != shapes[name]:
            findings.append(f"{name}: other parameters than the configuration has")
        parameters = set(shapes[name])
        for method in (entry["name"] for entry in methods):
            if not module._c._has_method(method):
                findings.append(f"{name}.{method}: missing")
                continue
            graph = getattr(module, method).inlined_graph
            for finding in scan_graph(graph, parameters, allowed_upcasts(config, method)):
                findings.append(f"{name}.{method}: {finding}")
    if findings:
        raise ExportError("The graphs are not portable:\n  " + "\n  ".join(findings))


def scan_graph(graph: torch.Graph, parameters: set, upcasts: Counter) -> List[str]:
    """What is wrong in one inlined graph: one line per finding, none for a portable graph.

    `parameters` are the names of tensors that weights are bound to, `upcasts` how often each operator must name
    float32.
    """
    findings: List[str] = []
    found = Counter()
    for node in _nodes(graph):
        kind = node.kind()
        if not kind.startswith(("aten::", "prim::")) or kind in _DEVICE_OPERATORS or kind == "prim::PythonOp":
            findings.append(f"operator {kind}")
        elif kind == "prim::Constant":
            findings.extend(_constant_findings(node))
        elif kind == "prim::GetAttr":
            findings.extend(_attribute_findings(node, parameters))
        elif kind.startswith("aten::"):
            findings.extend(_operator_findings(node, found))
    for operator in sorted(set(found) | set(upcasts)):
        if found[operator] != upcasts[operator]:
            findings.append(
                f"{operator} names float32 {found[operator]} times, the reference {upcasts[operator]} times"
            )
    return findings


def _nodes(block: object) -> Iterator[torch.Node]:
    for node in block.nodes():
        yield node
        for inner in node.blocks():
            yield from _nodes(inner)


def _is_constant(value: torch.Value) -> bool:
    return value.node().kind() == "prim::Constant"


def _constant(value: torch.Value) -> object:
    return value.toIValue() if _is_constant(value) else None


def _constant_findings(node: torch.Node) -> List[str]:
    value = node.output().toIValue()
    values = value if isinstance(value, (list, tuple)) else [value]
    return [
        f"constant {type(item).__name__} {str(item).splitlines()[0]}"
        for item in values
        if isinstance(item, (torch.Tensor, torch.device))
    ]


def _attribute_findings(node: torch.Node, parameters: set) -> List[str]:
    if node.output().type().kind() != "TensorType":
        return []
    path = [node.s("name")]
    owner = node.input().node()
    while owner.kind() == "prim::GetAttr":
        path.insert(0, owner.s("name"))
        owner = owner.input().node()
    name = ".".join(path)
    return [] if name in parameters else [f"tensor attribute {name} is no parameter"]


def _operator_findings(node: torch.Node, found: Counter) -> List[str]:
    findings: List[str] = []
    arguments = torch._C.parse_schema(node.schema()).arguments
    # Not strict: aten::format, in messages of torch's own checks, takes any number of values.
    inputs = {argument.name: value for argument, value in zip(arguments, node.inputs(), strict=False)}
    makes_tensor = "dtype" in inputs and not _takes_tensor(node)
    dtype = inputs.get("dtype")
    if dtype is not None:
        findings.extend(_dtype_findings(node, dtype, makes_tensor, inputs, found))
    device = inputs.get("device")
    if device is not None and makes_tensor and _is_constant(device):
        findings.append(f"{node.kind()} makes a tensor on a device of its own choice")
    return findings


def _dtype_findings(
    node: torch.Node, dtype: torch.Value, makes_tensor: bool, inputs: dict, found: Counter
) -> List[str]:
    kind = node.kind()
    if not _is_constant(dtype):
        return []
    value = _constant(dtype)
    if value is None:
        # Without a dtype a new tensor is of torch's default one, unless it counts in integers.
        integers = kind == "aten::arange" and all(
            str(inputs[name].type()) == "int" for name in ("start", "end", "step") if name in inputs
        )
        return [f"{kind} makes a tensor of the default dtype"] if makes_tensor and not integers else []
    if value == _FLOAT32 and kind in ("aten::to", "aten::softmax"):
        found[kind] += 1
        return []
    return [f"{kind} names dtype {value}"]


def _takes_tensor(node: torch.Node) -> bool:
    return any("Tensor" in str(value.type()) for value in node.inputs())
