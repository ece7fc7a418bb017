"""The decoder component: image and prompt embeddings to all masks, their scores and the object scores.

Twin of `Sam3TrackerMaskDecoder` without `conv_s0` and `conv_s1` (see vision_encoder.py) and without the selection of
masks, which depends on an argument of each call.
"""

from typing import List, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import DecoderGraphConfig
from .layers import ChannelsFirstLayerNorm, DoublingConv, Embedding, FeedForward
from .two_way_transformer import TwoWayTransformer

#: Elements of the largest temporary in a step of upscale_prepared: a megabyte in float32, which a core's cache holds.
_BLOCK_ELEMENTS = 262144


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
        iou_scores, object_score_logits = self.scores(tokens)
        return masks, iou_scores, object_score_logits, attentions

    def mask_weights(self, tokens: Tensor) -> Tensor:
        """What each mask token's mask takes of the upscaled features: (batch, objects, masks, channels / 8)."""
        weights: List[Tensor] = []
        for index, head in enumerate(self.output_hypernetworks_mlps):
            weights.append(head(tokens[:, :, 2 + index, :]))
        return torch.stack(weights, dim=2)

    def scores(self, tokens: Tensor) -> Tuple[Tensor, Tensor]:
        """IoU scores (batch, objects, masks) and object score logits (batch, objects, 1)."""
        return self.iou_prediction_head(tokens[:, :, 1, :]), self.pred_obj_score_head(tokens[:, :, 0, :])

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
        weight1, weight2 = [weight.t() for weight in self.convolution_weights()]
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

    def convolution_weights(self) -> List[Tensor]:
        """Both transposed convolutions as matrices: rows (2, 2, channels out), columns the channels that come in."""
        weights: List[Tensor] = []
        for weight in (self.upscale_conv1.weight, self.upscale_conv2.weight):
            weights.append(weight.permute(2, 3, 1, 0).reshape(-1, weight.shape[0]))
        return weights

    def image_weights(self) -> List[Tensor]:
        """What is multiplied with every position: weight, bias and epsilon (1) of each block's norm of the image and
        of the one between the convolutions, and the convolutions."""
        weights: List[Tensor] = []
        for layer in self.transformer.layers:
            norm = layer.layer_norm4
            weights.extend([norm.weight, norm.bias, norm.weight.new_full([1], norm.eps)])
        norm = self.upscale_layer_norm
        weights.extend([norm.weight, norm.bias, norm.weight.new_full([1], norm.eps)])
        weights.extend(self.convolution_weights())
        return weights

    def forward_prepared(
        self, image: List[Tensor], positions: List[Tensor], features: List[Tensor], sparse: Tensor
    ) -> Tuple[Tensor, Tensor, Tensor]:
        """`forward` for objects (1, objects, n, channels) of one image, from what the prepare methods give."""
        tokens, keys = self.transformer.forward_prepared(self.make_tokens(sparse), image, positions)
        mask_weights = self.mask_weights(tokens)
        masks: List[Tensor] = []
        for index in range(sparse.shape[1]):
            masks.append(self.upscale_prepared(keys[index], features, mask_weights[0, index]))
        iou_scores, object_score_logits = self.scores(tokens)
        return torch.stack(masks).unsqueeze(0), iou_scores, object_score_logits
