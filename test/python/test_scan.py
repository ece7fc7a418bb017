"""The scan and the run on the meta device fail on what ties a graph to a device or a dtype."""

import json
import tempfile
import unittest
from collections import Counter
from pathlib import Path
from typing import Optional
from unittest import mock

import torch
from torch import Tensor, nn

from random_models import config_dict
from sam3_tracker_export import prompt_encoder
from sam3_tracker_export.config import GraphConfig
from sam3_tracker_export.errors import ExportError
from sam3_tracker_export.graphs import archive_bytes, build_components, script_without_weights
from sam3_tracker_export.loading import load_components
from sam3_tracker_export.meta_check import check_on_meta
from sam3_tracker_export.scan import allowed_upcasts, scan_components, scan_graph

torch.set_num_threads(1)
CONFIG = GraphConfig.from_json(config_dict("default-like"))


class ConvertingPromptComponent(prompt_encoder.PromptComponent):
    """The prompt component with a dtype of its own in one method and a device of its own in another."""

    @torch.jit.export
    def embed_no_prompt(self, batch_size: int) -> Tensor:
        return self.prompt_encoder.not_a_point_embed.weight.to(torch.float16).repeat(batch_size, 1, 2, 1)

    @torch.jit.export
    def embed_no_mask(self, batch_size: int) -> Tensor:
        size = self.prompt_encoder.image_embedding_size
        weight = self.prompt_encoder.no_mask_embed.weight.to(torch.device("cpu"))
        return weight.reshape(1, -1, 1, 1).expand(batch_size, -1, size, size)


class BranchingPromptComponent(prompt_encoder.PromptComponent):
    """The prompt component with a dtype that it chooses by the batch size."""

    @torch.jit.export
    def embed_no_prompt(self, batch_size: int) -> Tensor:
        dtype = self.prompt_encoder.not_a_point_embed.weight.dtype
        if batch_size > 8:
            dtype = torch.bfloat16
        return self.prompt_encoder.not_a_point_embed.weight.to(dtype).repeat(batch_size, 1, 2, 1)


def graph_findings(function, upcasts=None) -> list:
    return scan_graph(torch.jit.script(function).inlined_graph, set(), Counter(upcasts or {}))


class ExportedGraphsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        for name, module in build_components(CONFIG).items():
            (cls.folder / f"{name}.pt").write_bytes(archive_bytes(script_without_weights(module)))

    def test_the_graphs_are_portable(self):
        scan_components(load_components(self.folder), CONFIG)
        for dtype in (torch.bfloat16, torch.float32):
            self.assertEqual(check_on_meta(self.folder, CONFIG, dtype), 28)

    def test_the_graphs_of_the_bundled_model_are_portable(self):
        model = Path(__file__).resolve().parents[2] / "models" / "sam3-tracker-tiny"
        config = GraphConfig.from_json(json.loads((model / "config.json").read_text()))
        scan_components(load_components(model / "torchscript"), config)

    def test_an_injected_device_and_dtype_are_found(self):
        with torch.device("meta"):
            module = ConvertingPromptComponent(CONFIG).eval()
        original = self.folder / "prompt_encoder.pt"
        data = original.read_bytes()
        self.addCleanup(original.write_bytes, data)
        original.write_bytes(archive_bytes(script_without_weights(module)))
        with self.assertRaises(ExportError) as caught:
            scan_components(load_components(self.folder), CONFIG)
        message = str(caught.exception)
        self.assertIn("prompt_encoder.embed_no_prompt: aten::to names dtype 5", message)
        self.assertIn("prompt_encoder.embed_no_mask: constant device cpu", message)
        self.assertEqual(message.count("\n"), 2)
        with self.assertRaises(ExportError) as caught:
            check_on_meta(self.folder, CONFIG)
        self.assertIn("embed_no_prompt: sparse is [2, 1, 2, 32] torch.float16", str(caught.exception))
        self.assertIn("embed_no_mask", str(caught.exception))

    def test_a_dtype_that_a_branch_chooses_is_found(self):
        with torch.device("meta"):
            module = BranchingPromptComponent(CONFIG).eval()
        components = {**load_components(self.folder), "prompt_encoder": script_without_weights(module)}
        with self.assertRaises(ExportError) as caught:
            scan_components(components, CONFIG)
        finding = "prompt_encoder.embed_no_prompt: aten::to takes its dtype from constant 15, not from a tensor"
        self.assertEqual(str(caught.exception).splitlines()[1:], [f"  {finding}"])

    def test_a_missing_method_and_other_parameters_are_found(self):
        components = load_components(self.folder)
        components["mask_decoder"] = components["prompt_encoder"]
        with self.assertRaisesRegex(ExportError, "mask_decoder.decode: missing"):
            scan_components(components, CONFIG)
        other = GraphConfig.from_json(config_dict("three-scales"))
        with self.assertRaisesRegex(ExportError, "other parameters than the configuration has"):
            scan_components(load_components(self.folder), other)

    def test_one_upcast_more_or_less_is_found(self):
        components = load_components(self.folder)
        for change in (-1, 1):

            def changed(config: GraphConfig, method: str, change: int = change) -> Counter:
                return Counter({operator: n + change for operator, n in allowed_upcasts(config, method).items()})

            with (
                mock.patch("sam3_tracker_export.scan.allowed_upcasts", changed),
                self.assertRaisesRegex(ExportError, "names float32"),
            ):
                scan_components(components, CONFIG)


class RulesTest(unittest.TestCase):
    def test_each_rule(self):
        def default_dtype(x: Tensor) -> Tensor:
            return x + torch.zeros([2], device=x.device)

        def default_device(x: Tensor) -> Tensor:
            return x + torch.arange(2)

        def own_dtype(x: Tensor) -> Tensor:
            return x.double()

        def own_dtype_of_new(x: Tensor) -> Tensor:
            return x.new_zeros([2], dtype=torch.float32)

        def own_device(x: Tensor) -> Tensor:
            return x.cuda()

        def number(x: Tensor) -> Tensor:
            return x * torch.tensor(2.0)

        def upcast(x: Tensor) -> Tensor:
            return x.float()

        def portable(x: Tensor) -> Tensor:
            steps = torch.arange(2, device=x.device).to(x.dtype)
            return (x.new_ones([2]) + torch.zeros_like(x) + steps).type_as(x)

        self.assertRegex(str(graph_findings(default_dtype)), "aten::zeros makes a tensor of the default dtype")
        self.assertRegex(str(graph_findings(default_device)), "aten::arange makes a tensor on a device of its own")
        self.assertRegex(str(graph_findings(own_dtype)), "aten::to names dtype 7")
        self.assertRegex(str(graph_findings(own_dtype_of_new)), "aten::new_zeros names dtype 6")
        self.assertRegex(str(graph_findings(own_device)), "aten::cuda")
        self.assertRegex(str(graph_findings(number)), "aten::tensor makes a tensor")
        self.assertRegex(str(graph_findings(upcast)), "aten::to names float32 1 times, the reference 0 times")
        self.assertEqual(graph_findings(upcast, {"aten::to": 1}), [])
        self.assertEqual(graph_findings(portable), [])

    def test_a_dtype_chosen_on_the_way_is_found(self):
        def branch(x: Tensor) -> Tensor:
            dtype = torch.float16
            if x.size(0) > 2:
                dtype = torch.bfloat16
            return x.to(dtype)

        def branch_with_a_tensor(x: Tensor) -> Tensor:
            dtype = x.dtype
            if x.size(0) > 2:
                dtype = torch.float32
            return x.to(dtype)

        def loop(x: Tensor) -> Tensor:
            dtype = x.dtype
            for _ in range(x.size(0)):
                x = x.to(dtype)
                dtype = torch.float16
            return x

        def left_out(x: Tensor) -> Tensor:
            dtype: Optional[torch.dtype] = None
            if x.size(0) > 2:
                dtype = x.dtype
            return torch.zeros_like(x, dtype=dtype)

        def argument(x: Tensor, dtype: torch.dtype) -> Tensor:
            return x.to(dtype)

        def listed(x: Tensor) -> Tensor:
            return x.to([torch.float16, torch.bfloat16][x.size(0)])

        for function, operator, origin in (
            (branch, "to", "constant 15, constant 5"),
            (branch_with_a_tensor, "to", "constant 6"),
            (loop, "to", "constant 5"),
            (left_out, "zeros_like", "constant None"),
            (argument, "to", "an argument"),
            (listed, "to", "aten::__getitem__"),
        ):
            with self.subTest(function.__name__):
                finding = f"aten::{operator} takes its dtype from {origin}, not from a tensor"
                # No allowance for an upcast makes up for it.
                self.assertEqual(graph_findings(function), [finding])
                self.assertIn(finding, graph_findings(function, {"aten::to": 1}))

    def test_a_device_chosen_on_the_way_is_found(self):
        def branch(x: Tensor) -> Tensor:
            device = x.device
            if x.size(0) > 2:
                device = torch.device("cuda:1")
            return x.to(device)

        def named(x: Tensor, name: str) -> Tensor:
            return x.to(torch.device(name))

        def argument(x: Tensor, device: torch.device) -> Tensor:
            return torch.zeros([2], dtype=x.dtype, device=device)

        def left_out(x: Tensor) -> Tensor:
            device: Optional[torch.device] = None
            if x.size(0) > 2:
                device = x.device
            return torch.zeros([2], dtype=x.dtype, device=device)

        for function, operator, origin in (
            (branch, "to", "constant cuda:1"),
            (named, "to", "aten::device"),
            (argument, "zeros", "an argument"),
            (left_out, "zeros", "constant None"),
        ):
            with self.subTest(function.__name__):
                self.assertIn(
                    f"aten::{operator} takes its device from {origin}, not from a tensor", graph_findings(function)
                )

    def test_the_dtype_and_device_of_tensors_pass_any_way(self):
        def branch(x: Tensor, y: Tensor) -> Tensor:
            dtype, device = x.dtype, x.device
            if x.size(0) > 2:
                dtype, device = y.dtype, y.device
            return x.to(dtype) + torch.zeros([2], dtype=dtype, device=device)

        def raising(x: Tensor, y: Tensor) -> Tensor:
            if x.size(0) > 2:
                dtype = y.dtype
            else:
                raise ValueError("small")
            return x.to(dtype)

        def loop(x: Tensor, y: Tensor) -> Tensor:
            dtype, device = x.dtype, x.device
            for _ in range(x.size(0)):
                x = x.to(dtype).to(device)
                dtype, device = y.dtype, y.device
            return x.to(dtype).to(device)

        def cast(x: Tensor) -> Tensor:
            return torch.nn.functional.softmax(x, dim=0, dtype=x.dtype)

        for function, kind in (
            (branch, "prim::If"),
            (raising, "prim::Uninitialized"),
            (loop, "prim::Loop"),
            (cast, "prim::unchecked_cast"),
        ):
            with self.subTest(function.__name__):
                self.assertIn(kind, str(torch.jit.script(function).inlined_graph))
                self.assertEqual(graph_findings(function), [])

    def test_tensor_constants(self):
        def traced(x: Tensor) -> Tensor:
            return x + torch.ones(3)

        graph = torch.jit.trace(traced, torch.zeros(3)).inlined_graph
        self.assertRegex(str(scan_graph(graph, set(), Counter())), "constant device cpu")

        class Holder(nn.Module):
            def __init__(self):
                super().__init__()
                self.table = torch.ones(3)

            def forward(self, x: Tensor) -> Tensor:
                return x + self.table

        self.assertRegex(str(graph_findings(Holder())), "tensor attribute table is no parameter")
        frozen = torch.jit.freeze(torch.jit.script(Holder()).eval()).inlined_graph
        self.assertRegex(str(scan_graph(frozen, set(), Counter())), "constant Tensor")


if __name__ == "__main__":
    unittest.main()
