"""transformers' Sam3TrackerModel for the tests of new and saved models: their weights, and which ones it reads."""

import json

import torch
from safetensors.torch import save_file
from transformers import Sam3TrackerConfig, Sam3TrackerModel


def new_model_statistics(config: str, seed: int) -> dict:
    """Mean, standard deviation and range of every parameter and buffer of a model that transformers initialises."""
    torch.manual_seed(seed)
    model = Sam3TrackerModel(Sam3TrackerConfig(**json.loads(config)))
    stored = model.state_dict()
    return {
        "parameters": model.num_parameters(),
        "weights": {
            name: {
                "shape": list(weight.shape),
                "mean": weight.mean(),
                "std": weight.std(correction=0),
                "min": weight.min(),
                "max": weight.max(),
            }
            for name, weight in stored.items()
        },
    }


def loads(folder: str) -> dict:
    """What transformers reads from a folder that our `save_pretrained` wrote."""
    model, report = Sam3TrackerModel.from_pretrained(folder, dtype="auto", output_loading_info=True)
    return {
        "dtype": str(model.dtype).removeprefix("torch."),
        "parameters": model.num_parameters(),
        "problems": {name: sorted(map(str, items)) for name, items in report.items() if items},
        "config": json.loads(model.config.to_json_string()),
    }


def equal_weights(folder: str, other: str, dtype: str) -> list:
    """Names of the weights in which two folders differ, bit for bit, after a conversion of the second to `dtype`."""
    ours = Sam3TrackerModel.from_pretrained(folder, dtype="auto").state_dict()
    theirs = Sam3TrackerModel.from_pretrained(other, dtype=getattr(torch, dtype)).state_dict()
    assert ours.keys() == theirs.keys() and len(ours) > 100
    return [name for name in ours if ours[name].dtype != theirs[name].dtype or not ours[name].equal(theirs[name])]


def masks_of(folder: str, dtype: str, file: str) -> None:
    """Runs the model of a folder on drawn inputs; writes inputs and pred_masks to a safetensors file."""
    model = Sam3TrackerModel.from_pretrained(folder, dtype=getattr(torch, dtype)).eval()
    generator = torch.Generator().manual_seed(3)
    side = model.config.prompt_encoder_config.image_size
    pixels = torch.randn(1, 3, side, side, generator=generator).to(model.dtype)
    points = torch.rand(1, 2, 2, 2, generator=generator) * side
    with torch.no_grad():
        masks = model(pixel_values=pixels, input_points=points).pred_masks
    save_file({"pixel_values": pixels, "input_points": points, "pred_masks": masks.contiguous()}, file)


def call_for_tuple(folder: str, method: str, options: dict, file: str) -> list:
    """A call with return_dict=False on drawn inputs: writes them and the tuple's tensors to a safetensors file.

    Returns what each field of the tuple is: "tensor", or the length of a list.
    """
    model = Sam3TrackerModel.from_pretrained(folder, dtype=torch.float32).eval()
    generator = torch.Generator().manual_seed(4)
    side = model.config.prompt_encoder_config.image_size
    inputs = {"pixel_values": torch.randn(1, 3, side, side, generator=generator)}
    if method == "forward":
        inputs["input_points"] = torch.rand(1, 2, 2, 2, generator=generator) * side
    with torch.no_grad():
        fields = getattr(model, method)(**inputs, **options, return_dict=False)
    assert isinstance(fields, tuple)
    tensors = dict(inputs)
    for index, field in enumerate(fields):
        if isinstance(field, torch.Tensor):
            tensors[f"{index}"] = field
        else:
            tensors |= {f"{index}.{item}": tensor for item, tensor in enumerate(field)}
    save_file({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, file)
    return ["tensor" if isinstance(field, torch.Tensor) else len(field) for field in fields]
