"""Loads exported components and binds weights to them: what the native addon does, in Python."""

from pathlib import Path
from typing import Dict, Mapping

import torch
import torch.nn.functional as F
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
        """As `decode`, in the steps that the native addon takes without its kernels, image by image."""
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

    def decode_in_steps(self, image_embeddings, sparse, dense, has_own_image: bool) -> tuple:
        """As `decode`, in the steps that the native addon takes with its kernels, image by image.

        has_own_image: as objects with a mask prompt are decoded, whose image is no other's.
        """
        feat_s0, feat_s1, image_embedding = image_embeddings
        decoder = self.mask_decoder
        positions = self.prompt_encoder.image_wide_positional_embeddings()
        projected = decoder.prepare_positions(positions)
        *norms, weight1, weight2 = decoder.image_weights()
        results = []
        for index in range(len(sparse)):
            one = slice(index, index + 1)
            image = decoder.prepare_image(image_embedding[one], positions, dense[one])
            tokens, queries, *token_to_image = decoder.start_tokens(sparse[one])
            if has_own_image:
                image_keys, image_queries = projected[0], projected[1]
            else:
                image_keys, image_queries = image[1], image[3]
                token_to_image[1] = None
            keys, means = two_way_attention(image[0], None, None, [], token_to_image, image_keys)
            blocks = len(norms) // 3 - 1
            for block in range(blocks):
                queries, *step = decoder.update_tokens(block, tokens, queries, means)
                if block > 0:
                    image_queries = projected[2 * block + 1]
                elif not has_own_image:
                    step[1] = None
                norm = norms[3 * block : 3 * block + 3]
                image_keys = projected[2 * block + 2]
                keys, means = two_way_attention(keys, step[:3], image_queries, norm, step[3:], image_keys)
            mask_weights, *scores = decoder.finish_tokens(queries, means)
            features = decoder.prepare_features(feat_s0[one], feat_s1[one])
            masks = output_upscaling(keys, features, [weight1, weight2], norms[-3:], mask_weights[0])
            results.append((masks.unsqueeze(0), *scores))
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


def two_way_attention(keys, image_to_token, image_queries, norm, token_to_image, image_keys) -> tuple:
    """The image's side of a block, as native/decoder/kernels/two_way_attention.h does it: the new keys, and the means.

    keys (1 or objects, positions, channels). image_to_token: its projected, folded (None: `image_queries` are the
    image's own) and values of update_tokens; None leaves the keys as they are. token_to_image: its projected and
    folded, likewise.
    """
    if image_to_token is not None:
        projected, folded, values = image_to_token
        scores = _scores(projected, folded, keys, image_queries)
        heads = image_queries.shape[1]
        by_head = scores.view(scores.shape[0], heads, -1, scores.shape[2])
        weights = torch.softmax(by_head, dim=2).view(scores.shape)
        weight, bias, epsilon = norm
        keys = F.layer_norm(keys + weights.transpose(1, 2) @ values, weight.shape, weight, bias, epsilon.item())
    scores = _scores(*token_to_image, keys, image_keys)
    return keys, torch.softmax(scores, dim=-1) @ keys


def output_upscaling(keys, features, weights, norm, mask_weights) -> Tensor:
    """Masks (objects, masks, 4h, 4w) of keys (objects, positions, channels): native's kernel output_upscaling."""
    height, width, channels = features[1].shape[1:]
    weight, bias, epsilon = norm
    once = keys @ weights[0].t() + features[1].reshape(1, -1, channels)
    once = F.layer_norm(once.view(len(keys), -1, 4, channels // 4), weight.shape, weight, bias, epsilon.item())
    twice = F.gelu(once) @ weights[1].t() + features[0].reshape(1, -1, 4, channels // 2)
    pixels = F.gelu(twice).view(len(keys), height, width, 2, 2, 2, 2, channels // 8)
    pixels = pixels.permute(0, 7, 1, 3, 5, 2, 4, 6).reshape(len(keys), channels // 8, -1)
    return (mask_weights @ pixels).view(len(keys), -1, 4 * height, 4 * width)


def _scores(projected, folded, keys, positions) -> Tensor:
    """Both parts of a token projection (see Attention.project_token_queries): (objects, heads * n, positions)."""
    heads, head_dim = positions.shape[1], positions.shape[2]
    scores = (projected.view(len(projected), heads, -1, head_dim) @ positions).view(len(projected), -1, keys.shape[1])
    return scores if folded is None else scores + folded @ keys.transpose(1, 2)
