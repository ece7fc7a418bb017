"""The prompt component: points, boxes and masks to embeddings.

Twin of `Sam3TrackerPromptEncoder`, of the preparation of prompts in `Sam3TrackerModel.forward`, and of
`get_image_wide_positional_embeddings`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import GraphConfig, PromptGraphConfig
from .layers import ACTIVATIONS, ChannelsFirstLayerNorm, Conv2d, Embedding, PositionalEmbedding


class MaskEmbedding(nn.Module):
    """`Sam3TrackerMaskEmbedding`."""

    def __init__(self, config: PromptGraphConfig):
        super().__init__()
        channels = config.mask_input_channels // 4
        self.activation = ACTIVATIONS[config.hidden_act]()
        self.conv1 = Conv2d(1, channels, kernel_size=2, stride=2)
        self.conv2 = Conv2d(channels, config.mask_input_channels, kernel_size=2, stride=2)
        self.conv3 = Conv2d(config.mask_input_channels, config.hidden_size, kernel_size=1)
        self.layer_norm1 = ChannelsFirstLayerNorm(channels, eps=config.layer_norm_eps)
        self.layer_norm2 = ChannelsFirstLayerNorm(channels * 4, eps=config.layer_norm_eps)

    def forward(self, masks: Tensor) -> Tensor:
        hidden_states = self.activation(self.layer_norm1(self.conv1(masks)))
        hidden_states = self.activation(self.layer_norm2(self.conv2(hidden_states)))
        return self.conv3(hidden_states)


class PromptEncoder(nn.Module):
    """`Sam3TrackerPromptEncoder`."""

    def __init__(self, config: PromptGraphConfig):
        super().__init__()
        self.shared_embedding = PositionalEmbedding(config.hidden_size)
        self.mask_embed = MaskEmbedding(config)
        self.no_mask_embed = Embedding(1, config.hidden_size)
        self.point_embed = Embedding(config.num_point_embeddings, config.hidden_size)
        self.not_a_point_embed = Embedding(1, config.hidden_size)
        self.image_size = config.image_size
        self.image_embedding_size = config.image_size // config.patch_size
        self.mask_input_size = 4 * config.image_size // config.patch_size

    def embed_points(self, points: Tensor, labels: Tensor, pad: bool) -> Tensor:
        """`_embed_points`: (batch, objects, points, 2), (batch, objects, points) -> (..., points [+ 1], channels)."""
        points = points + 0.5
        if pad:
            points = F.pad(points, [0, 0, 0, 1], mode="constant", value=0.0)
            labels = F.pad(labels, [0, 1], mode="constant", value=-1.0)
        embedding = self.shared_embedding(points / self.image_size)
        embedding = torch.where(labels[..., None] == -1, self.not_a_point_embed.weight, embedding)
        embedding = torch.where(labels[..., None] != -10, embedding, torch.zeros_like(embedding))
        return embedding + self.point_embed(labels.clamp(min=0)) * (labels >= 0).unsqueeze(-1)

    def embed_boxes(self, boxes: Tensor) -> Tensor:
        """`_embed_boxes`: (batch, objects, 4), xyxy -> (batch, objects, 3, channels)."""
        corners = (boxes + 0.5).reshape(boxes.shape[0], boxes.shape[1], 2, 2)
        corners = F.pad(corners, [0, 0, 0, 1], mode="constant", value=0.0)
        embedding = self.shared_embedding(corners / self.image_size)
        embedding[:, :, 0, :] += self.point_embed.weight[2]
        embedding[:, :, 1, :] += self.point_embed.weight[3]
        embedding[:, :, 2, :] = self.not_a_point_embed.weight.expand_as(embedding[:, :, 2, :])
        return embedding

    def embed_masks(self, masks: Tensor) -> Tensor:
        """(batch, 1, mask_input_size, mask_input_size) -> (batch, channels, h, w) of the image embedding."""
        return self.mask_embed(masks.to(self.no_mask_embed.weight.dtype))


class PromptComponent(nn.Module):
    """The exported component. Its methods are described in interface.py."""

    def __init__(self, config: GraphConfig):
        super().__init__()
        self.prompt_encoder = PromptEncoder(config.prompt_encoder)
        self.shared_image_embedding = PositionalEmbedding(config.prompt_encoder.hidden_size)

    @torch.jit.export
    def embed_points(self, points: Tensor, labels: Tensor) -> Tensor:
        return self.prompt_encoder.embed_points(points, labels, True)

    @torch.jit.export
    def embed_boxes(self, boxes: Tensor) -> Tensor:
        return self.prompt_encoder.embed_boxes(boxes)

    @torch.jit.export
    def embed_points_and_boxes(self, points: Tensor, labels: Tensor, boxes: Tensor) -> Tensor:
        point_embedding = self.prompt_encoder.embed_points(points, labels, False)
        return torch.cat([point_embedding, self.prompt_encoder.embed_boxes(boxes)], dim=2)

    @torch.jit.export
    def embed_no_prompt(self, batch_size: int) -> Tensor:
        # forward's empty point, label -1, and the padding point that follows: both are the not-a-point embedding.
        return self.prompt_encoder.not_a_point_embed.weight.repeat(batch_size, 1, 2, 1)

    @torch.jit.export
    def embed_masks(self, masks: Tensor) -> Tensor:
        size = self.prompt_encoder.mask_input_size
        if masks.shape[2] != size or masks.shape[3] != size:
            masks = F.interpolate(
                masks.float(), size=[size, size], mode="bilinear", align_corners=False, antialias=True
            )
        return self.prompt_encoder.embed_masks(masks)

    @torch.jit.export
    def embed_masks_as_they_are(self, masks: Tensor) -> Tensor:
        return self.prompt_encoder.embed_masks(masks)

    @torch.jit.export
    def embed_no_mask(self, batch_size: int) -> Tensor:
        size = self.prompt_encoder.image_embedding_size
        return self.prompt_encoder.no_mask_embed.weight.reshape(1, -1, 1, 1).expand(batch_size, -1, size, size)

    @torch.jit.export
    def image_wide_positional_embeddings(self) -> Tensor:
        size = self.prompt_encoder.image_embedding_size
        grid = self.shared_image_embedding.positional_embedding.new_ones([size, size])
        y_embed = (grid.cumsum(dim=0) - 0.5) / size
        x_embed = (grid.cumsum(dim=1) - 0.5) / size
        embedding = self.shared_image_embedding(torch.stack([x_embed, y_embed], dim=-1))
        return embedding.permute(2, 0, 1).unsqueeze(0)
