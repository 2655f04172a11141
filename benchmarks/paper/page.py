"""The page in docs: people write the text, this fills in the tables and draws the pictures."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.paper.pictures import draw_accuracy, draw_cycles
from benchmarks.paper.results import Results
from benchmarks.paper.tables import tables
from runtime.atomic_file import write_atomically

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "benchmarks" / "paper.md"


def write_page(results: Results) -> None:
    """Puts every table between its marks. Raises ValueError for a mark that has no table."""
    named = tables(results)

    def filled(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in named:
            raise ValueError(f"{PAGE}: there is no table {name!r}")
        return f"<!-- table {name} -->\n{named[name]}\n<!-- end -->"

    marked = re.compile(r"<!-- table (?P<name>[a-z0-9-]+) -->\n.*?<!-- end -->", re.DOTALL)
    write_atomically(PAGE, marked.sub(filled, PAGE.read_text()).encode())
    draw_cycles(results, DOCS / "pictures" / "paper-cycles.png")
    draw_accuracy(results, DOCS / "pictures" / "paper-accuracy.png")
