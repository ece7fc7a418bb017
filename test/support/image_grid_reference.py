"""Files of every form that an image can have, and what Pillow makes of each, for the test of decoding."""

import base64
import io
import itertools
import struct
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps
import PIL.TiffImagePlugin
from transformers.image_utils import load_image

WIDTH, HEIGHT = 13, 7
RGB, CMYK, LAB = 2, 5, 8
RNG = np.random.default_rng(11)


def tiff(
    samples: np.ndarray, bits: int, photometric: int, endian: str = "II", tags: dict | None = None, **form
) -> bytes:
    """A TIFF of one strip (or one a plane) by hand: nobody writes all forms. `samples` is (height, width, n)."""
    order = "<" if endian == "II" else ">"
    planar, compression, fill = form.get("planar", 1), form.get("compression", 1), form.get("fill", 1)
    count = samples.shape[2]

    def pack(plane: np.ndarray) -> bytes:
        if bits in (1, 2, 4, 12):
            flat = plane.reshape(plane.shape[0], -1)
            rows = ["".join(format(int(value), f"0{bits}b") for value in row) for row in flat]
            data = b"".join(
                int(row.ljust(-(-len(row) // 8) * 8, "0"), 2).to_bytes(-(-len(row) // 8), "big") for row in rows
            )
        else:
            data = plane.astype(plane.dtype.newbyteorder(order)).tobytes()
        if fill == 2:
            data = bytes(int(format(byte, "08b")[::-1], 2) for byte in data)
        return zlib.compress(data) if compression == 8 else data

    strips = [pack(samples)] if planar == 1 else [pack(samples[..., band : band + 1]) for band in range(count)]
    entries = {256: WIDTH, 257: HEIGHT, 258: [bits] * count, 259: compression, 262: photometric, 266: fill}
    entries |= {277: count, 278: HEIGHT, 284: planar, 273: [0] * len(strips), 279: [len(strip) for strip in strips]}
    entries |= tags or {}
    entries = {tag: value if isinstance(value, (list, bytes)) else [value] for tag, value in entries.items()}
    start = 8 + 2 + 12 * len(entries) + 4
    extra = sum(len(value) * (1 if isinstance(value, bytes) else 4) for value in entries.values())
    offsets = list(itertools.accumulate((len(strip) for strip in strips), initial=start + extra))
    entries[273] = offsets[:-1]
    head, tail = b"", b""
    for tag, value in sorted(entries.items()):
        kind = 1 if isinstance(value, bytes) else 4 if tag in (273, 279) else 3
        data = value if kind == 1 else struct.pack(f"{order}{len(value)}{'HI'[kind // 4]}", *value)
        head += struct.pack(f"{order}HHI", tag, kind, len(value))
        head += data.ljust(4, b"\0") if len(data) <= 4 else struct.pack(f"{order}I", start + len(tail))
        tail += data if len(data) > 4 else b""
    magic = struct.pack(f"{order}2sHI", endian.encode(), 42, 8)
    body = struct.pack(f"{order}H", len(entries)) + head + struct.pack(f"{order}I", 0) + tail.ljust(extra, b"\0")
    return magic + body + b"".join(strips)


def draw(bits: int, sample_format: int, count: int) -> np.ndarray:
    shape = (HEIGHT, WIDTH, count)
    if sample_format == 3:
        values = RNG.uniform(-40, 300, shape)
        return values.astype({16: "f2", 32: "f4", 64: "f8"}[bits])
    kind = np.dtype(f"{'i' if sample_format == 2 else 'u'}{max(bits, 8) // 8 if bits != 12 else 2}")
    if sample_format == 2 or bits == 32:
        # Around what fits a byte, where clipping shows.
        low = -100 if sample_format == 2 else 0
        return RNG.integers(low, min(400, 2 ** (bits - 1) - 1), shape).astype(kind)
    return RNG.integers(0, 2**bits, shape, dtype="u4").astype(kind)


def tiff_forms() -> dict[str, bytes]:
    """One for each form in Pillow's own table of what it opens, and its neighbours; then what it refuses."""
    files = {}
    for endian, photometric, sample_format, fill, depths, extra in PIL.TiffImagePlugin.OPEN_INFO:
        endian = endian.decode()
        count, bits, form = len(depths), depths[0], sample_format[0]
        samples = draw(bits, form, count)
        tags = {339: [form] * count}
        if extra:
            tags[338] = list(extra)
        if extra and extra[0] == 1:
            # No colour above its alpha.
            colours = count - len(extra)
            samples[..., :colours] = samples[..., :colours] * (samples[..., colours : colours + 1] / (2.0**bits - 1))
        if photometric == 3:
            tags[320] = [int(value) for value in RNG.integers(0, 65536, 3 * 2**bits)]
        if photometric == 6 and count == 3:
            tags[530] = [1, 1]
        name = f"tiff_{endian}_{photometric}_{form}_{fill}_{'_'.join(map(str, depths))}-{'_'.join(map(str, extra))}"
        layouts = {"": {}}
        if fill == 1 and photometric != 6:
            layouts["_deflate"] = {"compression": 8}
            if count > 1 and endian == "II" and bits == 8:
                layouts["_planes"] = {"planar": 2}
        for suffix, layout in layouts.items():
            files[f"{name}{suffix}.tif"] = tiff(samples, bits, photometric, endian, tags, fill=fill, **layout)
    return files


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(samples: np.ndarray, bits: int, color_type: int, interlaced: bool, chunks: bytes) -> bytes:
    """A PNG by hand: Pillow writes neither 16 bits of colour nor interlacing."""

    def rows(part: np.ndarray) -> bytes:
        if bits == 16:
            return b"".join(b"\0" + row.astype(">u2").tobytes() for row in part)
        joined = ["".join(format(int(value), f"0{bits}b") for value in row.reshape(-1)) for row in part]
        padded = [row.ljust(-(-len(row) // 8) * 8, "0") for row in joined]
        return b"".join(b"\0" + int(row, 2).to_bytes(len(row) // 8, "big") for row in padded)

    adam7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    passes = [samples[y::dy, x::dx] for x, y, dx, dy in adam7] if interlaced else [samples]
    data = b"".join(rows(part) for part in passes if part.size)
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, bits, color_type, 0, 0, int(interlaced))
    parts = (chunk(b"IHDR", header), chunks, chunk(b"IDAT", zlib.compress(data)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def png_forms() -> dict[str, bytes]:
    files = {}
    for color_type, depths in {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}.items():
        channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color_type]
        for bits, interlaced, transparent in itertools.product(depths, (False, True), (False, True)):
            if transparent and color_type > 3:
                continue
            samples = draw(bits, 1, channels)
            chunks = b""
            if color_type == 3:
                chunks += chunk(b"PLTE", RNG.integers(0, 256, 3 * 2**bits, dtype=np.uint8).tobytes())
            if transparent:
                value = struct.pack(f">{channels}H", *samples[0, 0]) if color_type != 3 else bytes([0, 128])
                chunks += chunk(b"tRNS", value)
            name = f"png_{color_type}_{bits}{'_interlaced' * interlaced}{'_transparent' * transparent}.png"
            files[name] = png(samples, bits, color_type, interlaced, chunks)
    return files


def pillow_forms() -> dict[str, bytes]:
    """What Pillow writes itself: every mode in every format and kind of compression."""
    y, x = np.mgrid[0:40, 0:51]
    waves = np.stack([np.sin(x / 5) + np.cos(y / 7), np.sin(x * y / 90), np.cos(x / 3)], axis=-1)
    rgb = PIL.Image.fromarray(((waves + 2) * 60).clip(0, 255).astype(np.uint8))
    rgba = rgb.copy()
    rgba.putalpha(PIL.Image.fromarray(RNG.integers(0, 256, (40, 51), dtype=np.uint8)))
    cmyk = np.asarray(rgb.convert("CMYK")).copy()
    cmyk[..., 3] = np.linspace(0, 255, 51).astype(np.uint8)
    modes = {mode: rgb.convert(mode) for mode in ("1", "L", "RGB", "P", "I", "I;16", "F", "YCbCr", "LAB")}
    modes |= {"RGBA": rgba, "LA": rgba.convert("LA"), "CMYK": PIL.Image.fromarray(cmyk, "CMYK")}
    kinds = {f"{mode}.png": {} for mode in ("1", "L", "LA", "I;16", "P", "RGB", "RGBA")}
    for mode in ("1", "L", "LA", "I", "I;16", "F", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB"):
        for compression in ("raw", "tiff_lzw", "packbits", "tiff_adobe_deflate"):
            kinds[f"{mode}.{compression}.tif"] = {"compression": compression}
    for mode in ("L", "RGB", "YCbCr"):
        kinds[f"{mode}.jpeg.tif"] = {"compression": "jpeg"}
    kinds |= {f"1.{kind}.tif": {"compression": kind} for kind in ("group3", "group4", "tiff_ccitt")}
    kinds |= {"RGB.big.tif": {"big_tiff": True}, "RGB.zstd.tif": {"compression": "zstd"}}
    for mode, sampling, progressive in itertools.product(("RGB", "YCbCr", "CMYK"), (0, 1, 2), (False, True)):
        kinds[f"{mode}.{sampling}.{progressive}.jpg"] = {"subsampling": sampling, "progressive": progressive}
    kinds |= {"L.jpg": {}, "1.jpg": {}, "RGB.kept.jpg": {"keep_rgb": True}}
    for mode in ("L", "P", "RGB", "RGBA", "LA"):
        kinds |= {f"{mode}.webp": {"quality": 60}, f"{mode}.lossless.webp": {"lossless": True, "exact": True}}
    kinds |= {f"{mode}.gif": {} for mode in ("1", "L", "P", "RGB")}
    kinds |= {"L.avif": {}, "RGB.avif": {"quality": 100, "subsampling": "4:0:0"}}
    files = {}
    for name, options in kinds.items():
        mode, extension = name.split(".")[0], name.rsplit(".")[-1]
        file = io.BytesIO()
        format = {"tif": "tiff", "jpg": "jpeg"}.get(extension, extension)
        try:
            modes[mode].save(file, format, **options)
        except (OSError, KeyError, ValueError):
            continue  # this Pillow does not write it
        files[f"pillow_{name}".replace(";", "_")] = file.getvalue()
    return files


def write(directory: str) -> list[dict]:
    found = []
    for name, data in (tiff_forms() | png_forms() | pillow_forms()).items():
        (Path(directory) / name).write_bytes(data)
        found.append(read(str(Path(directory) / name)))
    return found


def read(file: str) -> dict:
    """What Pillow makes of a file, upright and as it is opened, or how it refuses it."""
    try:
        image = PIL.Image.open(file)
        opened, upright = image.copy(), PIL.ImageOps.exif_transpose(image)
        if image.mode.startswith("I;16"):
            # Pillow clips these; docs/differences.md.
            opened, upright = (
                PIL.Image.fromarray((np.asarray(each) >> 8).astype(np.uint8)) for each in (opened, upright)
            )
        pixels = [base64.b64encode(each.convert("RGB").tobytes()).decode() for each in (upright, opened)]
    except Exception as error:
        return {"name": Path(file).name, "error": f"{type(error).__name__}: {error}"}
    return {"name": Path(file).name, "mode": image.mode, "size": upright.size, "rgb": pixels[0], "opened": pixels[1]}


def read_all(files: list[str]) -> list[dict]:
    return [read(file) for file in files]


def exif_of(orientation: int, endian: str = "<") -> bytes:
    exif = PIL.Image.Exif()
    exif.endian = endian
    exif[0x0112] = orientation
    return exif.tobytes()


def oriented_pngs(samples: np.ndarray, orientation: int) -> dict[str, bytes]:
    """Every chunk of a PNG in which Pillow finds an orientation, before and after the pixels."""
    exif = exif_of(orientation)
    profile = f"\nexif\n{len(exif):8}\n{exif.hex()}\n".encode()
    attribute, element = (text.encode() for text in xmp_of(orientation).values())
    key = b"XML:com.adobe.xmp\0"
    chunks = {
        "eXIf": chunk(b"eXIf", exif[6:]),
        "eXIf_big": chunk(b"eXIf", exif_of(orientation, ">")[6:]),
        "profile": chunk(b"tEXt", b"Raw profile type exif\0" + profile),
        "profile_packed": chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(profile)),
        "text_exif": chunk(b"tEXt", b"exif\0" + exif),
        "xmp_attribute": chunk(b"iTXt", key + b"\0\0\0\0" + attribute),
        "xmp_element": chunk(b"iTXt", key + b"\0\0en\0words\0" + element),
        "xmp_packed": chunk(b"iTXt", key + b"\1\0\0\0" + zlib.compress(element)),
        "xmp_text": chunk(b"zTXt", key + b"\0" + zlib.compress(attribute)),
        "exif_over_xmp": chunk(b"iTXt", key + b"\0\0\0\0" + xmp_of(3)["attribute"].encode()) + chunk(b"eXIf", exif[6:]),
        "two_xmps": b"".join(
            chunk(b"iTXt", key + b"\0\0\0\0" + xmp_of(number)["attribute"].encode()) for number in (3, orientation)
        ),
    }
    files = {f"{place}.png": png(samples, 8, 2, False, data) for place, data in chunks.items()}
    plain = png(samples, 8, 2, False, b"")
    # 12 bytes of IEND come last.
    return files | {f"{place}_after.png": plain[:-12] + data + plain[-12:] for place, data in chunks.items()}


def xmp_of(orientation: int) -> dict[str, str]:
    return {
        "attribute": f'<x:xmpmeta><rdf:Description tiff:Orientation="{orientation}"/></x:xmpmeta>',
        "element": f"<x:xmpmeta><tiff:Orientation>{orientation}</tiff:Orientation></x:xmpmeta>",
    }


def oriented(directory: str) -> list[dict]:
    """Format x place x orientation; 0 and 9 are no orientation."""
    samples = RNG.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    image = PIL.Image.fromarray(samples)
    files = {}
    for orientation in range(10):
        named = dict(oriented_pngs(samples, orientation))
        exif, xmp = exif_of(orientation), {kind: text.encode() for kind, text in xmp_of(orientation).items()}
        ways = {
            "exif": {"exif": exif},
            "exif_big": {"exif": exif_of(orientation, ">")},
            **{f"xmp_{kind}": {"xmp": text} for kind, text in xmp.items()},
            "exif_over_xmp": {"exif": exif, "xmp": xmp_of(3)["attribute"].encode()},
            "exif_without": {"exif": exif_without(), "xmp": xmp["attribute"]},
        }
        formats = {"jpg": {"quality": 95}, "webp": {"lossless": True}}
        if 0 < orientation < 9:
            formats["avif"] = {"quality": 100, "subsampling": "4:4:4"}
        for (place, metadata), (extension, options) in itertools.product(ways.items(), formats.items()):
            file = io.BytesIO()
            image.save(file, {"jpg": "jpeg"}.get(extension, extension), **options, **metadata)
            named[f"{place}.{extension}"] = file.getvalue()
        for endian in ("II", "MM"):
            named[f"tag_{endian}.tif"] = tiff(samples, 8, RGB, endian, {274: orientation})
            for kind, text in xmp.items():
                named[f"xmp_{kind}_{endian}.tif"] = tiff(samples, 8, RGB, endian, {700: text})
            named[f"tag_over_xmp_{endian}.tif"] = tiff(
                samples, 8, RGB, endian, {274: orientation, 700: xmp_of(3)["attribute"].encode()}
            )
        files |= {f"{orientation}_{name}": data for name, data in named.items()}
    found = []
    for name, data in files.items():
        (Path(directory) / name).write_bytes(data)
        found.append(read(str(Path(directory) / name)))
    return found


def exif_without() -> bytes:
    exif = PIL.Image.Exif()
    exif[0x010E] = "no orientation"
    return exif.tobytes()


def load_images(sources: list[str]) -> list[str]:
    """What transformers' load_image makes of strings."""
    return [base64.b64encode(load_image(source).tobytes()).decode() for source in sources]


def edit(pixels: str, dims: list[int], method: str, args: list) -> dict:
    """An image (height, width, channels) after a method of Pillow that RawImage has too."""
    array = np.frombuffer(base64.b64decode(pixels), np.uint8).reshape(dims)
    image = PIL.Image.fromarray(array[..., 0] if dims[2] == 1 else array)
    if method == "pad":
        left, right, top, bottom = args
        black = {"L": 0, "LA": (0, 255), "RGB": (0, 0, 0), "RGBA": (0, 0, 0, 255)}[image.mode]
        image = PIL.ImageOps.expand(image, (left, top, right, bottom), black)
    elif method == "crop":
        left, top, right, bottom = args
        image = image.crop((max(left, 0), max(top, 0), min(right + 1, dims[1]), min(bottom + 1, dims[0])))
    elif method == "putAlpha":
        image.putalpha(PIL.Image.new("L", image.size, args[0]))
    elif method == "convert":
        image = image.convert({1: "L", 3: "RGB", 4: "RGBA"}[args[0]])
    elif method == "resize":
        image = image.resize((args[0], args[1]), getattr(PIL.Image.Resampling, args[2].upper()))
    return {"size": image.size, "channels": len(image.getbands()), "pixels": base64.b64encode(image.tobytes()).decode()}
