"""How far outputs are from transformers', and what is allowed."""

from dataclasses import dataclass
from typing import Callable, Dict, List, Sequence, Tuple

from torch import Tensor

from .errors import ExportError

#: Largest difference allowed in float32, as a part of the largest absolute value of the reference's output.
TOLERANCE = 1e-5

#: Outputs whose scale counts as 1 at least.
_SCORES = ("iou_scores", "object_score_logits")


@dataclass(frozen=True)
class Difference:
    """The largest absolute difference of one output in one case, and the scale of that output."""

    case: str
    output: str
    largest: float
    scale: float
    #: Largest part of the scale that is allowed.
    allowed: float = TOLERANCE

    @property
    def relative(self) -> float:
        if self.largest == 0:
            return 0.0
        return self.largest / self.scale if self.scale > 0 else float("inf")


class Comparison:
    """Collects differences, prints a line per case, and fails at the end."""

    def __init__(self, report: Callable[[str], None]):
        self.report = report
        self.cases = 0
        self.worst: List[Difference] = []

    def add(
        self,
        case: str,
        pairs: Dict[str, Tuple[Sequence[Tensor], Sequence[Tensor]]],
        further: Sequence[Difference] = (),
    ) -> None:
        """Compares output by output: name to (ours, the reference's), each a list of tensors.

        `further` are differences that were found elsewhere.
        """
        self.cases += 1
        differences = list(further)
        for output, (ours, theirs) in pairs.items():
            if [(t.shape, t.dtype) for t in ours] != [(t.shape, t.dtype) for t in theirs]:
                raise ExportError(
                    f"{case}: {output} has shapes {[list(t.shape) for t in ours]}, "
                    f"transformers gives {[list(t.shape) for t in theirs]}"
                )
            for one, other in zip(ours, theirs, strict=True):
                differences.append(difference_of(case, output, one, other))
        worst = max(differences, key=lambda difference: difference.relative / difference.allowed)
        self.worst.append(worst)
        self.report(f"  {case:<44} {worst.largest:10.3g} of {worst.scale:<10.4g} ({worst.output})")

    def finish(self) -> None:
        """Raises ExportError if a difference is beyond the tolerance."""
        failed = [difference for difference in self.worst if not difference.relative <= difference.allowed]
        if failed:
            lines = [f"{d.case}, {d.output}: {d.largest:.3g} at a scale of {d.scale:.3g}" for d in failed]
            raise ExportError(
                f"The export differs from transformers by more than {TOLERANCE:g} of the output's scale:\n  "
                + "\n  ".join(lines)
            )


def difference_of(case: str, output: str, ours: Tensor, theirs: Tensor) -> Difference:
    """The difference of one tensor from the reference's, with nothing allowed yet but TOLERANCE."""
    if theirs.numel() == 0:
        return Difference(case, output, 0.0, 0.0)
    largest = (ours.double() - theirs.double()).abs().max().item()
    scale = theirs.abs().max().item()
    # A score is one sum per object, which may happen to come out next to zero.
    return Difference(case, output, largest, max(scale, 1.0) if output.startswith(_SCORES) else scale)
