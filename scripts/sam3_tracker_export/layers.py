"""Modules that the three components share.

Plain ones stand in for torch.nn's: those write their `__constants__` into an archive in the order of a Python set, so
that no two archives would be the same, and one type per size.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Activations a configuration may name in `hidden_act`, as transformers' ACT2FN computes them.
ACTIVATIONS = {
    "gelu": nn.GELU,
    "gelu_pytorch_tanh": lambda: nn.GELU(approximate="tanh"),
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "swish": nn.SiLU,
}


class Linear(nn.Module):
    """`torch.nn.Linear` with a bias."""

    def __init__(self, in_features: int, out_features: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        self.bias = nn.Parameter(torch.empty(out_features))

    def forward(self, features: Tensor) -> Tensor:
        return F.linear(features, self.weight, self.bias)


class Conv2d(nn.Module):
    """`torch.nn.Conv2d` with a bias and a square kernel."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, padding: int = 0):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.empty(out_channels))
        self.stride = stride
        self.padding = padding

    def forward(self, features: Tensor) -> Tensor:
        return F.conv2d(features, self.weight, self.bias, stride=self.stride, padding=self.padding)


class DoublingConv(nn.Module):
    """`torch.nn.ConvTranspose2d` with kernel and stride 2: doubles height and width."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(in_channels, out_channels, 2, 2))
        self.bias = nn.Parameter(torch.empty(out_channels))

    def forward(self, features: Tensor) -> Tensor:
        return F.conv_transpose2d(features, self.weight, self.bias, stride=2)


class HalvingPool(nn.Module):
    """`torch.nn.MaxPool2d` with kernel and stride 2: halves height and width, rounding down."""

    def forward(self, features: Tensor) -> Tensor:
        return F.max_pool2d(features, kernel_size=2, stride=2)


class Embedding(nn.Module):
    """`torch.nn.Embedding`: only its table is used where no index is looked up."""

    def __init__(self, num_embeddings: int, embedding_dim: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_embeddings, embedding_dim))

    def forward(self, indices: Tensor) -> Tensor:
        return F.embedding(indices, self.weight)


class LayerNorm(nn.Module):
    """`torch.nn.LayerNorm` over the last dimension."""

    def __init__(self, size: int, eps: float = 1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(size))
        self.bias = nn.Parameter(torch.empty(size))
        self.eps = eps

    def forward(self, features: Tensor) -> Tensor:
        return F.layer_norm(features, [features.shape[-1]], self.weight, self.bias, self.eps)


class ChannelsFirstLayerNorm(LayerNorm):
    """Layer norm over the channels of (batch, channels, height, width): `Sam3TrackerLayerNorm`, channels_first."""

    def forward(self, features: Tensor) -> Tensor:
        features = features.permute(0, 2, 3, 1)
        features = F.layer_norm(features, [features.shape[-1]], self.weight, self.bias, self.eps)
        return features.permute(0, 3, 1, 2)


class FeedForward(nn.Module):
    """`Sam3TrackerFeedForward` with its default activation, ReLU: the reference never asks for another."""

    def __init__(self, input_dim: int, hidden_dim: int, output_dim: int, num_layers: int, sigmoid_output: bool = False):
        super().__init__()
        self.proj_in = Linear(input_dim, hidden_dim)
        self.proj_out = Linear(hidden_dim, output_dim)
        self.layers = nn.ModuleList([Linear(hidden_dim, hidden_dim) for _ in range(num_layers - 2)])
        self.sigmoid_output = sigmoid_output

    def forward(self, hidden_states: Tensor) -> Tensor:
        hidden_states = torch.relu(self.proj_in(hidden_states))
        for layer in self.layers:
            hidden_states = torch.relu(layer(hidden_states))
        hidden_states = self.proj_out(hidden_states)
        if self.sigmoid_output:
            hidden_states = torch.sigmoid(hidden_states)
        return hidden_states


class PositionalEmbedding(nn.Module):
    """`Sam3TrackerPositionalEmbedding`: random Fourier features of coordinates in [0, 1].

    Holds the buffer `positional_embedding` of shape (2, hidden_size / 2).
    """

    def __init__(self, hidden_size: int):
        super().__init__()
        self.register_buffer("positional_embedding", torch.empty(2, hidden_size // 2))

    def forward(self, coordinates: Tensor) -> Tensor:
        """(..., 2) coordinates x, y in [0, 1] -> (..., hidden_size), in the dtype of the buffer."""
        # The reference maps to [-1, 1] in the dtype of the coordinates and only then rounds to that of the weights.
        coordinates = (2 * coordinates - 1).to(self.positional_embedding.dtype)
        coordinates = coordinates @ self.positional_embedding
        coordinates = 6.283185307179586 * coordinates
        return torch.cat([torch.sin(coordinates), torch.cos(coordinates)], dim=-1)
