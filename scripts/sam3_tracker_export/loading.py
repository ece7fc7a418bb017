"""Loads exported components and binds weights to them: what the native addon does, in Python."""

from pathlib import Path
from typing import Dict, Mapping

import torch
from torch import Tensor, nn

from .graphs import COMPONENTS, silence_deprecation


def archived_shapes(module: torch.jit.ScriptModule) -> Dict[str, list]:
    """The shapes to bind: an empty parameter is of shape (0, *true_shape), one that holds its weight of its own."""
    tensors = [*module.named_parameters(), *module.named_buffers()]
    return {name: list(tensor.shape[1:] if tensor.numel() == 0 else tensor.shape) for name, tensor in tensors}


def bind_weights(module: torch.jit.ScriptModule, weights: Mapping[str, Tensor]) -> None:
    """Sets every parameter and buffer of a component to the tensor of that name, shared and not copied.

    Raises KeyError for a missing weight and ValueError for one of another shape.
    """
    buffers = {name for name, _ in module.named_buffers()}
    owners = dict(module.named_modules())
    for name, shape in archived_shapes(module).items():
        weight = weights[name].detach()
        if list(weight.shape) != shape:
            raise ValueError(f"{name} has shape {list(weight.shape)}; the graph expects {shape}")
        path, _, attribute = name.rpartition(".")
        # Parameters require gradients as transformers' do, although none is ever taken: aten::matmul copies a
        # transposed input before it multiplies only where the weight does, and float16 rounds differently otherwise.
        value = weight if name in buffers else nn.Parameter(weight)
        setattr(owners[path], attribute, value)


def load_components(folder: Path) -> Dict[str, torch.jit.ScriptModule]:
    """The three components in a `torchscript` folder, as they lie there, without binding anything."""
    silence_deprecation()
    return {name: torch.jit.load(str(Path(folder, f"{name}.pt")), map_location="cpu").eval() for name in COMPONENTS}


def archived_weights(folder: Path) -> Dict[str, Tensor]:
    """The tensors that the archives in a `torchscript` folder hold themselves, by name."""
    weights: Dict[str, Tensor] = {}
    for module in load_components(folder).values():
        weights.update({name: tensor.detach() for name, tensor in module.named_parameters()})
        weights.update(dict(module.named_buffers()))
    return weights


class ExportedTracker:
    """The three components of one folder with one set of weights, and the reference's forward written with them."""

    def __init__(self, folder: Path, weights: Mapping[str, Tensor]):
        components = load_components(folder)
        for module in components.values():
            bind_weights(module, weights)
        self.vision_encoder = components["vision_encoder"]
        self.prompt_encoder = components["prompt_encoder"]
        self.mask_decoder = components["mask_decoder"]

    def embed_prompts(self, batch_size: int, points=None, labels=None, boxes=None, masks=None) -> tuple:
        """Sparse and dense prompt embeddings as `Sam3TrackerModel.forward` makes them."""
        prompt = self.prompt_encoder
        if points is not None and boxes is not None:
            sparse = prompt.embed_points_and_boxes(points, labels, boxes)
        elif points is not None:
            sparse = prompt.embed_points(points, labels)
        elif boxes is not None:
            sparse = prompt.embed_boxes(boxes)
        else:
            sparse = prompt.embed_no_prompt(batch_size)
        dense = prompt.embed_no_mask(batch_size) if masks is None else prompt.embed_masks(masks)
        return sparse, dense

    def decode(self, image_embeddings, sparse, dense, similarity=None, target=None, method: str = "decode") -> tuple:
        """All masks, IoU scores and object score logits (and attentions, by `method`)."""
        feat_s0, feat_s1, image_embedding = image_embeddings
        return getattr(self.mask_decoder, method)(
            image_embedding,
            self.prompt_encoder.image_wide_positional_embeddings(),
            sparse,
            dense,
            feat_s0,
            feat_s1,
            similarity,
            target,
        )

    def decode_prepared(self, image_embeddings, sparse, dense) -> tuple:
        """As `decode`, in the steps that the native addon takes, image by image."""
        feat_s0, feat_s1, image_embedding = image_embeddings
        decoder = self.mask_decoder
        positions = self.prompt_encoder.image_wide_positional_embeddings()
        prepared = decoder.prepare_positions(positions)
        results = []
        for index in range(len(sparse)):
            one = slice(index, index + 1)
            image = decoder.prepare_image(image_embedding[one], positions, dense[one])
            features = decoder.prepare_features(feat_s0[one], feat_s1[one])
            results.append(decoder.decode_prepared(image, prepared, features, sparse[one]))
        return tuple(torch.cat(values) for values in zip(*results, strict=True))

    def decode_in_float64(self, image_embeddings, sparse, dense) -> tuple:
        """As `decode`, with every sum of the decoder in float64."""
        feat_s0, feat_s1, image_embedding = (embedding.double() for embedding in image_embeddings)
        positions = self.prompt_encoder.image_wide_positional_embeddings().double()
        weights = dict(self.mask_decoder.state_dict())
        bind_weights(self.mask_decoder, {name: tensor.double() for name, tensor in weights.items()})
        try:
            return self.mask_decoder.decode(
                image_embedding, positions, sparse.double(), dense.double(), feat_s0, feat_s1, None, None
            )
        finally:
            bind_weights(self.mask_decoder, weights)
