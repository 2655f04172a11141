"""A table in plain text: words to the left of their columns, numbers to the right."""

from __future__ import annotations

from collections.abc import Sequence


def text_table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, left: int) -> str:
    """Returns the lines of a table whose first `left` columns hold words."""
    everything = [headings, *rows]
    widths = [max(map(len, column)) for column in zip(*everything, strict=True)]
    return "\n".join(_line(row, widths, left) for row in everything)


def _line(row: Sequence[str], widths: Sequence[int], left: int) -> str:
    cells = [
        cell.ljust(width) if place < left else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()
