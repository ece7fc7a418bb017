"""Looks through every graph for what ties it to a device, a dtype, a checkpoint or this Python.

One file must run on any device, in any floating dtype, with any weights. The only dtypes a graph may name are the
float32 upcasts that the reference itself fixes, and their number in each method follows from the configuration:

- `aten::to(float32)`: two per layer of the vision transformer (query and key are rotated in float32), three for each
  of its two rotary tables, and one in `embed_masks` (masks are resized in float32);
- `aten::softmax(dtype=float32)`: one per attention of the mask decoder, in the branch for eager attention.

Every other dtype or device that an operator is given must be left out or be that of a tensor.
"""

from collections import Counter
from typing import Dict, Iterator, List, Mapping

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

#: Operators that read the dtype or the device of a tensor. `aten::device` also makes a device of a string.
_TENSOR_PROPERTIES = {"dtype": {"prim::dtype"}, "device": {"prim::device", "aten::device"}}


def allowed_upcasts(config: GraphConfig, method: str) -> Counter:
    """How often each operator may name float32 in an exported method."""
    if method.startswith("get_image_"):
        tables = 2 * 3
        return Counter({"aten::to": tables + 2 * config.vision.num_hidden_layers})
    if method == "embed_masks":
        return Counter({"aten::to": 1})
    if method.startswith("decode") and method != "decode_prepared":
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
    sources = _value_sources(graph)
    for node in _nodes(graph):
        kind = node.kind()
        if not kind.startswith(("aten::", "prim::")) or kind in _DEVICE_OPERATORS or kind == "prim::PythonOp":
            findings.append(f"operator {kind}")
        elif kind == "prim::Constant":
            findings.extend(_constant_findings(node))
        elif kind == "prim::GetAttr":
            findings.extend(_attribute_findings(node, parameters))
        elif kind.startswith("aten::"):
            findings.extend(_operator_findings(node, sources, found))
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


def _value_sources(graph: torch.Graph) -> Dict[str, List[torch.Value]]:
    """For each value that control flow or a cast passes on, by its unique name: the values it may be."""
    sources: Dict[str, List[torch.Value]] = {}
    for node in _nodes(graph):
        kind, blocks = node.kind(), list(node.blocks())
        if kind == "prim::If":
            for index, output in enumerate(node.outputs()):
                sources[output.debugName()] = [list(block.outputs())[index] for block in blocks]
        elif kind == "prim::Loop":
            # A loop takes its trip count and its condition before the values that it carries, its body the number of
            # the iteration, and the body gives the next condition.
            initial, body = list(node.inputs())[2:], blocks[0]
            following, carried = list(body.outputs())[1:], list(body.inputs())[1:]
            for values in zip(node.outputs(), carried, initial, following, strict=True):
                for passed in values[:2]:
                    sources[passed.debugName()] = list(values[2:])
        elif kind == "prim::unchecked_cast":
            sources[node.output().debugName()] = list(node.inputs())
    return sources


def _origins(value: torch.Value, sources: Mapping[str, List[torch.Value]]) -> List[torch.Value]:
    """The values that `value` may be once control flow is followed back. A branch that raises adds none."""
    origins: List[torch.Value] = []
    seen, waiting = set(), [value]
    while waiting:
        current = waiting.pop()
        name = current.debugName()
        if name in seen:
            continue
        seen.add(name)
        if name in sources:
            waiting.extend(reversed(sources[name]))
        elif current.node().kind() != "prim::Uninitialized":
            origins.append(current)
    return origins


def _is_of_tensor(value: torch.Value, what: str) -> bool:
    node = value.node()
    return node.kind() in _TENSOR_PROPERTIES[what] and [v.type().kind() for v in node.inputs()] == ["TensorType"]


def _choice_findings(
    node: torch.Node, name: str, what: str, value: torch.Value, sources: Mapping[str, List[torch.Value]]
) -> List[str]:
    """Where the dtype or device of an operator, which is no constant, may come from, other than from tensors."""
    origins = _origins(value, sources)
    others = sorted({_describe(origin) for origin in origins if not _is_of_tensor(origin, what)})
    if not origins:
        others = ["nowhere"]
    return [f"{node.kind()} takes its {name} from {', '.join(others)}, not from a tensor"] if others else []


def _describe(value: torch.Value) -> str:
    kind = value.node().kind()
    if kind == "prim::Constant":
        return f"constant {value.toIValue()}"
    return "an argument" if kind == "prim::Param" else kind


def _is_constant(value: torch.Value) -> bool:
    return value.node().kind() == "prim::Constant"


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


def _operator_findings(node: torch.Node, sources: Mapping[str, List[torch.Value]], found: Counter) -> List[str]:
    findings: List[str] = []
    arguments = torch._C.parse_schema(node.schema()).arguments
    # Not strict: aten::format, in messages of torch's own checks, takes any number of values.
    inputs = {argument.name: value for argument, value in zip(arguments, node.inputs(), strict=False)}
    makes_tensor = "dtype" in inputs and not _takes_tensor(node)
    for name, value in inputs.items():
        what = name.rpartition("_")[2]
        if what not in _TENSOR_PROPERTIES:
            continue
        if not _is_constant(value):
            findings.extend(_choice_findings(node, name, what, value, sources))
        elif what == "dtype":
            findings.extend(_dtype_findings(node, value, makes_tensor, inputs, found))
        elif makes_tensor:
            # Any other device that is a constant is found as that constant.
            findings.append(f"{node.kind()} makes a tensor on a device of its own choice")
    return findings


def _dtype_findings(
    node: torch.Node, dtype: torch.Value, makes_tensor: bool, inputs: dict, found: Counter
) -> List[str]:
    kind = node.kind()
    value = dtype.toIValue()
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
