"""The exported decoder component: the methods of the mask decoder that a graph has."""

from typing import List, Optional, Tuple

import torch
from torch import Tensor, nn

from .config import GraphConfig
from .mask_decoder import MaskDecoder


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

    @torch.jit.export
    def prepare_image(
        self, image_embedding: Tensor, image_positional_embeddings: Tensor, dense: Tensor
    ) -> List[Tensor]:
        return self.mask_decoder.prepare_image(image_embedding, image_positional_embeddings, dense)

    @torch.jit.export
    def prepare_positions(self, image_positional_embeddings: Tensor) -> List[Tensor]:
        return self.mask_decoder.prepare_positions(image_positional_embeddings)

    @torch.jit.export
    def prepare_features(self, feat_s0: Tensor, feat_s1: Tensor) -> List[Tensor]:
        return self.mask_decoder.prepare_features(feat_s0, feat_s1)

    @torch.jit.export
    def decode_prepared(
        self, image: List[Tensor], positions: List[Tensor], features: List[Tensor], sparse: Tensor
    ) -> Tuple[Tensor, Tensor, Tensor]:
        return self.mask_decoder.forward_prepared(image, positions, features, sparse)

    @torch.jit.export
    def start_tokens(self, sparse: Tensor) -> List[Tensor]:
        tokens = self.mask_decoder.make_tokens(sparse)
        results = [tokens]
        results.extend(self.mask_decoder.transformer.start_tokens(tokens))
        return results

    @torch.jit.export
    def update_tokens(self, block: int, tokens: Tensor, queries: Tensor, means: Tensor) -> List[Tensor]:
        return self.mask_decoder.transformer.update_tokens(block, queries, tokens, means)

    @torch.jit.export
    def finish_tokens(self, queries: Tensor, means: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
        tokens = self.mask_decoder.transformer.finish_tokens(queries, means)
        iou_scores, object_score_logits = self.mask_decoder.scores(tokens)
        return self.mask_decoder.mask_weights(tokens), iou_scores, object_score_logits

    @torch.jit.export
    def image_weights(self) -> List[Tensor]:
        return self.mask_decoder.image_weights()
