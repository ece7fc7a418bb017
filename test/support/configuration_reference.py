"""transformers' configurations, for test/unit/config/configuration-sam3-tracker.test.ts."""

import json
import tempfile
from pathlib import Path

from transformers.models.sam3.configuration_sam3 import Sam3VisionConfig, Sam3ViTConfig
from transformers.models.sam3_tracker.configuration_sam3_tracker import (
    Sam3TrackerConfig,
    Sam3TrackerMaskDecoderConfig,
    Sam3TrackerPromptEncoderConfig,
)

CLASSES = {
    cls.__name__: cls
    for cls in (
        Sam3TrackerConfig,
        Sam3TrackerMaskDecoderConfig,
        Sam3TrackerPromptEncoderConfig,
        Sam3ViTConfig,
        Sam3VisionConfig,
    )
}


def version() -> str:
    import transformers

    return transformers.__version__


def build(name: str, text: str) -> dict:
    """A configuration from the JSON text of its fields (as text: JavaScript would turn 1.0 into 1)."""
    config = CLASSES[name](**json.loads(text))
    return {"diff": config.to_json_string(), "full": config.to_json_string(use_diff=False)}


def read(name: str, text: str) -> dict:
    """What `from_pretrained` makes of a config.json."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "config.json").write_text(text)
        config = CLASSES[name].from_pretrained(directory)
    return {"full": config.to_json_string(use_diff=False)}
