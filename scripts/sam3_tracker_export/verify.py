"""Compares what was written with transformers' own model, on the same weights and the same inputs."""

from dataclasses import replace
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

import torch
from torch import Tensor

from .cases import PromptCase, prompt_cases
from .comparison import TOLERANCE, Comparison, Difference, difference_of
from .config import GraphConfig
from .errors import ExportError
from .loading import ExportedTracker
from .reference import reference_model

#: How much larger than transformers' own the root mean square error in bfloat16 may be: room for chance alone.
HALF_PRECISION_MARGIN = 1.1

#: How much further apart than transformers' float32 and float64 two orders of operations may be in float32.
ROUNDING_MARGIN = 3


def verify(
    folder: Path, config: dict, graph_config: GraphConfig, weights: Dict[str, Tensor], full: bool, report=print
) -> List[Difference]:
    """Compares the graphs in `folder` with transformers in float32; returns the largest difference of each case.

    `full` runs every method with batches of 1 to 3 images, under both kinds of attention, and the whole in bfloat16.
    Otherwise one image is encoded once on either side with sdpa attention, and from that every prompt case is
    decoded with sdpa attention, two of them with eager attention, and one with either in bfloat16. Raises ExportError
    above the tolerance, and where bfloat16 is further from float32 than HALF_PRECISION_MARGIN allows.
    """
    weights = {name: tensor.float() for name, tensor in weights.items()}
    exported = ExportedTracker(folder, weights)
    comparison = Comparison(report)
    generator = torch.Generator().manual_seed(0)
    vision = graph_config.vision
    pixels = torch.randn(3, vision.num_channels, vision.image_size, vision.image_size, generator=generator)
    # Unoptimized: every case has shapes of its own, and recompiling for each takes far longer than running it.
    with torch.no_grad(), torch.jit.optimized_execution(False):
        for attention in ("sdpa", "eager"):
            reference = reference_model(config, weights, attention)
            report(f"{attention} attention: largest absolute difference of the scale of the output")
            cases = prompt_cases(graph_config, generator)
            if full:
                embeddings = _compare_vision(comparison, exported, reference, pixels, attention)
            elif attention == "sdpa":
                embeddings = _compare_one_encoding(comparison, exported, reference, pixels[:1])
            else:
                # What goes through eager attention: points of all labels, and a box with similarity and target.
                cases = [cases[1], cases[-1]]
            for case in cases:
                inputs = [embedding[: case.batch_size] for embedding in embeddings]
                _compare_prompts(comparison, exported, reference, inputs, case, attention)
        comparison.finish()
        if full:
            _compare_bfloat16(folder, config, graph_config, weights, pixels[:2], report)
        else:
            _compare_bfloat16_decoding(folder, config, graph_config, weights, embeddings, report)
    return comparison.worst


def _compare_vision(
    comparison: Comparison, exported: ExportedTracker, reference: torch.nn.Module, pixels: Tensor, attention: str
) -> List[Tensor]:
    """Every method of the vision component for batches of 1 to 3; returns the reference's embeddings of all."""
    vision = exported.vision_encoder
    eager = attention == "eager"
    for batch_size in (1, 2, 3):
        images = pixels[:batch_size]
        theirs = reference.get_image_features(images, output_hidden_states=True, output_attentions=eager)
        embeddings = reference.get_image_embeddings(images)
        kept: Tuple[List[Tensor], ...] = ()
        if eager:
            ours = vision.get_image_features_eager(images)
            *_, hidden_states, attentions = vision.get_image_features_with_attentions(images)
            kept = (hidden_states, attentions)
            without_attentions = vision.get_image_features_with_hidden_states_eager(images)[3]
            own_embeddings = vision.get_image_embeddings_eager(images)
        else:
            ours = vision.get_image_features(images)
            kept = (vision.get_image_features_with_hidden_states(images)[3],)
            own_embeddings = vision.get_image_embeddings(images)
        pairs = {
            "last_hidden_state": ([ours[0]], [theirs.last_hidden_state]),
            "fpn_hidden_states": (ours[1], theirs.fpn_hidden_states),
            "fpn_position_encoding": (ours[2], theirs.fpn_position_encoding),
            "hidden_states": (kept[0], theirs.hidden_states),
            "image_embeddings": (own_embeddings, embeddings),
            "embeddings_from_features": (vision.embeddings_from_features(ours[1]), embeddings),
        }
        if eager:
            pairs["attentions"] = (kept[1], theirs.attentions)
            pairs["hidden_states without attentions"] = (without_attentions, theirs.hidden_states)
        comparison.add(f"encode, batch of {batch_size}", pairs)
    return embeddings


def _compare_one_encoding(
    comparison: Comparison, exported: ExportedTracker, reference: torch.nn.Module, pixels: Tensor
) -> List[Tensor]:
    """One encoding of one image on either side; returns embeddings of three images made of it."""
    comparison.report("  encoding one image with the exported graph")
    ours = exported.vision_encoder.get_image_features_with_hidden_states(pixels)
    comparison.report("  encoding it with transformers")
    theirs = reference.get_image_features(pixels, output_hidden_states=True)
    maps = list(theirs.fpn_hidden_states)
    comparison.add(
        "encode, batch of 1",
        {
            "last_hidden_state": ([ours[0]], [theirs.last_hidden_state]),
            "fpn_hidden_states": (ours[1], maps),
            "fpn_position_encoding": (ours[2], theirs.fpn_position_encoding),
            "hidden_states": (ours[3], theirs.hidden_states),
        },
    )
    embeddings = exported.vision_encoder.embeddings_from_features(maps)
    # What the reference does in get_image_embeddings after the features.
    maps[-1] = maps[-1] + reference.no_memory_embedding
    sizes = reference.backbone_feature_sizes
    expected = [feature.permute(1, 2, 0).view(1, -1, *size) for feature, size in zip(maps, sizes, strict=False)]
    comparison.add("embeddings from features", {"image_embeddings": (embeddings, expected)})
    return [torch.cat([embedding, embedding.flip(2), embedding.flip(3)]) for embedding in embeddings]


def _compare_prompts(
    comparison: Comparison,
    exported: ExportedTracker,
    reference: torch.nn.Module,
    embeddings: List[Tensor],
    case: PromptCase,
    attention: str,
) -> None:
    masks, iou_scores, object_score_logits, attentions = run_reference(reference, embeddings, case)
    sparse, dense = exported.embed_prompts(case.batch_size, case.points, case.labels, case.boxes, case.masks)
    suffix = "_eager" if attention == "eager" else ""
    ours = exported.decode(embeddings, sparse, dense, case.similarity, case.target, f"decode{suffix}")
    with_attentions = f"decode_with_attentions{suffix}"
    kept = exported.decode(embeddings, sparse, dense, case.similarity, case.target, with_attentions)
    positions = exported.prompt_encoder.image_wide_positional_embeddings()
    pairs = {
        "masks": ([ours[0], kept[0]], [masks, masks]),
        "iou_scores": ([ours[1]], [iou_scores]),
        "object_score_logits": ([ours[2]], [object_score_logits]),
        "mask_decoder_attentions": (kept[3], attentions),
        "positional embeddings": ([positions], [reference.get_image_wide_positional_embeddings()]),
    }
    if case.points is not None or case.boxes is not None:
        pairs["sparse embeddings"] = ([sparse], [_reference_prompts(reference, case)[0]])
    if case.masks is None or list(case.masks.shape[-2:]) == list(reference.prompt_encoder.mask_input_size):
        theirs = _reference_prompts(reference, case)[1]
        as_they_are = dense if case.masks is None else exported.prompt_encoder.embed_masks_as_they_are(case.masks)
        pairs["dense embeddings"] = ([dense, as_they_are], [theirs.expand_as(dense), theirs.expand_as(dense)])
    further: List[Difference] = []
    if attention == "sdpa" and case.similarity is None and case.target is None:
        theirs = (masks, iou_scores, object_score_logits)
        further = _compare_prepared(exported, embeddings, sparse, dense, theirs, case)
    comparison.add(case.name, pairs, further)


def _compare_prepared(
    exported: ExportedTracker, embeddings: List[Tensor], sparse: Tensor, dense: Tensor, theirs: tuple, case: PromptCase
) -> List[Difference]:
    """Differences of the decoder's other order of operations, which rounds otherwise than transformers' own.

    Where a model magnifies rounding, the distance of transformers' own float32 from float64 is the measure.
    """
    orders = {
        "prepared": exported.decode_prepared(embeddings, sparse, dense),
        "in steps, prepared": exported.decode_in_steps(embeddings, sparse, dense, False),
    }
    if case.masks is not None:
        # Only a mask prompt gives objects an image of their own.
        orders["in steps, own image, prepared"] = exported.decode_in_steps(embeddings, sparse, dense, True)
    outputs = ("masks", "iou_scores", "object_score_logits")
    names = [f"{name}, {order}" for order in orders for name in outputs]
    ours = [output for results in orders.values() for output in results]
    theirs = [*theirs] * len(orders)
    differences = [difference_of(case.name, *values) for values in zip(names, ours, theirs, strict=True)]
    if all(difference.relative <= TOLERANCE for difference in differences):
        return differences
    exact = exported.decode_in_float64(embeddings, sparse, dense)
    exact = [*exact] * len(orders)
    rounding = [difference_of(case.name, *values) for values in zip(names, theirs, exact, strict=True)]
    return [
        replace(difference, allowed=max(TOLERANCE, ROUNDING_MARGIN * own.relative))
        for difference, own in zip(differences, rounding, strict=True)
    ]


def _reference_prompts(reference: torch.nn.Module, case: PromptCase) -> tuple:
    return reference.get_prompt_embeddings(
        input_points=case.points, input_labels=case.labels, input_boxes=case.boxes, input_masks=case.masks
    )


def run_reference(reference: torch.nn.Module, embeddings: List[Tensor], case: PromptCase) -> tuple:
    """transformers' masks, IoU scores and object score logits for all mask tokens, and the decoder's attentions."""

    def forward(multimask_output: bool):
        return reference(
            image_embeddings=[embedding.clone() for embedding in embeddings],
            input_points=case.points,
            input_labels=case.labels,
            input_boxes=case.boxes,
            input_masks=case.masks,
            attention_similarity=case.similarity,
            target_embedding=case.target,
            multimask_output=multimask_output,
            output_attentions=True,
        )

    decoder = reference.mask_decoder
    by_stability = decoder.dynamic_multimask_via_stability
    decoder.dynamic_multimask_via_stability = False
    try:
        single, several = forward(False), forward(True)
    finally:
        decoder.dynamic_multimask_via_stability = by_stability
    masks = torch.cat([single.pred_masks, several.pred_masks], dim=2)
    iou_scores = torch.cat([single.iou_scores, several.iou_scores], dim=2)
    return masks, iou_scores, several.object_score_logits, several.mask_decoder_attentions


def _compare_bfloat16(
    folder: Path, config: dict, graph_config: GraphConfig, weights: Dict[str, Tensor], pixels: Tensor, report
) -> None:
    """In bfloat16 the error must be no larger than that of transformers' own bfloat16.

    Under transformers 5.8 both are the same bits; later versions round the positions of their rotary tables to the
    dtype of the model, which this export does not.
    """
    half = {name: tensor.to(torch.bfloat16) for name, tensor in weights.items()}
    case = prompt_cases(graph_config, torch.Generator().manual_seed(1))[2]
    exact = _run_whole(reference_model(config, weights), pixels, case)
    theirs = _run_whole(reference_model(config, half), pixels, case)
    exported = ExportedTracker(folder, half)
    embeddings = exported.vision_encoder.get_image_embeddings(pixels)
    prompts = exported.embed_prompts(case.batch_size, case.points, case.labels)
    ours = {**_named(embeddings), "masks": exported.decode(embeddings, *prompts)[0]}
    _check_bfloat16("", exact, theirs, ours, report)


def _compare_bfloat16_decoding(
    folder: Path,
    config: dict,
    graph_config: GraphConfig,
    weights: Dict[str, Tensor],
    embeddings: List[Tensor],
    report,
) -> None:
    """Prompts and masks alone in bfloat16, under both kinds of attention, with the criterion of _compare_bfloat16.

    The vision encoder, which does not run, keeps its weights in float32: no copy of a large model is made.
    """
    case = prompt_cases(graph_config, torch.Generator().manual_seed(1))[2]
    inputs = [embedding[: case.batch_size] for embedding in embeddings]
    half_inputs = [embedding.to(torch.bfloat16) for embedding in inputs]
    exported = ExportedTracker(
        folder,
        {name: t if name.startswith("vision_encoder.") else t.to(torch.bfloat16) for name, t in weights.items()},
    )
    prompts = exported.embed_prompts(case.batch_size, case.points, case.labels)
    for attention, method in (("sdpa", "decode"), ("eager", "decode_eager")):
        reference = reference_model(config, weights, attention)
        exact = _named_outputs(run_reference(reference, inputs, case))
        for module in (reference.prompt_encoder, reference.shared_image_embedding, reference.mask_decoder):
            module.to(torch.bfloat16)
        theirs = _named_outputs(run_reference(reference, half_inputs, case))
        ours = _named_outputs(exported.decode(half_inputs, *prompts, method=method))
        _check_bfloat16(f"{attention} attention, ", exact, theirs, ours, report)


def _check_bfloat16(
    what: str, exact: Dict[str, Tensor], theirs: Dict[str, Tensor], ours: Dict[str, Tensor], report
) -> None:
    """Raises ExportError where our root mean square error from `exact` is above the margin over transformers'."""
    for name, best in exact.items():
        own, reference = _rms(ours[name].float() - best), _rms(theirs[name].float() - best)
        distance = (ours[name].float() - theirs[name].float()).abs().max().item()
        errors = f"rms error {own:.3g}, transformers' {reference:.3g}"
        report(f"  bfloat16, {what}{name}: {errors}; {distance:.3g} apart at most")
        if any(outputs[name].dtype != torch.bfloat16 for outputs in (ours, theirs)):
            raise ExportError(
                f"In bfloat16, {what}the {name} are {ours[name].dtype}, transformers' {theirs[name].dtype}."
            )
        # Written so that NaN fails as well.
        if not own <= HALF_PRECISION_MARGIN * reference:
            raise ExportError(
                f"In bfloat16, {what}the {name} are further from float32 than transformers' bfloat16 is: root mean "
                f"square errors of {own:.3g} and {reference:.3g}, of which {HALF_PRECISION_MARGIN} times is allowed."
            )


def _run_whole(reference: torch.nn.Module, pixels: Tensor, case: PromptCase) -> Dict[str, Tensor]:
    embeddings = reference.get_image_embeddings(pixels)
    return {**_named(embeddings), "masks": run_reference(reference, embeddings, case)[0]}


def _named(embeddings: Sequence[Tensor]) -> Dict[str, Tensor]:
    return {f"image embeddings {index}": embedding for index, embedding in enumerate(embeddings)}


def _named_outputs(outputs: Sequence[Tensor]) -> Dict[str, Tensor]:
    return dict(zip(("masks", "IoU scores", "object score logits"), outputs, strict=False))


def _rms(values: Tensor) -> float:
    return values.double().square().mean().sqrt().item()
