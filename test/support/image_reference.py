"""Pillow's images and transformers' image processor, for the tests of RawImage and of Sam3ImageProcessor."""

import base64
import io
import json
import struct
import tempfile
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageCms
import PIL.ImageOps
import torch
from transformers.models.sam3.image_processing_sam3 import Sam3ImageProcessor

WIDTH, HEIGHT = 61, 47
# Bytes from which an array goes into a file of a folder that lasts as long as this process.
LARGE = 2**20
_large = tempfile.TemporaryDirectory(prefix="sam3-tracker-reference-")


def png16(path: Path, array: np.ndarray, color_type: int) -> None:
    """Pillow cannot write colours of 16 bits."""
    height, width = array.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def write_cmyk(directory: Path, rgb: PIL.Image.Image, profile: bytes) -> None:
    """CMYK with black in it, which a conversion from RGB does not give; with and without Adobe's marker, and YCCK."""
    array = np.asarray(rgb.convert("CMYK")).copy()
    array[..., 3] = np.linspace(0, 255, array.shape[1]).astype(np.uint8)[None]
    cmyk = PIL.Image.fromarray(array, "CMYK")
    cmyk.save(directory / "cmyk.tif")
    cmyk.save(directory / "cmyk_icc.jpg", icc_profile=profile)
    # More pixels than are converted in one turn of Node's event loop.
    cmyk.resize((700, 500)).save(directory / "cmyk_large.jpg")
    file = io.BytesIO()
    cmyk.save(file, "jpeg", quality=95)
    data = file.getvalue()
    (directory / "cmyk_adobe.jpg").write_bytes(data)
    marker = data.index(b"\xff\xee")
    length = struct.unpack(">H", data[marker + 2 : marker + 4])[0]
    (directory / "cmyk_no_marker.jpg").write_bytes(data[:marker] + data[marker + 2 + length :])
    ycck = bytearray(data)
    ycck[data.index(b"Adobe", marker) + 11] = 2
    (directory / "ycck.jpg").write_bytes(bytes(ycck))


def write_images(directory: Path) -> None:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    waves = np.stack([np.sin(x / 5) + np.cos(y / 7), np.sin(x * y / 90), np.cos(x / 3)], axis=-1)
    rgb = PIL.Image.fromarray(((waves + 2) * 60 + rng.integers(0, 15, waves.shape)).clip(0, 255).astype(np.uint8))
    alpha = PIL.Image.fromarray(rng.integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8))
    grey = rgb.convert("L")
    rgba = rgb.copy()
    rgba.putalpha(alpha)
    palette = rgb.quantize(32)
    profile = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
    # Red and green change places: whoever applies the profile gets other colours.
    swapped = profile.replace(b"rXYZ", b"----").replace(b"gXYZ", b"rXYZ").replace(b"----", b"gXYZ")

    rgb.save(directory / "rgb.png")
    rgb.save(directory / "rgb_transparent_color.png", transparency=rgb.getpixel((3, 3)))
    rgb.save(directory / "rgb.tif")
    rgb.save(directory / "rgb.webp", lossless=True)
    rgb.save(directory / "rgb_lossy.webp", quality=80)
    rgb.save(directory / "rgb.jpg", quality=90)
    rgb.save(directory / "rgb_444.jpg", quality=90, subsampling=0)
    rgb.save(directory / "rgb_progressive.jpg", progressive=True)
    rgb.save(directory / "icc.png", icc_profile=swapped)
    rgb.save(directory / "icc.jpg", icc_profile=swapped)
    grey.save(directory / "grey.png")
    grey.save(directory / "grey.jpg")
    grey.save(directory / "grey_transparent_value.png", transparency=grey.getpixel((3, 3)))
    PIL.Image.merge("LA", (grey, alpha)).save(directory / "grey_alpha.png")
    rgba.save(directory / "rgba.png")
    rgba.save(directory / "rgba.webp", lossless=True, exact=True)
    grey.convert("1").save(directory / "bit.png")
    grey.convert("1").save(directory / "bit.tif", compression="group4")
    palette.save(directory / "palette.png")
    palette.save(directory / "palette.gif")
    palette.save(directory / "palette.tif")
    rgb.quantize(4).save(directory / "palette_2_bits.png", bits=2)
    palette.save(directory / "palette_transparent_index.png", transparency=3)
    palette.save(directory / "palette_alpha.png", transparency=rng.integers(0, 256, 32, dtype=np.uint8).tobytes())
    palette.save(directory / "animation.gif", save_all=True, append_images=[rgb.transpose(0).quantize(32)])
    png16(directory / "rgb_16_bits.png", rng.integers(0, 65536, (HEIGHT, WIDTH, 3)), 2)
    png16(directory / "rgba_16_bits.png", rng.integers(0, 65536, (HEIGHT, WIDTH, 4)), 6)
    write_cmyk(directory, rgb, swapped)
    for orientation in range(1, 9):
        exif = PIL.Image.Exif()
        exif[0x0112] = orientation
        rgb.save(directory / f"exif_{orientation}.jpg", quality=95, exif=exif)
    rgb.save(directory / "exif.png", exif=exif)
    PIL.Image.new("RGB", (1, 1), (1, 2, 3)).save(directory / "one_pixel.png")


def images(directory: str) -> list[dict]:
    """Writes one file of each kind; says what Pillow reads, upright (as transformers' load_image) and as it lies."""
    write_images(Path(directory))
    found = []
    for path in sorted(Path(directory).iterdir()):
        image = PIL.Image.open(path)
        upright = PIL.ImageOps.exif_transpose(image).convert("RGB")
        found.append(
            {
                "name": path.name,
                "mode": image.mode,
                "size": upright.size,
                "rgb": base64.b64encode(upright.tobytes()).decode(),
                "lying": base64.b64encode(image.convert("RGB").tobytes()).decode(),
                "grey": base64.b64encode(upright.convert("L").tobytes()).decode(),
            }
        )
    return found


def read_array(array: dict) -> np.ndarray:
    """The array of a description; its file, where it has one, is gone after that."""
    if "file" in array:
        data = Path(array["file"]).read_bytes()
        Path(array["file"]).unlink()
    else:
        data = base64.b64decode(array["base64"])
    return np.frombuffer(data, dtype=array["dtype"]).reshape(array["dims"]).copy()


def read_images(images: object) -> object:
    """Arrays, tensors and images, nested as they come."""
    if isinstance(images, list):
        return [read_images(item) for item in images]
    array = read_array(images)
    if images["kind"] == "image":
        return PIL.Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array)
    return torch.from_numpy(array) if images["kind"] == "tensor" else array


def write_array(value: torch.Tensor | np.ndarray) -> dict:
    array = value.numpy() if isinstance(value, torch.Tensor) else value
    described = {"dtype": str(array.dtype), "dims": list(array.shape)}
    if array.nbytes < LARGE:
        return {**described, "base64": base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()}
    with tempfile.NamedTemporaryFile(dir=_large.name, delete=False) as stream:
        stream.write(np.ascontiguousarray(array).tobytes())
    return {**described, "file": stream.name}


def as_floats(options: dict) -> dict:
    """JSON has lost which numbers are floats, and the reference refuses whole ones."""
    converted = dict(options)
    for name in ("rescale_factor", "image_mean", "image_std"):
        value = options.get(name)
        if value is not None:
            converted[name] = [float(item) for item in value] if isinstance(value, list) else float(value)
    return converted


def preprocess(images: object, options: dict, settings: dict | None = None, maps: object = None) -> dict:
    processor = Sam3ImageProcessor(**as_floats(settings or {}))
    options = {"return_tensors": "pt", **as_floats(options)}
    if maps is not None:
        options["segmentation_maps"] = read_images(maps)
    result = processor(read_images(images), **options)
    pixel_values = result["pixel_values"]
    return {
        "pixel_values": [write_array(item) for item in pixel_values]
        if isinstance(pixel_values, list)
        else write_array(pixel_values),
        "original_sizes": [[int(side) for side in size] for size in result["original_sizes"]],
        "labels": write_array(result["labels"]) if "labels" in result else None,
    }


def post_process_masks(masks: list, sizes: list, options: dict) -> list[dict]:
    tensors = [torch.from_numpy(read_array(mask)) for mask in masks]
    return [write_array(mask) for mask in Sam3ImageProcessor().post_process_masks(tensors, sizes, **options)]


def saved(settings: str) -> str:
    """The file that transformers writes for settings, which come as JSON text so that floats stay floats."""
    with tempfile.TemporaryDirectory() as directory:
        Sam3ImageProcessor(**json.loads(settings)).save_pretrained(directory)
        return (Path(directory) / "preprocessor_config.json").read_text()


def loaded(directory: str) -> str:
    return Sam3ImageProcessor.from_pretrained(directory).to_json_string()
