"""Safetensors files to and from NumPy: https://huggingface.co/docs/safetensors."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from counterweight._client import Parameters

_MOST_HEADER_BYTES = 1 << 19
_DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8"), "F16": np.dtype("<f2")}


def save(parameters: Mapping[str, npt.ArrayLike]) -> bytes:
    """The file of named arrays, as float32, in their order."""
    header: dict[str, Any] = {}
    chunks: list[bytes] = []
    start = 0
    for name, value in parameters.items():
        array = np.asarray(value)
        if array.dtype.kind not in "fiub":
            raise TypeError(f"{name!r} holds {array.dtype}, numbers are needed")
        # ascontiguousarray gives scalars a dimension, hence the shape from before.
        chunk = np.ascontiguousarray(array, dtype="<f4").tobytes()
        header[str(name)] = {
            "dtype": "F32",
            "shape": list(array.shape),
            "data_offsets": [start, start + len(chunk)],
        }
        chunks.append(chunk)
        start += len(chunk)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(chunks)


def load(data: bytes) -> Parameters:
    """The named arrays of a file, in the order of their bytes, as float32 that may be written to."""
    if len(data) < 8:
        raise ValueError("not a safetensors file: it is shorter than 8 bytes")
    length = int.from_bytes(data[:8], "little")
    if length > _MOST_HEADER_BYTES or 8 + length > len(data):
        raise ValueError("not a safetensors file: its header is too long or cut off")
    try:
        header = json.loads(data[8 : 8 + length])
        header.pop("__metadata__", None)
        entries = sorted(header.items(), key=lambda entry: tuple(entry[1]["data_offsets"]))
        parameters: Parameters = {}
        for name, entry in entries:
            begin, end = entry["data_offsets"]
            dtype = _DTYPES[entry["dtype"]]
            if not 0 <= begin <= end <= len(data) - 8 - length:
                raise ValueError("offsets outside of the file")
            array = np.frombuffer(data, dtype, (end - begin) // dtype.itemsize, 8 + length + begin)
            parameters[name] = array.reshape(entry["shape"]).astype(np.float32)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a safetensors file of float numbers: {error}") from error
    return parameters


def save_file(parameters: Mapping[str, npt.ArrayLike], path: str | os.PathLike[str]) -> None:
    """Writes the file of named arrays."""
    Path(path).write_bytes(save(parameters))


def load_file(path: str | os.PathLike[str]) -> Parameters:
    """Reads a file of named arrays."""
    return load(Path(path).read_bytes())
