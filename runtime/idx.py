"""The idx format of MNIST and its relatives.

Source: Y. LeCun, "The MNIST database of handwritten digits", section "The IDX file format": two
zero bytes, a type code, the number of axes, each axis as a big-endian uint32, then the values.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.errors import DataError

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP_MAGIC = b"\x1f\x8b"


def read_idx(path: Path) -> npt.NDArray[Any]:
    """Returns the array of an idx file, plain or gzipped, read-only and in its own type.

    Raises DataError naming the file and the fix.
    """
    try:
        raw = path.read_bytes()
        content = gzip.decompress(raw) if raw.startswith(_GZIP_MAGIC) else raw
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file; check the path") from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}; fetch the file again") from error
    return _parse(path, content)


def _parse(path: Path, content: bytes) -> npt.NDArray[Any]:
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _TYPES:
        raise DataError(f"{path}: is no idx file; name an idx file, plain or gzipped")
    dtype, axes = np.dtype(_TYPES[content[2]]), content[3]
    start = 4 + 4 * axes
    shape = struct.unpack(f">{axes}I", content[4:start]) if len(content) >= start else (0,)
    wanted_bytes = start + math.prod(shape) * dtype.itemsize
    if len(content) != wanted_bytes:
        raise DataError(
            f"{path}: holds {len(content)} bytes, its header says {wanted_bytes}; "
            "fetch the file again"
        )
    return np.frombuffer(content, dtype, offset=start).reshape(shape)
