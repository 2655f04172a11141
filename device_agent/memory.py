"""What this process occupies, as Linux counts it."""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path

from runtime.presence import Limits

_KIB = 1024
_SLACK_BYTES = 192 * 1024 * 1024
"""Stacks and heaps of threads, sessions of onnxruntime, copies of a letter's tensors."""
_COPIES_OF_A_LETTER = 3
"""As chunks, as the whole, and what is decoded from it."""


def peak_rss_bytes() -> int:
    """Returns the largest resident set so far, or 0 where the kernel does not tell."""
    return _field(Path("/proc/self/status"), "VmHWM:")


def pss_bytes() -> int:
    """Returns the proportional set: shared pages count by share. 0 where it is not told."""
    return _field(Path("/proc/self/smaps_rollup"), "Pss:")


def limit_memory(limits: Limits) -> int:
    """Lets this process take what `limits` promise beyond what it has, and no more.

    A program that takes more than it declares then gets MemoryError, or onnxruntime's word for
    it, in place of the whole board's memory. Counted are the private writable pages (RLIMIT_DATA
    of setrlimit(2), Linux 4.7). Returns the bytes, 0 where the kernel does not tell.
    """
    used_bytes = _field(Path("/proc/self/status"), "VmData:")
    if not used_bytes:
        return 0
    letters_bytes = _COPIES_OF_A_LETTER * limits.transfer_bytes
    wanted = used_bytes + limits.memory_bytes + letters_bytes + _SLACK_BYTES
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))
        return wanted
    return 0


def _field(path: Path, name: str) -> int:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * _KIB for line in lines if line.startswith(name)), 0)
