"""What this process occupies, as Linux counts it."""

from __future__ import annotations

from pathlib import Path

_KIB = 1024


def peak_rss_bytes() -> int:
    """Returns the largest resident set so far, or 0 where the kernel does not tell."""
    return _field(Path("/proc/self/status"), "VmHWM:")


def pss_bytes() -> int:
    """Returns the proportional set: shared pages count by share. 0 where it is not told."""
    return _field(Path("/proc/self/smaps_rollup"), "Pss:")


def _field(path: Path, name: str) -> int:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * _KIB for line in lines if line.startswith(name)), 0)
