"""Cards to load in tests."""

from __future__ import annotations

from pathlib import Path

MINIMAL = """
id = "mine"
name = "My board"
status = "community"

[cpu]
arch = "aarch64"
source = "lscpu"
date = 2026-01-02

[[cpu.clusters]]
core = "Cortex-A53"
count = 4
"""


def figure(value: float, unit: str, rest: str = "") -> str:
    """Returns a sound figure as TOML; `rest` adds fields."""
    return (
        f'{{ value = {value}, unit = "{unit}", how = "with a stopwatch", source = "our own",'
        f' date = 2026-01-02, kind = "measured"{rest} }}'
    )


def write_card(folder: Path, text: str, name: str = "mine") -> Path:
    """Writes a card file and returns its path."""
    path = folder / f"{name}.toml"
    path.write_text(text)
    return path
