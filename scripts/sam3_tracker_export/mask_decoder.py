"""The decoder component: image and prompt embeddings to all masks, their scores and the object scores.

Twin of `Sam3TrackerMaskDecoder` without `conv_s0` and `conv_s1` (see vision_encoder.py) and without the selection of
masks, which depends on an argument of each call.
"""

from typing import List, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import DecoderGraphConfig, GraphConfig
from .layers import ChannelsFirstLayerNorm, DoublingConv, Embedding, FeedForward, LayerNorm, Linear


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
        # The first block neither adds the point embedding nor keeps the residual.
        query = queries if self.skip_first_layer_pe else queries + query_point_embedding
        attended = self.self_attn(query, query, queries, None, eager)
        queries = self.layer_norm1(attended if self.skip_first_layer_pe else queries + attended)

        query = queries + query_point_embedding
        key = keys + key_point_embedding
        queries = queries + self.cross_attn_token_to_image(query, key, keys, attention_similarity, eager)
        queries = self.layer_norm2(queries)

        queries = self.layer_norm3(queries + self.mlp(queries))

        query = queries + query_point_embedding
        image_update = self.cross_attn_image_to_token(key, query, queries, None, eager)
        keys = self.layer_norm4(keys + image_update)
        return queries, keys, image_update


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


class MaskDecoder(nn.Module):
    """`Sam3TrackerMaskDecoder`, returning every mask token's mask."""

    def __init__(self, config: DecoderGraphConfig):
        super().__init__()
        hidden_size = config.hidden_size
        self.num_mask_tokens = config.num_multimask_outputs + 1
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
        weights: List[Tensor] = []
        for index, head in enumerate(self.output_hypernetworks_mlps):
            weights.append(head(tokens[:, :, 2 + index, :]))
        hyper_in = torch.stack(weights, dim=2)
        mask_height, mask_width = upscaled.shape[2], upscaled.shape[3]
        upscaled = upscaled.view(batch_size, objects, upscaled.shape[1], mask_height * mask_width)
        masks = (hyper_in @ upscaled).view(batch_size, objects, -1, mask_height, mask_width)
        iou_scores = self.iou_prediction_head(tokens[:, :, 1, :])
        return masks, iou_scores, self.pred_obj_score_head(tokens[:, :, 0, :]), attentions


class DecoderComponent(nn.Module):
    """The exported component. Its methods are described in interface.py."""

    def __init__(self, config: GraphConfig):
        super().__init__()
        self.mask_decoder = MaskDecoder(config.mask_decoder)

    @torch.jit.export
    def decode(
        self,
        image_embedding: Tensor,
        image_positional_embeddings: Tensor,
        sparse: Tensor,
        dense: Tensor,
        feat_s0: Tensor,
        feat_s1: Tensor,
        attention_similarity: Optional[Tensor],
        target_embedding: Optional[Tensor],
    ) -> Tuple[Tensor, Tensor, Tensor]:
        masks, iou_scores, object_score_logits, _ = self.mask_decoder(
            image_embedding,
            image_positional_embeddings,
            sparse,
            dense,
            feat_s0,
            feat_s1,
            attention_similarity,
            target_embedding,
            False,
        )
        return masks, iou_scores, object_score_logits

    @torch.jit.export
    def decode_eager(
        self,
        image_embedding: Tensor,
        image_positional_embeddings: Tensor,
        sparse: Tensor,
        dense: Tensor,
        feat_s0: Tensor,
        feat_s1: Tensor,
        attention_similarity: Optional[Tensor],
        target_embedding: Optional[Tensor],
    ) -> Tuple[Tensor, Tensor, Tensor]:
        masks, iou_scores, object_score_logits, _ = self.mask_decoder(
            image_embedding,
            image_positional_embeddings,
            sparse,
            dense,
            feat_s0,
            feat_s1,
            attention_similarity,
            target_embedding,
            True,
        )
        return masks, iou_scores, object_score_logits

    @torch.jit.export
    def decode_with_attentions(
        self,
        image_embedding: Tensor,
        image_positional_embeddings: Tensor,
        sparse: Tensor,
        dense: Tensor,
        feat_s0: Tensor,
        feat_s1: Tensor,
        attention_similarity: Optional[Tensor],
        target_embedding: Optional[Tensor],
    ) -> Tuple[Tensor, Tensor, Tensor, List[Tensor]]:
        masks, iou_scores, object_score_logits, attentions = self.mask_decoder(
            image_embedding,
            image_positional_embeddings,
            sparse,
            dense,
            feat_s0,
            feat_s1,
            attention_similarity,
            target_embedding,
            False,
        )
        return masks, iou_scores, object_score_logits, attentions

    @torch.jit.export
    def decode_with_attentions_eager(
        self,
        image_embedding: Tensor,
        image_positional_embeddings: Tensor,
        sparse: Tensor,
        dense: Tensor,
        feat_s0: Tensor,
        feat_s1: Tensor,
        attention_similarity: Optional[Tensor],
        target_embedding: Optional[Tensor],
    ) -> Tuple[Tensor, Tensor, Tensor, List[Tensor]]:
        masks, iou_scores, object_score_logits, attentions = self.mask_decoder(
            image_embedding,
            image_positional_embeddings,
            sparse,
            dense,
            feat_s0,
            feat_s1,
            attention_similarity,
            target_embedding,
            True,
        )
        return masks, iou_scores, object_score_logits, attentions
