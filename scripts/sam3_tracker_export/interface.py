"""The methods of the exported components: arguments and results, with their shapes. The manifest repeats this table.

A dimension is a number, or a name: `batch` images, `objects` per image, `points` per object (`tokens` where padding
and box corners count too, `all_tokens` where the decoder's own do), height and width in pixels of the model's input.
Boxes are xyxy and points are xy, both in pixels of the model's square input image.
"""

from typing import Dict, List, Tuple

from .config import GraphConfig

Shape = Tuple
Value = Tuple[str, str, list]


def component_methods(config: GraphConfig) -> Dict[str, List[dict]]:
    """For each component the list of its methods: name, arguments and results (name, type, shape)."""
    return {
        "vision_encoder": _vision_methods(config),
        "prompt_encoder": _prompt_methods(config),
        "mask_decoder": _decoder_methods(config),
    }


def _method(name: str, arguments: List[Value], results: List[Value]) -> dict:
    def describe(values: List[Value]) -> List[dict]:
        return [{"name": name, "type": kind, "shape": shape} for name, kind, shape in values]

    return {"name": name, "arguments": describe(arguments), "results": describe(results)}


def _vision_methods(config: GraphConfig) -> List[dict]:
    vision = config.vision
    grid = vision.image_size // vision.patch_size
    channels = vision.fpn_hidden_size
    sides = [_side(grid, scale) for scale in vision.scale_factors]
    widths = [channels // 8, channels // 4] + [channels] * (len(sides) - 2)
    pixel_values: Value = (
        "pixel_values",
        "Tensor",
        ["batch", vision.num_channels, vision.image_size, vision.image_size],
    )
    features: List[Value] = [
        ("last_hidden_state", "Tensor", ["batch", grid * grid, vision.hidden_size]),
        ("fpn_hidden_states", "List[Tensor]", [[s * s, "batch", w] for s, w in zip(sides, widths, strict=True)]),
        ("fpn_position_encoding", "List[Tensor]", [[s * s, "batch", channels] for s in sides]),
    ]
    hidden_states: Value = (
        "hidden_states",
        "List[Tensor]",
        [["batch", grid, grid, vision.hidden_size]] * (vision.num_hidden_layers + 1),
    )
    attentions: Value = (
        "attentions",
        "List[Tensor]",
        [_attention_shape(config, index) for index in range(vision.num_hidden_layers)],
    )
    embeddings: Value = (
        "image_embeddings",
        "List[Tensor]",
        [["batch", width, *size] for width, size in zip(widths, vision.backbone_feature_sizes, strict=False)],
    )
    return [
        _method("get_image_embeddings", [pixel_values], [embeddings]),
        _method("get_image_embeddings_eager", [pixel_values], [embeddings]),
        _method("get_image_features", [pixel_values], features),
        _method("get_image_features_eager", [pixel_values], features),
        _method("get_image_features_with_hidden_states", [pixel_values], [*features, hidden_states]),
        _method("get_image_features_with_hidden_states_eager", [pixel_values], [*features, hidden_states]),
        _method("get_image_features_with_attentions", [pixel_values], [*features, hidden_states, attentions]),
        _method("embeddings_from_features", [features[1]], [embeddings]),
    ]


def _side(grid: int, scale: float) -> int:
    return int(grid * scale)


def _attention_shape(config: GraphConfig, layer: int) -> list:
    vision = config.vision
    grid = vision.image_size // vision.patch_size
    if layer in vision.global_attn_indexes or vision.window_size == 0:
        return ["batch", vision.num_attention_heads, grid * grid, grid * grid]
    windows = (-(-grid // vision.window_size)) ** 2
    positions = vision.window_size**2
    return [f"{windows}*batch", vision.num_attention_heads, positions, positions]


def _prompt_methods(config: GraphConfig) -> List[dict]:
    prompt = config.prompt_encoder
    channels = prompt.hidden_size
    side = prompt.image_size // prompt.patch_size
    mask_side = 4 * prompt.image_size // prompt.patch_size
    points: Value = ("points", "Tensor", ["batch", "objects", "points", 2])
    labels: Value = ("labels", "Tensor", ["batch", "objects", "points"])
    boxes: Value = ("boxes", "Tensor", ["batch", "objects", 4])
    batch_size: Value = ("batch_size", "int", [])
    dense: Value = ("dense", "Tensor", ["batch", channels, side, side])

    def sparse(tokens: object, objects: object = "objects") -> List[Value]:
        return [("sparse", "Tensor", ["batch", objects, tokens, channels])]

    return [
        _method("embed_points", [points, labels], sparse("points+1")),
        _method("embed_boxes", [boxes], sparse(3)),
        _method("embed_points_and_boxes", [points, labels, boxes], sparse("points+3")),
        _method("embed_no_prompt", [batch_size], sparse(2, 1)),
        _method("embed_masks", [("masks", "Tensor", ["batch", 1, "mask_height", "mask_width"])], [dense]),
        _method("embed_masks_as_they_are", [("masks", "Tensor", ["batch", 1, mask_side, mask_side])], [dense]),
        _method("embed_no_mask", [batch_size], [dense]),
        _method(
            "image_wide_positional_embeddings",
            [],
            [("image_positional_embeddings", "Tensor", [1, channels, side, side])],
        ),
    ]


def _decoder_methods(config: GraphConfig) -> List[dict]:
    channels = config.mask_decoder.hidden_size
    tokens = config.mask_decoder.num_multimask_outputs + 1
    (height0, width0), (height1, width1), (height, width) = config.vision.backbone_feature_sizes
    arguments: List[Value] = [
        ("image_embedding", "Tensor", ["batch", channels, height, width]),
        ("image_positional_embeddings", "Tensor", ["batch or 1", channels, height, width]),
        ("sparse", "Tensor", ["batch", "objects", "tokens", channels]),
        ("dense", "Tensor", ["batch, 1 or batch*objects", channels, height, width]),
        ("feat_s0", "Tensor", ["batch", channels // 8, height0, width0]),
        ("feat_s1", "Tensor", ["batch", channels // 4, height1, width1]),
        (
            "attention_similarity",
            "Optional[Tensor]",
            ["batch*objects or 1", "heads or 1", f"tokens+{tokens + 2} or 1", height * width],
        ),
        ("target_embedding", "Optional[Tensor]", ["batch or 1", "objects or 1", f"tokens+{tokens + 2} or 1", channels]),
    ]
    results: List[Value] = [
        ("masks", "Tensor", ["batch", "objects", tokens, height0, width0]),
        ("iou_scores", "Tensor", ["batch", "objects", tokens]),
        ("object_score_logits", "Tensor", ["batch", "objects", 1]),
    ]
    attentions: Value = (
        "mask_decoder_attentions",
        "List[Tensor]",
        [["batch*objects", 1, height * width, channels]] * config.mask_decoder.num_hidden_layers,
    )
    return [
        _method("decode", arguments, results),
        _method("decode_eager", arguments, results),
        _method("decode_with_attentions", arguments, [*results, attentions]),
        _method("decode_with_attentions_eager", arguments, [*results, attentions]),
        *_prepared_methods(config, arguments),
        *_token_methods(config),
    ]


def _prepared_methods(config: GraphConfig, decode: List[Value]) -> List[dict]:
    """`decode` in steps, of which all but the last depend on the image alone, on a mask prompt, or on neither.

    Without attention_similarity and target_embedding, with one image at a time and the positional embeddings and the
    mask prompt once for all its objects, and with the operations in another order: equal but for rounding.
    """
    decoder = config.mask_decoder
    channels, heads = decoder.hidden_size, decoder.num_attention_heads
    head_dim = channels // decoder.attention_downsample_rate // heads
    height, width = config.vision.backbone_feature_sizes[2]
    positions = height * width

    def image(batch: object) -> Value:
        projections = [[batch, heads, head_dim, positions], [batch, heads, positions, head_dim]]
        return ("image", "List[Tensor]", [[batch, positions, channels], *projections, projections[0]])

    projected = [[1, heads, head_dim, positions]] * (2 * decoder.num_hidden_layers + 1)
    of_positions: Value = ("positions", "List[Tensor]", projected)

    def features(batch: object) -> Value:
        shapes = [[batch, height, width, 4, channels // 2], [batch, height, width, channels]]
        return ("features", "List[Tensor]", shapes)

    image_embedding, image_positional_embeddings, _, dense, feat_s0, feat_s1 = decode[:6]
    one_for_all: Value = (image_positional_embeddings[0], "Tensor", [1, channels, height, width])
    one_per_image: Value = (dense[0], "Tensor", ["batch or 1", channels, height, width])
    sparse: Value = ("sparse", "Tensor", [1, "objects", "tokens", channels])
    height0, width0 = config.vision.backbone_feature_sizes[0]
    masks = decoder.num_multimask_outputs + 1
    return [
        _method("prepare_image", [image_embedding, one_for_all, one_per_image], [image("batch")]),
        _method("prepare_positions", [one_for_all], [of_positions]),
        _method("prepare_features", [feat_s0, feat_s1], [features("batch")]),
        _method(
            "decode_prepared",
            [image(1), of_positions, features(1), sparse],
            [
                ("masks", "Tensor", [1, "objects", masks, height0, width0]),
                ("iou_scores", "Tensor", [1, "objects", masks]),
                ("object_score_logits", "Tensor", [1, "objects", 1]),
            ],
        ),
    ]


def _token_methods(config: GraphConfig) -> List[dict]:
    """`decode_prepared` without what is done at every position of the image, which is left to the caller.

    The caller runs loading.py's two_way_attention before the first block and once a block. It takes the results
    `image_to_token_*` (not before the first block) and `token_to_image_*`, and gives `means`: the image's keys,
    weighted by cross_attn_token_to_image. While many objects share the image, until the first block changes it, what
    prepare_image projects takes the place of the parts `*_folded`.
    """
    decoder = config.mask_decoder
    channels, heads = decoder.hidden_size, decoder.num_attention_heads
    head_dim = channels // decoder.attention_downsample_rate // heads
    masks = decoder.num_multimask_outputs + 1
    rows = f"{heads}*all_tokens"
    projections = [["objects", rows, head_dim], ["objects", rows, channels]]
    step = [*projections, ["objects", rows, channels], *projections]
    norms = [[channels], [channels], [1]] * decoder.num_hidden_layers + [[channels // 4], [channels // 4], [1]]
    convolutions = [[channels, channels], [channels // 2, channels // 4]]

    sparse: Value = ("sparse", "Tensor", [1, "objects", "tokens", channels])
    all_tokens = [1, "objects", "all_tokens", channels]
    tokens: Value = ("tokens", "Tensor", all_tokens)
    queries: Value = ("queries", "Tensor", all_tokens)
    means: Value = ("means", "Tensor", ["objects", rows, channels])
    block: Value = ("block", "int", [])
    return [
        # tokens, queries, token_to_image_projected, token_to_image_folded
        _method("start_tokens", [sparse], [("step", "List[Tensor]", [all_tokens, all_tokens, *projections])]),
        # queries, image_to_token_projected, image_to_token_folded, image_to_token_values, token_to_image_projected,
        # token_to_image_folded
        _method("update_tokens", [block, tokens, queries, means], [("step", "List[Tensor]", [all_tokens, *step])]),
        _method(
            "finish_tokens",
            [queries, means],
            [
                ("mask_weights", "Tensor", [1, "objects", masks, channels // 8]),
                ("iou_scores", "Tensor", [1, "objects", masks]),
                ("object_score_logits", "Tensor", [1, "objects", 1]),
            ],
        ),
        _method("image_weights", [], [("weights", "List[Tensor]", [*norms, *convolutions])]),
    ]
