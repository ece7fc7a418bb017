"""Attention of the mask decoder: as the reference computes it, and with the projections of the image side moved.

Beside some ten tokens there are thousands of image positions. Attention is bilinear in its two sides, so what the
reference multiplies with every position (W_k, W_v; W_q and W_o from the image to the tokens) can be multiplied with the
tokens instead: fewer operations by half, and no projected copy of the image for each object.
"""

from typing import Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import DecoderGraphConfig
from .layers import Linear


class Attention(nn.Module):
    """`Sam3TrackerAttention`: attention with an inner width of hidden_size / downsample_rate."""

    def __init__(self, config: DecoderGraphConfig, downsample_rate: int):
        super().__init__()
        internal_dim = config.hidden_size // downsample_rate
        self.num_attention_heads = config.num_attention_heads
        self.head_dim = internal_dim // config.num_attention_heads
        self.scaling = self.head_dim**-0.5
        self.q_proj = Linear(config.hidden_size, internal_dim)
        self.k_proj = Linear(config.hidden_size, internal_dim)
        self.v_proj = Linear(config.hidden_size, internal_dim)
        self.o_proj = Linear(internal_dim, config.hidden_size)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, attention_similarity: Optional[Tensor], eager: bool
    ) -> Tensor:
        """query (batch, objects, n, channels), key and value (..., m, channels) -> the shape of query."""
        batch_size, objects = query.shape[0], query.shape[1]
        shape = [batch_size * objects, -1, self.num_attention_heads, self.head_dim]
        query = self.q_proj(query).view(shape).transpose(1, 2)
        key = self.k_proj(key).view(shape).transpose(1, 2)
        value = self.v_proj(value).view(shape).transpose(1, 2)
        if eager:
            weights = torch.matmul(query, key.transpose(2, 3)) * self.scaling
            if attention_similarity is not None:
                weights = weights + attention_similarity
            weights = F.softmax(weights, dim=-1, dtype=torch.float32).to(query.dtype)
            attended = torch.matmul(weights, value)
        else:
            attended = F.scaled_dot_product_attention(
                query, key, value, attn_mask=attention_similarity, scale=self.scaling
            )
        attended = attended.transpose(1, 2).contiguous()
        return self.o_proj(attended.reshape(batch_size, objects, -1, self.num_attention_heads * self.head_dim))

    def project_image_keys(self, features: Tensor) -> Tensor:
        """(images, positions, channels) -> (images, heads, head_dim, positions); the bias shifts all scores alike."""
        return self._split_positions(F.linear(features, self.k_proj.weight)).transpose(2, 3).contiguous()

    def project_image_values(self, features: Tensor) -> Tensor:
        """(images, positions, channels) -> (images, heads, positions, head_dim)."""
        return self._split_positions(self.v_proj(features)).contiguous()

    def project_image_queries(self, features: Tensor) -> Tensor:
        """(images, positions, channels) -> (images, heads, head_dim, positions)."""
        return self._split_positions(self.q_proj(features)).transpose(2, 3).contiguous()

    def tokens_to_shared_image(self, query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """`forward` where all objects look at one image, projected once.

        query (objects, n, channels), keys (1, heads, head_dim, positions), values (1, heads, positions, head_dim).
        """
        weights = torch.softmax(torch.bmm(self._split_tokens(self.q_proj(query)) * self.scaling, keys[0]), dim=-1)
        return self.o_proj(self._join_tokens(torch.bmm(weights, values[0]), query.shape[0]))

    def project_token_queries(self, query: Tensor) -> Tuple[Tensor, Tensor]:
        """The tokens' queries, and the same with W_k multiplied into them.

        query (objects, n, channels) -> (objects, heads * n, head_dim), to multiply what project_image_keys gives of
        positional embeddings, and (objects, heads * n, channels), to multiply the keys without them: scores are a sum
        of the two.
        """
        return self._fold(self.q_proj(query), self.k_proj.weight)

    def project_means(self, means: Tensor) -> Tensor:
        """The attention's result from the weighted means of the keys, with W_v multiplied into them.

        (objects, heads * n, channels) -> (objects, n, channels).
        """
        objects, channels = means.shape[0], means.shape[2]
        means = means.view(objects, self.num_attention_heads, -1, channels).transpose(0, 1)
        means = means.reshape(self.num_attention_heads, -1, channels)
        attended = torch.bmm(means, self._per_head(self.v_proj.weight).transpose(1, 2))
        return self.o_proj(self._join_tokens(attended, objects) + self.v_proj.bias)

    def tokens_to_image(self, query: Tensor, keys: Tensor, position_keys: Tensor) -> Tensor:
        """`forward` with W_k multiplied into the queries and W_v behind the weighted mean of the positions.

        query (objects, n, channels), keys (objects, positions, channels) without the positional embeddings, whose
        projection comes from project_image_keys.
        """
        projected, folded = self.project_token_queries(query)
        weights = torch.softmax(self._scores(projected, folded, keys, position_keys), dim=-1)
        return self.project_means(torch.bmm(weights, keys))

    def shared_image_to_tokens(self, queries: Tensor, key: Tensor) -> Tensor:
        """Attention weights of every position for the tokens, where all objects have one image, projected once.

        queries (1, heads, head_dim, positions), key (objects, n, channels) -> (objects, heads * n, positions).
        """
        objects, tokens = key.shape[0], key.shape[1]
        scores = torch.bmm(self._split_tokens(self.k_proj(key)) * self.scaling, queries[0])
        weights = torch.softmax(scores.view(self.num_attention_heads, objects, tokens, -1), dim=2)
        return weights.transpose(0, 1).reshape(objects, self.num_attention_heads * tokens, -1)

    def project_token_keys(self, key: Tensor) -> Tuple[Tensor, Tensor]:
        """The tokens' keys, and the same with W_q multiplied into them: for project_image_queries."""
        return self._fold(self.k_proj(key), self.q_proj.weight)

    def image_to_tokens(self, keys: Tensor, position_queries: Tensor, key: Tensor) -> Tensor:
        """Attention weights of every position for the tokens, with W_q multiplied into the keys.

        keys (objects, positions, channels) as in tokens_to_image, position_queries from project_image_queries, key
        (objects, n, channels) -> (objects, heads * n, positions).
        """
        projected, folded = self.project_token_keys(key)
        scores = self._scores(projected, folded, keys, position_queries)
        weights = torch.softmax(scores.view(key.shape[0], self.num_attention_heads, key.shape[1], -1), dim=2)
        return weights.view(scores.shape)

    def project_token_values(self, value: Tensor) -> Tensor:
        """The tokens' values with W_o multiplied into them: what each head adds to a position for each token.

        (objects, n, channels) -> (objects, heads * n, channels).
        """
        objects, channels = value.shape[0], value.shape[2]
        value = self._split_tokens(self.v_proj(value))
        weight = self.o_proj.weight.view(channels, self.num_attention_heads, self.head_dim).permute(1, 2, 0)
        values = torch.bmm(value, weight).view(self.num_attention_heads, objects, -1, channels)
        # The weights of a head add up to one, so that a bias in one head's values reaches every position once.
        values[0] += self.o_proj.bias
        return values.transpose(0, 1).reshape(objects, -1, channels)

    def _split_positions(self, projected: Tensor) -> Tensor:
        """(images, positions, heads * head_dim) -> (images, heads, positions, head_dim)."""
        shape = [projected.shape[0], projected.shape[1], self.num_attention_heads, self.head_dim]
        return projected.view(shape).transpose(1, 2)

    def _split_tokens(self, projected: Tensor) -> Tensor:
        """(objects, n, heads * head_dim) -> (heads, objects * n, head_dim)."""
        return projected.reshape(-1, self.num_attention_heads, self.head_dim).transpose(0, 1)

    def _join_tokens(self, attended: Tensor, objects: int) -> Tensor:
        """(heads, objects * n, head_dim) -> (objects, n, heads * head_dim)."""
        return attended.transpose(0, 1).reshape(objects, -1, self.num_attention_heads * self.head_dim)

    def _scores(self, projected: Tensor, folded: Tensor, keys: Tensor, positions: Tensor) -> Tensor:
        """Both parts of a token projection times their positions: (objects, heads * n, positions)."""
        objects = keys.shape[0]
        projected = projected.view(objects, self.num_attention_heads, -1, self.head_dim)
        scores = torch.matmul(projected, positions).view(objects, -1, keys.shape[1])
        return scores.baddbmm_(folded, keys.transpose(1, 2))

    def _per_head(self, weight: Tensor) -> Tensor:
        """(heads * head_dim, channels) -> (heads, head_dim, channels)."""
        return weight.view(self.num_attention_heads, self.head_dim, -1)

    def _fold(self, projected: Tensor, weight: Tensor) -> Tuple[Tensor, Tensor]:
        """Scales projected tokens (objects, n, heads * head_dim), and multiplies the other side's weight into them.

        Returns (objects, heads * n, head_dim) and (objects, heads * n, channels).
        """
        objects = projected.shape[0]
        tokens = self._split_tokens(projected) * self.scaling
        folded = torch.bmm(tokens, self._per_head(weight))
        return self._join_rows(tokens, objects), self._join_rows(folded, objects)

    def _join_rows(self, rows: Tensor, objects: int) -> Tensor:
        """(heads, objects * n, values) -> (objects, heads * n, values)."""
        values = rows.shape[2]
        return rows.view(self.num_attention_heads, objects, -1, values).transpose(0, 1).reshape(objects, -1, values)
