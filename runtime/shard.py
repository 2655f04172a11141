"""The .npz file that holds one board's samples: arrays x and y, equal bytes for equal arrays."""

from __future__ import annotations

import io
import lzma
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.errors import DataError, StorageError

Array = npt.NDArray[Any]

_CORRUPT = (zlib.error, lzma.LZMAError)
_EPOCH = (1980, 1, 1, 0, 0, 0)
_PRIVATE = 0o600 << 16
"""Unix mode of a member, as the upper half of its external attributes."""


def read_shard(path: Path) -> tuple[Array, Array]:
    """Returns x and y of an .npz file. Raises DataError; pickled objects are refused."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return file["x"], file["y"]
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file; check the path") from None
    except KeyError as error:
        raise DataError(f"{path}: {error.args[0]}; store arrays 'x' and 'y'") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, *_CORRUPT) as error:
        fix = "write it again with numpy.savez(x=..., y=...), without objects"
        raise DataError(f"{path}: cannot be read: {error}; {fix}") from error


def write_shard(
    path: Path, inputs: Array, labels: Array, method: int = zipfile.ZIP_DEFLATED
) -> None:
    """Writes x and y atomically, compressed by a `method` of zipfile. Raises StorageError.

    Unlike numpy.savez it stamps no time, so that the same arrays give the same file.
    LZMA makes the smallest files, deflate is quick to write and to read.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            with zipfile.ZipFile(file, "w") as archive:
                archive.writestr(_member("x.npy"), _npy(inputs), method)
                archive.writestr(_member("y.npy"), _npy(labels), method)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error.strerror}") from error


def _member(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.external_attr = _PRIVATE
    info.create_system = 3  # Unix, on whatever system the file is written
    return info


def _npy(array: Array) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(array), (1, 0), allow_pickle=False)
    return buffer.getvalue()
