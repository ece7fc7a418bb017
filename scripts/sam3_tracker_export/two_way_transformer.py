"""The mask decoder's transformer: attention among an object's tokens, and between them and the image.

`forward` computes as the reference does. The other methods share what many objects of one image have in common and
fold the image side's weights into the tokens (see decoder_attention.py): `forward_prepared` all of it, or, where the
image side is left to a kernel of the native addon, the token side between two of its steps.
"""

from typing import List, Optional, Tuple

import torch
from torch import Tensor, nn

from .config import DecoderGraphConfig
from .decoder_attention import Attention
from .layers import FeedForward, LayerNorm


class TwoWayAttentionBlock(nn.Module):
    """`Sam3TrackerTwoWayAttentionBlock`."""

    def __init__(self, config: DecoderGraphConfig, skip_first_layer_pe: bool):
        super().__init__()
        rate = config.attention_downsample_rate
        self.self_attn = Attention(config, 1)
        self.layer_norm1 = LayerNorm(config.hidden_size)
        self.cross_attn_token_to_image = Attention(config, rate)
        self.layer_norm2 = LayerNorm(config.hidden_size)
        # The reference passes the number of blocks as the depth of this MLP.
        self.mlp = FeedForward(config.hidden_size, config.mlp_dim, config.hidden_size, config.num_hidden_layers)
        self.layer_norm3 = LayerNorm(config.hidden_size)
        self.layer_norm4 = LayerNorm(config.hidden_size)
        self.cross_attn_image_to_token = Attention(config, rate)
        self.skip_first_layer_pe = skip_first_layer_pe

    def forward(
        self,
        queries: Tensor,
        keys: Tensor,
        query_point_embedding: Tensor,
        key_point_embedding: Tensor,
        attention_similarity: Optional[Tensor],
        eager: bool,
    ) -> Tuple[Tensor, Tensor, Tensor]:
        """Returns queries, keys and what the attention from image to tokens added to the keys."""
        queries = self.attend_to_tokens(queries, query_point_embedding, eager)

        query = queries + query_point_embedding
        key = keys + key_point_embedding
        attended = self.cross_attn_token_to_image(query, key, keys, attention_similarity, eager)
        queries = self.feed_forward(queries, attended)

        query = queries + query_point_embedding
        image_update = self.cross_attn_image_to_token(key, query, queries, None, eager)
        keys = self.layer_norm4(keys + image_update)
        return queries, keys, image_update

    def forward_shared(
        self, queries: Tensor, query_point_embedding: Tensor, image: List[Tensor]
    ) -> Tuple[Tensor, Tensor]:
        """`forward` of the first block on an image that no object has changed yet: `image` is from prepare_image.

        queries (1, objects, n, channels) -> the same, and keys (objects, positions, channels).
        """
        queries = self.attend_to_tokens(queries, query_point_embedding, False)
        query = (queries + query_point_embedding)[0]
        attended = self.cross_attn_token_to_image.tokens_to_shared_image(query, image[1], image[2])
        queries = self.feed_forward(queries, attended)

        query = (queries + query_point_embedding)[0]
        weights = self.cross_attn_image_to_token.shared_image_to_tokens(image[3], query)
        values = self.cross_attn_image_to_token.project_token_values(queries[0])
        keys = image[0].expand(queries.shape[1], -1, -1)
        return queries, self.layer_norm4(torch.baddbmm(keys, weights.transpose(1, 2), values))

    def forward_folded(
        self,
        queries: Tensor,
        keys: Tensor,
        query_point_embedding: Tensor,
        position_keys: Tensor,
        position_queries: Tensor,
    ) -> Tuple[Tensor, Tensor]:
        """`forward` with the weights of the image side folded into the tokens; overwrites `keys`.

        queries (1, objects, n, channels), keys (objects, positions, channels) -> the same; the projections of the
        positions are from prepare_positions.
        """
        queries = self.attend_to_tokens(queries, query_point_embedding, False)
        query = (queries + query_point_embedding)[0]
        attended = self.cross_attn_token_to_image.tokens_to_image(query, keys, position_keys)
        queries = self.feed_forward(queries, attended)

        query = (queries + query_point_embedding)[0]
        weights = self.cross_attn_image_to_token.image_to_tokens(keys, position_queries, query)
        values = self.cross_attn_image_to_token.project_token_values(queries[0])
        return queries, self.layer_norm4(keys.baddbmm_(weights.transpose(1, 2), values))

    def project_token_queries(self, queries: Tensor, query_point_embedding: Tensor) -> List[Tensor]:
        """For cross_attn_token_to_image, of tokens (1, objects, n, channels) that have attended to each other."""
        projected, folded = self.cross_attn_token_to_image.project_token_queries((queries + query_point_embedding)[0])
        return [projected, folded]

    def project_token_keys(self, queries: Tensor, query_point_embedding: Tensor) -> List[Tensor]:
        """For cross_attn_image_to_token: both parts of the keys, and the values."""
        attention = self.cross_attn_image_to_token
        projected, folded = attention.project_token_keys((queries + query_point_embedding)[0])
        return [projected, folded, attention.project_token_values(queries[0])]

    def attend_to_tokens(self, queries: Tensor, query_point_embedding: Tensor, eager: bool) -> Tensor:
        # The first block neither adds the point embedding nor keeps the residual.
        query = queries if self.skip_first_layer_pe else queries + query_point_embedding
        attended = self.self_attn(query, query, queries, None, eager)
        return self.layer_norm1(attended if self.skip_first_layer_pe else queries + attended)

    def feed_forward(self, queries: Tensor, attended: Tensor) -> Tensor:
        queries = self.layer_norm2(queries + attended)
        return self.layer_norm3(queries + self.mlp(queries))


class TwoWayTransformer(nn.Module):
    """`Sam3TrackerTwoWayTransformer`."""

    def __init__(self, config: DecoderGraphConfig):
        super().__init__()
        self.layers = nn.ModuleList(
            [TwoWayAttentionBlock(config, skip_first_layer_pe=(i == 0)) for i in range(config.num_hidden_layers)]
        )
        self.final_attn_token_to_image = Attention(config, config.attention_downsample_rate)
        self.layer_norm_final_attn = LayerNorm(config.hidden_size)

    def forward(
        self,
        point_embeddings: Tensor,
        keys: Tensor,
        key_point_embedding: Tensor,
        attention_similarity: Optional[Tensor],
        target_embedding: Optional[Tensor],
        eager: bool,
    ) -> Tuple[Tensor, Tensor, List[Tensor]]:
        """Tokens (batch, objects, n, channels) and image positions (batch * objects, 1, m, channels) -> the same."""
        queries = point_embeddings
        attentions: List[Tensor] = []
        for layer in self.layers:
            if target_embedding is not None:
                # In place as in the reference: in the first layer `queries` and `point_embeddings` are one tensor, so
                # the target is part of the point embedding of every later layer too.
                queries += target_embedding
            queries, keys, image_update = layer(
                queries, keys, point_embeddings, key_point_embedding, attention_similarity, eager
            )
            attentions.append(image_update)
        query = queries + point_embeddings
        key = keys + key_point_embedding
        queries = queries + self.final_attn_token_to_image(query, key, keys, None, eager)
        return self.layer_norm_final_attn(queries), keys, attentions

    def forward_prepared(
        self, point_embeddings: Tensor, image: List[Tensor], positions: List[Tensor]
    ) -> Tuple[Tensor, Tensor]:
        """`forward` for the objects of one image from prepare_image and prepare_positions: tokens (1, objects, n,
        channels) -> the same, and keys (objects, positions, channels)."""
        queries, keys = point_embeddings, image[0]
        for index, layer in enumerate(self.layers):
            if index == 0:
                queries, keys = layer.forward_shared(queries, point_embeddings, image)
            else:
                queries, keys = layer.forward_folded(
                    queries, keys, point_embeddings, positions[2 * index], positions[2 * index + 1]
                )
        query = (queries + point_embeddings)[0]
        attended = self.final_attn_token_to_image.tokens_to_image(query, keys, positions[-1])
        return self.layer_norm_final_attn(queries + attended), keys

    def prepare_image(self, keys: Tensor, positions: Tensor) -> List[Tensor]:
        """What the blocks need of images (images, positions, channels) whatever the prompts, in this order.

        The images, and with their positional embeddings (1, positions, channels) the first block's projections: keys
        and values for the tokens' attention, queries for the image's, as decoder_attention.py describes them.
        """
        key = keys + positions
        image: List[Tensor] = [keys]
        for index, layer in enumerate(self.layers):
            if index == 0:
                image.append(layer.cross_attn_token_to_image.project_image_keys(key))
                image.append(layer.cross_attn_token_to_image.project_image_values(keys))
                image.append(layer.cross_attn_image_to_token.project_image_queries(key))
        return image

    def prepare_positions(self, positions: Tensor) -> List[Tensor]:
        """What the blocks need of positional embeddings (1, positions, channels), whatever the image.

        For each block keys for the tokens' attention and queries for the image's; at the end keys for the last one.
        """
        prepared: List[Tensor] = []
        for layer in self.layers:
            prepared.append(layer.cross_attn_token_to_image.project_image_keys(positions))
            prepared.append(layer.cross_attn_image_to_token.project_image_queries(positions))
        prepared.append(self.final_attn_token_to_image.project_image_keys(positions))
        return prepared

    def start_tokens(self, point_embeddings: Tensor) -> List[Tensor]:
        """The tokens' side of forward_prepared up to the first cross attention: queries, and both parts for it."""
        results: List[Tensor] = []
        for index, layer in enumerate(self.layers):
            if index == 0:
                queries = layer.attend_to_tokens(point_embeddings, point_embeddings, False)
                results.append(queries)
                results.extend(layer.project_token_queries(queries, point_embeddings))
        return results

    def update_tokens(self, block: int, queries: Tensor, point_embeddings: Tensor, means: Tensor) -> List[Tensor]:
        """A block's tokens after their cross attention, which gave `means`: see project_tokens."""
        for index, layer in enumerate(self.layers):
            if index == block:
                queries = layer.feed_forward(queries, layer.cross_attn_token_to_image.project_means(means))
        return self.project_tokens(block, queries, point_embeddings)

    def project_tokens(self, block: int, queries: Tensor, point_embeddings: Tensor) -> List[Tensor]:
        """Queries, keys and values of a block's cross_attn_image_to_token, and queries of the next token_to_image."""
        image_to_token: List[Tensor] = []
        token_to_image: List[Tensor] = []
        for index, layer in enumerate(self.layers):
            if index == block:
                image_to_token = layer.project_token_keys(queries, point_embeddings)
            elif index == block + 1:
                queries = layer.attend_to_tokens(queries, point_embeddings, False)
                token_to_image = layer.project_token_queries(queries, point_embeddings)
        if block + 1 == len(self.layers):
            projected, folded = self.final_attn_token_to_image.project_token_queries((queries + point_embeddings)[0])
            token_to_image = [projected, folded]
        results = [queries]
        results.extend(image_to_token)
        results.extend(token_to_image)
        return results

    def finish_tokens(self, queries: Tensor, means: Tensor) -> Tensor:
        """The tokens after the last attention."""
        return self.layer_norm_final_attn(queries + self.final_attn_token_to_image.project_means(means))
