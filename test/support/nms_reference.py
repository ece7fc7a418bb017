"""torchvision's nms for transformers' mask-generation pipeline, where the compiled one does not load."""

import reference
import torch
import torchvision


def _nms(dets: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """torchvision's nms_kernel for the CPU, whose compiled form does not load beside a CPU torch."""
    x1, y1, x2, y2 = dets.unbind(1)
    areas = (x2 - x1) * (y2 - y1)
    order = scores.sort(stable=True, dim=0, descending=True)[1].tolist()
    suppressed = torch.zeros(len(dets), dtype=torch.bool)
    keep = []
    for position, i in enumerate(order):
        if suppressed[i]:
            continue
        keep.append(i)
        rest = torch.tensor(order[position + 1 :], dtype=torch.long)
        width = (torch.minimum(x2[i], x2[rest]) - torch.maximum(x1[i], x1[rest])).clamp(min=0)
        height = (torch.minimum(y2[i], y2[rest]) - torch.maximum(y1[i], y1[rest])).clamp(min=0)
        intersection = width * height
        overlap = intersection / (areas[i] + areas[rest] - intersection)
        suppressed[rest[overlap.double() > iou_threshold]] = True
    return torch.tensor(keep, dtype=torch.long)


def declare_nms() -> None:
    """Puts it in the place of a compiled one that is missing."""
    if reference.torchvision_operators:
        reference.torchvision_operators.impl("nms", _nms, "CPU")
        torchvision.ops.boxes._assert_has_ops = lambda: None
