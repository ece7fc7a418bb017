"""The prompts that an export is verified with."""

from dataclasses import dataclass
from typing import List, Optional

import torch
from torch import Tensor

from .config import GraphConfig


@dataclass(frozen=True)
class PromptCase:
    """One call of `Sam3TrackerModel.forward`: points and boxes in pixels of the model's input."""

    name: str
    batch_size: int
    points: Optional[Tensor] = None
    labels: Optional[Tensor] = None
    boxes: Optional[Tensor] = None
    masks: Optional[Tensor] = None
    similarity: Optional[Tensor] = None
    target: Optional[Tensor] = None


def prompt_cases(config: GraphConfig, generator: torch.Generator) -> List[PromptCase]:
    """Every kind of prompt, for 1 to 3 images, 1 to 6 objects per image and 1 to 5 points per object."""
    make = _Maker(config, generator)
    return [
        PromptCase("1 image, 1 point", 1, **make.points(1, 1, 1)),
        PromptCase("1 image, 3 objects, 5 points of all labels", 1, **make.points(1, 3, 5)),
        PromptCase("2 images, 2 objects, 2 points", 2, **make.points(2, 2, 2)),
        PromptCase("3 images, 6 objects, 1 point", 3, **make.points(3, 6, 1)),
        PromptCase("1 image, 1 box", 1, boxes=make.boxes(1, 1)),
        PromptCase("2 images, 3 boxes", 2, boxes=make.boxes(2, 3)),
        PromptCase("1 image, 2 objects, 2 points and a box", 1, **make.points(1, 2, 2), boxes=make.boxes(1, 2)),
        PromptCase("3 images, 1 point and a box", 3, **make.points(3, 1, 1), boxes=make.boxes(3, 1)),
        PromptCase("1 image, no prompt", 1),
        PromptCase("2 images, no prompt", 2),
        PromptCase("1 image, mask", 1, masks=make.masks(1, 1.0)),
        PromptCase("3 images, 2 points, mask", 3, **make.points(3, 1, 2), masks=make.masks(3, 1.0)),
        PromptCase("1 image, box, larger mask", 1, boxes=make.boxes(1, 1), masks=make.masks(1, 1.7)),
        PromptCase("2 images, 2 objects, smaller mask", 2, **make.points(2, 2, 1), masks=make.masks(2, 0.6)),
        PromptCase("2 images, 2 objects, similarity", 2, **make.points(2, 2, 1), similarity=make.similarity(2, 2, 2)),
        PromptCase("1 image, 2 objects, target", 1, **make.points(1, 2, 1), target=make.target(1, 2, 2)),
        PromptCase(
            "2 images, box, similarity and target",
            2,
            boxes=make.boxes(2, 1),
            similarity=make.similarity(2, 1, 3),
            target=make.target(2, 1, 3),
        ),
    ]


class _Maker:
    def __init__(self, config: GraphConfig, generator: torch.Generator):
        self.config = config
        self.generator = generator

    def points(self, batch_size: int, objects: int, points: int) -> dict:
        side = self.config.prompt_encoder.image_size
        coordinates = torch.rand(batch_size, objects, points, 2, generator=self.generator) * side
        known = torch.tensor([1, 0, -1, -10, *range(2, self.config.prompt_encoder.num_point_embeddings)])
        labels = known[torch.arange(batch_size * objects * points) % len(known)]
        return {"points": coordinates, "labels": labels.view(batch_size, objects, points)}

    def boxes(self, batch_size: int, objects: int) -> Tensor:
        side = self.config.prompt_encoder.image_size
        corners = torch.rand(batch_size, objects, 2, 2, generator=self.generator) * side
        return torch.cat([corners.amin(2), corners.amax(2)], dim=-1)

    def masks(self, batch_size: int, scale: float) -> Tensor:
        side = 4 * self.config.prompt_encoder.image_size // self.config.prompt_encoder.patch_size
        shape = (batch_size, 1, int(side * scale), int(side * scale) + (0 if scale == 1 else 3))
        return 5 * torch.randn(shape, generator=self.generator)

    def similarity(self, batch_size: int, objects: int, prompt_tokens: int) -> Tensor:
        height, width = self.config.vision.backbone_feature_sizes[2]
        shape = (batch_size * objects, 1, self._tokens(prompt_tokens), height * width)
        return torch.randn(shape, generator=self.generator)

    def target(self, batch_size: int, objects: int, prompt_tokens: int) -> Tensor:
        shape = (batch_size, objects, self._tokens(prompt_tokens), self.config.mask_decoder.hidden_size)
        return torch.randn(shape, generator=self.generator)

    def _tokens(self, prompt_tokens: int) -> int:
        # Object score, IoU, mask tokens.
        return 2 + self.config.mask_decoder.num_multimask_outputs + 1 + prompt_tokens
