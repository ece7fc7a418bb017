"""The vision transformer of SAM3: twin of `Sam3ViTModel`."""

from typing import List, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import VisionGraphConfig
from .layers import ACTIVATIONS, LayerNorm, Linear


def axial_rotary_table(like: Tensor, size: int, head_dim: int, theta: float, scale: float) -> Tuple[Tensor, Tensor]:
    """Cosines and sines, each (size * size, head_dim) in float32, of `Sam3ViTRotaryEmbedding` on the device of `like`.

    Always float32, whatever the dtype of the model: transformers keeps these buffers in float32 under
    `from_pretrained(dtype=...)`.
    """
    exponents = torch.arange(0, head_dim, 4, device=like.device).float() / head_dim
    frequencies = torch.pow(theta, exponents).reciprocal()
    indices = torch.arange(size * size, device=like.device)
    x_positions = (indices % size).float() * scale
    y_positions = torch.div(indices, size, rounding_mode="floor").float() * scale
    angles = torch.cat([torch.outer(x_positions, frequencies), torch.outer(y_positions, frequencies)], dim=-1)
    angles = angles.repeat_interleave(2, dim=-1)
    return angles.cos(), angles.sin()


def rotate(states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotates pairs of channels, in float32 as `apply_rotary_pos_emb_2d` does."""
    rotated = states.float()
    pairs = rotated.unflatten(-1, [-1, 2])
    first, second = pairs.unbind(dim=-1)
    swapped = torch.stack((-second, first), dim=-1).flatten(start_dim=-2)
    return ((rotated * cos) + (swapped * sin)).type_as(states)


class VisionAttention(nn.Module):
    """`Sam3ViTRoPEAttention`: self-attention with rotary position encoding."""

    def __init__(self, config: VisionGraphConfig):
        super().__init__()
        self.num_attention_heads = config.num_attention_heads
        self.head_dim = config.hidden_size // config.num_attention_heads
        self.scaling = self.head_dim**-0.5
        self.q_proj = Linear(config.hidden_size, config.hidden_size)
        self.k_proj = Linear(config.hidden_size, config.hidden_size)
        self.v_proj = Linear(config.hidden_size, config.hidden_size)
        self.o_proj = Linear(config.hidden_size, config.hidden_size)

    def forward(self, hidden_states: Tensor, cos: Tensor, sin: Tensor, eager: bool) -> Tuple[Tensor, Optional[Tensor]]:
        """(batch, height, width, channels) -> the same shape; under eager also the weights (batch, heads, n, n)."""
        batch_size, height, width, _ = hidden_states.shape
        shape = [batch_size, height * width, self.num_attention_heads, self.head_dim]
        query = self.q_proj(hidden_states).view(shape).transpose(1, 2)
        key = self.k_proj(hidden_states).view(shape).transpose(1, 2)
        value = self.v_proj(hidden_states).view(shape).transpose(1, 2)
        query = rotate(query, cos, sin)
        key = rotate(key, cos, sin)

        weights: Optional[Tensor] = None
        if eager:
            # In the dtype of the model: only the mask decoder's eager attention takes its softmax in float32.
            probabilities = F.softmax(torch.matmul(query, key.transpose(2, 3)) * self.scaling, dim=-1)
            attended = torch.matmul(probabilities, value)
            weights = probabilities
        else:
            attended = F.scaled_dot_product_attention(query, key, value, scale=self.scaling)
        attended = attended.transpose(1, 2).contiguous().reshape(batch_size, height, width, -1)
        return self.o_proj(attended), weights


class VisionMLP(nn.Module):
    """`Sam3MLP`."""

    def __init__(self, config: VisionGraphConfig):
        super().__init__()
        self.activation_fn = ACTIVATIONS[config.hidden_act]()
        self.fc1 = Linear(config.hidden_size, config.intermediate_size)
        self.fc2 = Linear(config.intermediate_size, config.hidden_size)

    def forward(self, hidden_states: Tensor) -> Tensor:
        return self.fc2(self.activation_fn(self.fc1(hidden_states)))


class VisionLayer(nn.Module):
    """`Sam3ViTLayer`: attention within windows of `window_size` patches, or over the whole grid where that is 0."""

    def __init__(self, config: VisionGraphConfig, window_size: int):
        super().__init__()
        self.layer_norm1 = LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.attention = VisionAttention(config)
        self.layer_norm2 = LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.mlp = VisionMLP(config)
        self.window_size = window_size

    def forward(self, hidden_states: Tensor, cos: Tensor, sin: Tensor, eager: bool) -> Tuple[Tensor, Optional[Tensor]]:
        height, width = hidden_states.shape[1], hidden_states.shape[2]
        residual = hidden_states
        hidden_states = self.layer_norm1(hidden_states)
        if self.window_size > 0:
            hidden_states = self.partition(hidden_states)
        hidden_states, weights = self.attention(hidden_states, cos, sin, eager)
        if self.window_size > 0:
            hidden_states = self.unpartition(hidden_states, height, width)
        hidden_states = residual + hidden_states
        return hidden_states + self.mlp(self.layer_norm2(hidden_states)), weights

    def partition(self, hidden_states: Tensor) -> Tensor:
        """`window_partition`: (batch, height, width, channels) -> (batch * windows, size, size, channels)."""
        batch_size, height, width, channels = hidden_states.shape
        size = self.window_size
        rows = (height + size - 1) // size
        columns = (width + size - 1) // size
        if rows * size != height or columns * size != width:
            hidden_states = F.pad(hidden_states, [0, 0, 0, columns * size - width, 0, rows * size - height])
        windows = hidden_states.view(batch_size, rows, size, columns, size, channels)
        return windows.permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, size, size, channels)

    def unpartition(self, windows: Tensor, height: int, width: int) -> Tensor:
        """`window_unpartition`: the inverse, without the padding."""
        size = self.window_size
        rows = (height + size - 1) // size
        columns = (width + size - 1) // size
        batch_size = windows.shape[0] // (rows * columns)
        windows = windows.view(batch_size, rows, columns, size, size, -1)
        windows = windows.permute(0, 1, 3, 2, 4, 5).contiguous()
        return windows.view(batch_size, rows * size, columns * size, -1)[:, :height, :width, :].contiguous()


class PatchProjection(nn.Module):
    """The convolution without bias that turns each patch of pixels, of any floating dtype, into one vector."""

    def __init__(self, num_channels: int, hidden_size: int, patch_size: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(hidden_size, num_channels, patch_size, patch_size))
        self.patch_size = patch_size

    def forward(self, pixel_values: Tensor) -> Tensor:
        return F.conv2d(pixel_values.to(self.weight.dtype), self.weight, stride=self.patch_size)


class PatchEmbeddings(nn.Module):
    """`Sam3ViTPatchEmbeddings`."""

    def __init__(self, config: VisionGraphConfig):
        super().__init__()
        self.projection = PatchProjection(config.num_channels, config.hidden_size, config.patch_size)

    def forward(self, pixel_values: Tensor) -> Tensor:
        return self.projection(pixel_values).flatten(2).transpose(1, 2)


class Embeddings(nn.Module):
    """`Sam3ViTEmbeddings`: patches plus position embeddings, tiled from the grid of the pretraining."""

    def __init__(self, config: VisionGraphConfig):
        super().__init__()
        self.patch_embeddings = PatchEmbeddings(config)
        self.pretrain_size = config.pretrain_image_size // config.patch_size
        self.position_embeddings = nn.Parameter(torch.empty(1, self.pretrain_size**2, config.hidden_size))
        self.patch_size = config.patch_size

    def forward(self, pixel_values: Tensor) -> Tensor:
        """(batch, channels, height, width) in pixels -> (batch, rows, columns, hidden_size) in patches."""
        embeddings = self.patch_embeddings(pixel_values)
        rows = pixel_values.shape[2] // self.patch_size
        columns = pixel_values.shape[3] // self.patch_size
        positions = self.position_embeddings
        if self.pretrain_size != rows or self.pretrain_size != columns:
            positions = positions.view(1, self.pretrain_size, self.pretrain_size, -1).permute(0, 3, 1, 2)
            positions = positions.tile([1, 1, rows // self.pretrain_size + 1, columns // self.pretrain_size + 1])
            positions = positions[:, :, :rows, :columns].permute(0, 2, 3, 1).reshape(1, rows * columns, -1)
        embeddings = embeddings + positions
        return embeddings.view(embeddings.shape[0], rows, columns, -1)


class Backbone(nn.Module):
    """`Sam3ViTModel`."""

    def __init__(self, config: VisionGraphConfig):
        super().__init__()
        self.embeddings = Embeddings(config)
        self.layer_norm = LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.layers = nn.ModuleList(
            [
                VisionLayer(config, 0 if index in config.global_attn_indexes else config.window_size)
                for index in range(config.num_hidden_layers)
            ]
        )
        self.head_dim = config.hidden_size // config.num_attention_heads
        self.rope_theta = float(config.rope_theta)
        self.window_size = config.window_size
        self.grid_size = config.image_size // config.patch_size

    def forward(
        self, pixel_values: Tensor, eager: bool, keep_hidden_states: bool, keep_attentions: bool
    ) -> Tuple[Tensor, List[Tensor], List[Tensor]]:
        """Returns the last hidden state (batch, rows, columns, channels), every hidden state if they are kept (the
        input of the first layer, then the output of each), and each layer's attention weights if they are kept, which
        only eager attention has."""
        hidden_states = self.layer_norm(self.embeddings(pixel_values))
        # One table per grid serves all layers; the reference stores one per layer.
        window_cos, window_sin = axial_rotary_table(
            hidden_states, self.window_size, self.head_dim, self.rope_theta, 1.0
        )
        global_cos, global_sin = axial_rotary_table(
            hidden_states, self.grid_size, self.head_dim, self.rope_theta, self.window_size / self.grid_size
        )
        kept: List[Tensor] = []
        attentions: List[Tensor] = []
        if keep_hidden_states:
            kept.append(hidden_states)
        for layer in self.layers:
            cos = window_cos if layer.window_size > 0 else global_cos
            sin = window_sin if layer.window_size > 0 else global_sin
            hidden_states, weights = layer(hidden_states, cos, sin, eager)
            if keep_hidden_states:
                kept.append(hidden_states)
            if keep_attentions and weights is not None:
                attentions.append(weights)
        return hidden_states, kept, attentions
