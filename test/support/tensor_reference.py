"""Calls of torch for test/unit/tensor-operators.test.ts, which compares a Tensor with them."""

from typing import Any

import torch


def _tensor(spec: dict[str, Any]) -> torch.Tensor:
    """A tensor of a dtype and dims, seen through the views that are named."""
    tensor = torch.tensor(spec["data"], dtype=torch.float64).to(getattr(torch, spec["dtype"])).reshape(spec["dims"])
    for name, args in spec["views"]:
        tensor = tensor[tuple(slice(*axis) for axis in args)] if name == "slice" else getattr(tensor, name)(*args)
    return tensor


def _argument(value: Any) -> Any:
    if isinstance(value, dict) and "views" in value:
        return _tensor(value)
    if isinstance(value, list):
        return [_argument(item) for item in value]
    return value


def _interpolate(image: torch.Tensor, size: list[int], mode: str, align_corners: bool, antialias: bool) -> torch.Tensor:
    """torch's, for images of two to four axes as ours."""
    options = {} if mode.startswith("nearest") and not align_corners else {"align_corners": align_corners}
    whole = image.reshape((1,) * (4 - image.dim()) + tuple(image.shape))
    resized = torch.nn.functional.interpolate(whole, size, mode=mode, antialias=antialias, **options)
    return resized.reshape(tuple(image.shape[:-2]) + tuple(size))


FUNCTIONS = {
    "interpolate": _interpolate,
    "normalize": torch.nn.functional.normalize,
    "std_mean": lambda tensor, dim, correction, keepdim: torch.std_mean(
        tensor, dim=dim, correction=correction, keepdim=keepdim
    ),
}


def call(cases: list[dict[str, Any]]) -> list[Any]:
    """The results of calls of methods or functions; the type of an exception where torch refuses one."""
    answers = []
    for case in cases:
        name, args = case["name"], _argument(case["args"])
        try:
            if name in FUNCTIONS:
                result = FUNCTIONS[name](*args)
            elif name in ("cat", "stack", "matmul", "topk"):
                result = getattr(torch, name)(*args)
            else:
                result = getattr(args[0], name)(*args[1:])
            answers.append(list(result) if isinstance(result, tuple) and name != "stride" else [result])
        except (RuntimeError, IndexError, ValueError, TypeError) as error:
            answers.append({"refused": type(error).__name__})
    return answers
