"""TorchScript archives that are the same bytes wherever and whenever they are made."""

import io
import zipfile

#: The fixed time of every entry: the earliest that a zip file can hold.
_EPOCH = (1980, 1, 1, 0, 0, 0)


def rewrite_archive(data: bytes) -> bytes:
    """The same TorchScript archive without debug information and times.

    `*.debug_pkl` holds absolute paths of the Python sources, `traced_inputs.pkl` examples, and `serialization_id` is a
    checksum over both; torch::jit::load needs none of them. Code and pickles are deflated, tensors stored as they are.
    """
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(result, "w") as target:
        for name in sorted(source.namelist()):
            if name.endswith((".debug_pkl", "/traced_inputs.pkl", "/.data/serialization_id")):
                continue
            # The folder of tensors; everything else is text or a small pickle.
            is_tensor = name.split("/", 1)[1].startswith("data/")
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_STORED if is_tensor else zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            entry.create_system = 3
            target.writestr(entry, source.read(name))
    return result.getvalue()
