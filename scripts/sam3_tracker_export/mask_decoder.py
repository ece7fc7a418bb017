"""The decoder component: image and prompt embeddings to all masks, their scores and the object scores.

Twin of `Sam3TrackerMaskDecoder` without `conv_s0` and `conv_s1` (see vision_encoder.py) and without the selection of
masks, which depends on an argument of each call.
"""

from typing import List, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import DecoderGraphConfig
from .decoder_attention import Attention
from .layers import ChannelsFirstLayerNorm, DoublingConv, Embedding, FeedForward, LayerNorm

#: Elements of the largest temporary in a step of upscale_prepared: a megabyte in float32, which a core's cache holds.
_BLOCK_ELEMENTS = 262144


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
        updates = self.cross_attn_image_to_token.image_update_values(queries[0])
        keys = image[0].expand(queries.shape[1], -1, -1)
        return queries, self.layer_norm4(torch.baddbmm(keys, weights.transpose(1, 2), updates))

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
        updates = self.cross_attn_image_to_token.image_update_values(queries[0])
        return queries, self.layer_norm4(keys.baddbmm_(weights.transpose(1, 2), updates))

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
                place = 2 * (index - 1)
                queries, keys = layer.forward_folded(
                    queries, keys, point_embeddings, positions[place], positions[place + 1]
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
        """What the blocks behind the first need of positional embeddings (1, positions, channels), whatever the image.

        For each of them keys for the tokens' attention and queries for the image's; at the end keys for the last one.
        """
        prepared: List[Tensor] = []
        for index, layer in enumerate(self.layers):
            if index > 0:
                prepared.append(layer.cross_attn_token_to_image.project_image_keys(positions))
                prepared.append(layer.cross_attn_image_to_token.project_image_queries(positions))
        prepared.append(self.final_attn_token_to_image.project_image_keys(positions))
        return prepared


class MaskDecoder(nn.Module):
    """`Sam3TrackerMaskDecoder`, returning every mask token's mask."""

    def __init__(self, config: DecoderGraphConfig):
        super().__init__()
        hidden_size = config.hidden_size
        self.num_mask_tokens = config.num_multimask_outputs + 1
        # The largest temporary of a block has 2 * hidden_size elements a position.
        self.block_positions = max(_BLOCK_ELEMENTS // (2 * hidden_size), 1)
        self.iou_token = Embedding(1, hidden_size)
        self.mask_tokens = Embedding(self.num_mask_tokens, hidden_size)
        self.transformer = TwoWayTransformer(config)
        self.upscale_conv1 = DoublingConv(hidden_size, hidden_size // 4)
        self.upscale_conv2 = DoublingConv(hidden_size // 4, hidden_size // 8)
        self.upscale_layer_norm = ChannelsFirstLayerNorm(hidden_size // 4, eps=1e-6)
        # Not config.hidden_act: the reference always upscales with GELU.
        self.activation = nn.GELU()
        self.output_hypernetworks_mlps = nn.ModuleList(
            [FeedForward(hidden_size, hidden_size, hidden_size // 8, 3) for _ in range(self.num_mask_tokens)]
        )
        self.iou_prediction_head = FeedForward(
            hidden_size, config.iou_head_hidden_dim, self.num_mask_tokens, config.iou_head_depth, sigmoid_output=True
        )
        self.obj_score_token = Embedding(1, hidden_size)
        self.pred_obj_score_head = FeedForward(hidden_size, hidden_size, 1, 3)

    def make_tokens(self, sparse: Tensor) -> Tensor:
        """Object score, IoU and mask tokens, then the prompt's: (batch, objects, n, channels)."""
        output_tokens = torch.cat([self.obj_score_token.weight, self.iou_token.weight, self.mask_tokens.weight], dim=0)
        output_tokens = output_tokens.repeat(sparse.shape[0], sparse.shape[1], 1, 1)
        return torch.cat((output_tokens, sparse), dim=2).to(self.iou_token.weight.dtype)

    def add_dense(self, image_embedding: Tensor, dense: Tensor, objects: int) -> Tensor:
        """Image embedding plus dense prompt, one row per object: (batch * objects, channels, h, w)."""
        if dense.shape[0] == image_embedding.shape[0] or dense.shape[0] == 1:
            return (image_embedding + dense).repeat_interleave(objects, dim=0)
        # One mask prompt per object, which the reference does not have.
        return image_embedding.repeat_interleave(objects, dim=0) + dense

    def upscale(self, features: Tensor, feat_s0: Tensor, feat_s1: Tensor, objects: int) -> Tensor:
        """(batch * objects, channels, h, w) -> (batch * objects, channels / 8, 4h, 4w)."""
        upscaled = self.upscale_conv1(features) + feat_s1.repeat_interleave(objects, dim=0)
        upscaled = self.activation(self.upscale_layer_norm(upscaled))
        return self.activation(self.upscale_conv2(upscaled) + feat_s0.repeat_interleave(objects, dim=0))

    def forward(
        self,
        image_embedding: Tensor,
        image_positional_embeddings: Tensor,
        sparse: Tensor,
        dense: Tensor,
        feat_s0: Tensor,
        feat_s1: Tensor,
        attention_similarity: Optional[Tensor],
        target_embedding: Optional[Tensor],
        eager: bool,
    ) -> Tuple[Tensor, Tensor, Tensor, List[Tensor]]:
        """Returns masks, IoU scores, object score logits and the blocks' image updates: see interface.py."""
        batch_size, channels, height, width = image_embedding.shape
        objects = sparse.shape[1]
        keys = self.add_dense(image_embedding, dense, objects).flatten(2).permute(0, 2, 1).unsqueeze(1)
        if image_positional_embeddings.shape[0] != 1:
            image_positional_embeddings = image_positional_embeddings.repeat_interleave(objects, dim=0)
        key_point_embedding = image_positional_embeddings.flatten(2).permute(0, 2, 1).unsqueeze(1)
        tokens, keys, attentions = self.transformer(
            self.make_tokens(sparse), keys, key_point_embedding, attention_similarity, target_embedding, eager
        )

        features = keys.transpose(2, 3).reshape(batch_size * objects, channels, height, width)
        upscaled = self.upscale(features, feat_s0, feat_s1, objects)
        hyper_in = self.mask_weights(tokens)
        mask_height, mask_width = upscaled.shape[2], upscaled.shape[3]
        upscaled = upscaled.view(batch_size, objects, upscaled.shape[1], mask_height * mask_width)
        masks = (hyper_in @ upscaled).view(batch_size, objects, -1, mask_height, mask_width)
        iou_scores = self.iou_prediction_head(tokens[:, :, 1, :])
        return masks, iou_scores, self.pred_obj_score_head(tokens[:, :, 0, :]), attentions

    def mask_weights(self, tokens: Tensor) -> Tensor:
        """What each mask token's mask takes of the upscaled features: (batch, objects, masks, channels / 8)."""
        weights: List[Tensor] = []
        for index, head in enumerate(self.output_hypernetworks_mlps):
            weights.append(head(tokens[:, :, 2 + index, :]))
        return torch.stack(weights, dim=2)

    def prepare_image(
        self, image_embedding: Tensor, image_positional_embeddings: Tensor, dense: Tensor
    ) -> List[Tensor]:
        """See TwoWayTransformer.prepare_image; dense is one per image, or one for all."""
        keys = (image_embedding + dense).flatten(2).transpose(1, 2).contiguous()
        return self.transformer.prepare_image(keys, image_positional_embeddings.flatten(2).transpose(1, 2).contiguous())

    def prepare_positions(self, image_positional_embeddings: Tensor) -> List[Tensor]:
        """See TwoWayTransformer.prepare_positions."""
        return self.transformer.prepare_positions(image_positional_embeddings.flatten(2).transpose(1, 2).contiguous())

    def prepare_features(self, feat_s0: Tensor, feat_s1: Tensor) -> List[Tensor]:
        """The high-resolution features in the order in which upscale_prepared makes its rows, its biases added.

        (batch, channels / 8, 4h, 4w) -> (batch, h, w, 4, channels / 2), and (batch, channels / 4, 2h, 2w) ->
        (batch, h, w, channels), each with what lies within one position of the image embedding in the last places.
        """
        batch_size, height, width = feat_s1.shape[0], feat_s1.shape[2] // 2, feat_s1.shape[3] // 2
        channels_s0, channels_s1 = feat_s0.shape[1], feat_s1.shape[1]
        rows_s0 = feat_s0.new_empty([batch_size, height, width, 2, 2, 2, 2, channels_s0])
        rows_s1 = feat_s1.new_empty([batch_size, height, width, 2, 2, channels_s1])
        # Position by position: copying what lies in eight dimensions at once takes several times as long.
        for y in range(4):
            for x in range(4):
                part = feat_s0[:, :, y::4, x::4].permute(0, 2, 3, 1)
                rows_s0[:, :, :, y // 2, x // 2, y % 2, x % 2] = part + self.upscale_conv2.bias
        for y in range(2):
            for x in range(2):
                rows_s1[:, :, :, y, x] = feat_s1[:, :, y::2, x::2].permute(0, 2, 3, 1) + self.upscale_conv1.bias
        return [
            rows_s0.view(batch_size, height, width, 4, 4 * channels_s0),
            rows_s1.view(batch_size, height, width, 4 * channels_s1),
        ]

    def upscale_prepared(self, keys: Tensor, features: List[Tensor], mask_weights: Tensor) -> Tensor:
        """`upscale` and the masks for one object, as matrix products of rows that stay in the cache.

        A transposed convolution with kernel and stride 2 gives each position 2 x 2 new ones that depend on no other:
        keys (positions, channels) -> 4 rows of channels / 4 -> 16 rows of channels / 8 -> masks (masks, 4h, 4w).
        """
        height, width, channels = features[1].shape[1], features[1].shape[2], keys.shape[1]
        rows_s0, rows_s1 = features[0].view(-1, channels // 2), features[1].view(-1, channels)
        weight1 = self.upscale_conv1.weight.permute(0, 2, 3, 1).reshape(channels, channels)
        weight2 = self.upscale_conv2.weight.permute(0, 2, 3, 1).reshape(channels // 4, channels // 2)
        norm = self.upscale_layer_norm
        blocks: List[Tensor] = []
        for start in range(0, keys.shape[0], self.block_positions):
            end = start + self.block_positions
            upscaled = torch.addmm(rows_s1[start:end], keys[start:end], weight1)
            upscaled = F.layer_norm(upscaled.view(-1, channels // 4), [channels // 4], norm.weight, norm.bias, norm.eps)
            upscaled = torch.addmm(rows_s0[4 * start : 4 * end], self.activation(upscaled), weight2)
            blocks.append(torch.mm(self.activation(upscaled).view(-1, channels // 8), mask_weights.t()))
        parts = torch.cat(blocks).view(height, width, 4, 4, -1).permute(4, 2, 3, 0, 1)
        masks = parts.new_empty([parts.shape[0], height, 4, width, 4])
        for y in range(4):
            for x in range(4):
                masks[:, :, y, :, x] = parts[:, 2 * (y // 2) + x // 2, 2 * (y % 2) + x % 2]
        return masks.view(-1, 4 * height, 4 * width)

    def forward_prepared(
        self, image: List[Tensor], positions: List[Tensor], features: List[Tensor], sparse: Tensor
    ) -> Tuple[Tensor, Tensor, Tensor]:
        """`forward` for objects (1, objects, n, channels) of one image, from what the prepare methods give."""
        tokens, keys = self.transformer.forward_prepared(self.make_tokens(sparse), image, positions)
        mask_weights = self.mask_weights(tokens)
        masks: List[Tensor] = []
        for index in range(sparse.shape[1]):
            masks.append(self.upscale_prepared(keys[index], features, mask_weights[0, index]))
        iou_scores = self.iou_prediction_head(tokens[:, :, 1, :])
        return torch.stack(masks).unsqueeze(0), iou_scores, self.pred_obj_score_head(tokens[:, :, 0, :])
