"""What an export is asked to do. Imports no torch, so that a wrong command line is answered at once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Optional

#: The dtypes that weights may be written in, by torch's names.
DTYPE_NAMES = ("float32", "float16", "bfloat16")


@dataclass(frozen=True)
class ExportOptions:
    """What the command line asks for. Exactly one of `checkpoint` and `config_only` is given."""

    out: Path
    checkpoint: Optional[str] = None
    config_only: Optional[Path] = None
    with_weights: bool = False
    #: "keep", or the name of a dtype.
    weights_dtype: str = "keep"
    #: "full", "quick", "none", or None for the default by size.
    verify: Optional[str] = None
