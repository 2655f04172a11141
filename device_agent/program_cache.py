"""Segment programs on the board's flash, by digest: a board is sent each program once."""

from __future__ import annotations

import hashlib
from pathlib import Path

from device_agent.graph_check import check_graph
from runtime.atomic_file import remove_orphans, write_atomically
from runtime.errors import ProgramError
from runtime.presence import Limits
from runtime.program import SegmentProgram, decode

_PROGRAMS_KEPT = 16


class ProgramCache:
    """Keeps the latest programs that fit `limits`; what is corrupt on flash counts as absent."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self._folder = folder
        self._limits = limits
        folder.mkdir(parents=True, exist_ok=True)
        remove_orphans(folder)

    def holds(self, digest: str) -> bool:
        """Tells whether the program is here and whole."""
        return self._read(digest) is not None

    def store(self, digest: str, body: bytes) -> None:
        """Keeps a program. Raises ProgramError unless it is the one named and fits."""
        if not _is_digest(digest) or hashlib.sha256(body).hexdigest() != digest:
            raise ProgramError("the program that came is not the one that the plan names")
        if len(body) > self._limits.program_bytes:
            raise ProgramError(
                f"the program has {len(body)} bytes, this board takes {self._limits.program_bytes}"
            )
        self._check(decode(body))
        write_atomically(self._folder / digest, body)
        self._forget_oldest()

    def load(self, digest: str) -> SegmentProgram:
        """Returns a program that `holds` told of."""
        body = self._read(digest)
        if body is None:
            raise ProgramError(f"program {digest} is not in the cache")
        program = decode(body)
        self._check(program)
        return program

    def _check(self, program: SegmentProgram) -> None:
        for graph in (program.forward, program.backward, program.inference):
            check_graph(graph)
        needed, limit = program.manifest.memory_bytes, self._limits.memory_bytes
        if needed > limit:
            raise ProgramError(
                f"the program needs {needed} bytes of memory, this board has {limit}"
            )

    def _read(self, digest: str) -> bytes | None:
        if not _is_digest(digest):
            return None
        try:
            body = (self._folder / digest).read_bytes()
        except OSError:
            return None
        return body if hashlib.sha256(body).hexdigest() == digest else None

    def _forget_oldest(self) -> None:
        programs = sorted(self._folder.glob("[0-9a-f]*"), key=lambda path: path.stat().st_mtime)
        for path in programs[:-_PROGRAMS_KEPT]:
            path.unlink(missing_ok=True)


def _is_digest(text: str) -> bool:
    """Holds off anything that could be a path: digests name files."""
    return len(text) == 64 and set(text) <= set("0123456789abcdef")
