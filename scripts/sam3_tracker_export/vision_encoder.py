"""The vision component: pixel values to feature maps.

Twin of `Sam3VisionModel` (ViT and neck), of `conv_s0` and `conv_s1` of the mask decoder, and of
`Sam3TrackerModel.get_image_features` and `get_image_embeddings`.
"""

from typing import List, Tuple

import torch
from torch import Tensor, nn

from .config import GraphConfig, VisionGraphConfig
from .layers import Conv2d, DoublingConv, HalvingPool
from .vision_backbone import Backbone


def sine_position_encoding(features: Tensor, num_position_features: int) -> Tensor:
    """`Sam3SinePositionEmbedding` (normalized) for a map (batch, channels, height, width), of the map's dtype.

    Returns (batch, 2 * num_position_features, height, width), expanded over the batch.
    """
    ones = features.new_ones([1, features.shape[2], features.shape[3]])
    y_embed = ones.cumsum(1)
    x_embed = ones.cumsum(2)
    y_embed = y_embed / (y_embed[:, -1:, :] + 1e-6) * 6.283185307179586
    x_embed = x_embed / (x_embed[:, :, -1:] + 1e-6) * 6.283185307179586
    steps = torch.arange(num_position_features, device=features.device).to(features.dtype)
    steps = torch.pow(10000, 2 * torch.div(steps, 2, rounding_mode="floor") / num_position_features)
    x_phase = x_embed[:, :, :, None] / steps
    y_phase = y_embed[:, :, :, None] / steps
    x_code = torch.stack((x_phase[:, :, :, 0::2].sin(), x_phase[:, :, :, 1::2].cos()), dim=4).flatten(3)
    y_code = torch.stack((y_phase[:, :, :, 0::2].sin(), y_phase[:, :, :, 1::2].cos()), dim=4).flatten(3)
    encoding = torch.cat((y_code, x_code), dim=3).permute(0, 3, 1, 2)
    return encoding.expand(features.shape[0], -1, -1, -1)


class PyramidLayer(nn.Module):
    """`Sam3FPNLayer`: one map of the feature pyramid."""

    def __init__(self, in_channels: int, out_channels: int, scale_factor: float):
        super().__init__()
        scale_layers: List[nn.Module] = []
        channels = in_channels
        if scale_factor == 4.0:
            scale_layers = [
                DoublingConv(in_channels, in_channels // 2),
                nn.GELU(),
                DoublingConv(in_channels // 2, in_channels // 4),
            ]
            channels = in_channels // 4
        elif scale_factor == 2.0:
            scale_layers = [DoublingConv(in_channels, in_channels // 2)]
            channels = in_channels // 2
        elif scale_factor == 0.5:
            scale_layers = [HalvingPool()]
        self.scale_layers = nn.ModuleList(scale_layers)
        self.proj1 = Conv2d(channels, out_channels, kernel_size=1)
        self.proj2 = Conv2d(out_channels, out_channels, kernel_size=3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        for layer in self.scale_layers:
            features = layer(features)
        return self.proj2(self.proj1(features))


class Neck(nn.Module):
    """`Sam3VisionNeck` without the position encodings."""

    def __init__(self, config: VisionGraphConfig):
        super().__init__()
        self.fpn_layers = nn.ModuleList(
            [PyramidLayer(config.hidden_size, config.fpn_hidden_size, scale) for scale in config.scale_factors]
        )

    def forward(self, features: Tensor, num_maps: int) -> List[Tensor]:
        """(batch, channels, rows, columns) -> the first `num_maps` maps."""
        maps: List[Tensor] = []
        for index, layer in enumerate(self.fpn_layers):
            if index < num_maps:
                maps.append(layer(features))
        return maps


class VisionEncoder(nn.Module):
    """`Sam3VisionModel`: backbone and neck."""

    def __init__(self, config: VisionGraphConfig):
        super().__init__()
        self.backbone = Backbone(config)
        self.neck = Neck(config)


class HighResolutionProjections(nn.Module):
    """The two convolutions of the mask decoder that `get_image_features` applies beforehand."""

    def __init__(self, hidden_size: int):
        super().__init__()
        self.conv_s0 = Conv2d(hidden_size, hidden_size // 8, kernel_size=1, stride=1)
        self.conv_s1 = Conv2d(hidden_size, hidden_size // 4, kernel_size=1, stride=1)


class VisionComponent(nn.Module):
    """The exported component. Its methods are described in interface.py."""

    def __init__(self, config: GraphConfig):
        super().__init__()
        vision = config.vision
        self.vision_encoder = VisionEncoder(vision)
        self.mask_decoder = HighResolutionProjections(config.mask_decoder.hidden_size)
        self.no_memory_embedding = nn.Parameter(torch.empty(1, 1, vision.fpn_hidden_size))
        self.feature_sizes: List[List[int]] = [list(size) for size in vision.backbone_feature_sizes]
        self.num_maps = len(vision.scale_factors)
        self.num_position_features = vision.fpn_hidden_size // 2

    def project(self, hidden_states: Tensor, num_maps: int) -> List[Tensor]:
        """The neck's maps (batch, channels, height, width), the first two projected for the mask decoder."""
        maps = self.vision_encoder.neck(hidden_states.permute(0, 3, 1, 2), num_maps)
        maps[0] = self.mask_decoder.conv_s0(maps[0])
        maps[1] = self.mask_decoder.conv_s1(maps[1])
        return maps

    def features(
        self, pixel_values: Tensor, eager: bool, keep_hidden_states: bool, keep_attentions: bool
    ) -> Tuple[Tensor, List[Tensor], List[Tensor], List[Tensor], List[Tensor]]:
        hidden_states, kept, attentions = self.vision_encoder.backbone(
            pixel_values, eager, keep_hidden_states, keep_attentions
        )
        flat_maps: List[Tensor] = []
        encodings: List[Tensor] = []
        for feature_map in self.project(hidden_states, self.num_maps):
            flat_maps.append(feature_map.flatten(2).permute(2, 0, 1))
            encoding = sine_position_encoding(feature_map, self.num_position_features)
            encodings.append(encoding.flatten(2).permute(2, 0, 1))
        return hidden_states.flatten(1, 2), flat_maps, encodings, kept, attentions

    def embeddings(self, pixel_values: Tensor, eager: bool) -> List[Tensor]:
        hidden_states, _, _ = self.vision_encoder.backbone(pixel_values, eager, False, False)
        # A map that get_image_embeddings drops in the reference is not computed at all.
        flat_maps: List[Tensor] = []
        for feature_map in self.project(hidden_states, len(self.feature_sizes)):
            flat_maps.append(feature_map.flatten(2).permute(2, 0, 1))
        return self.reshape_maps(flat_maps, len(self.feature_sizes) == self.num_maps)

    def reshape_maps(self, flat_maps: List[Tensor], add_no_memory: bool) -> List[Tensor]:
        image_embeddings: List[Tensor] = []
        for index, (height, width) in enumerate(self.feature_sizes):
            features = flat_maps[index]
            if add_no_memory and index == len(self.feature_sizes) - 1:
                features = features + self.no_memory_embedding
            image_embeddings.append(features.permute(1, 2, 0).view(features.shape[1], -1, height, width))
        return image_embeddings

    @torch.jit.export
    def get_image_embeddings(self, pixel_values: Tensor) -> List[Tensor]:
        return self.embeddings(pixel_values, False)

    @torch.jit.export
    def get_image_embeddings_eager(self, pixel_values: Tensor) -> List[Tensor]:
        return self.embeddings(pixel_values, True)

    @torch.jit.export
    def get_image_features(self, pixel_values: Tensor) -> Tuple[Tensor, List[Tensor], List[Tensor]]:
        last, maps, encodings, _, _ = self.features(pixel_values, False, False, False)
        return last, maps, encodings

    @torch.jit.export
    def get_image_features_eager(self, pixel_values: Tensor) -> Tuple[Tensor, List[Tensor], List[Tensor]]:
        last, maps, encodings, _, _ = self.features(pixel_values, True, False, False)
        return last, maps, encodings

    @torch.jit.export
    def get_image_features_with_hidden_states(
        self, pixel_values: Tensor
    ) -> Tuple[Tensor, List[Tensor], List[Tensor], List[Tensor]]:
        last, maps, encodings, hidden_states, _ = self.features(pixel_values, False, True, False)
        return last, maps, encodings, hidden_states

    @torch.jit.export
    def get_image_features_with_hidden_states_eager(
        self, pixel_values: Tensor
    ) -> Tuple[Tensor, List[Tensor], List[Tensor], List[Tensor]]:
        last, maps, encodings, hidden_states, _ = self.features(pixel_values, True, True, False)
        return last, maps, encodings, hidden_states

    @torch.jit.export
    def get_image_features_with_attentions(
        self, pixel_values: Tensor
    ) -> Tuple[Tensor, List[Tensor], List[Tensor], List[Tensor], List[Tensor]]:
        return self.features(pixel_values, True, True, True)

    @torch.jit.export
    def embeddings_from_features(self, fpn_hidden_states: List[Tensor]) -> List[Tensor]:
        # The reference adds no_memory_embedding to the last map it is given, which may be one that is then dropped.
        return self.reshape_maps(fpn_hidden_states, len(self.feature_sizes) == len(fpn_hidden_states))
