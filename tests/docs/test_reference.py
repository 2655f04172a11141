"""docs/operating.md against the code, and what holds of every page."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any, get_type_hints

import attrs
import pytest

from coordinator import fleet, job, main, timeline
from coordinator.record.summary import summarise
from device_agent import config as agent
from runtime.emulation_spec import Emulation
from runtime.exits import Exit
from tests.docs.page import DOCS, REPOSITORY, anchors, blocks, links, section, table
from tests.record.entries import closed, part

OPERATING = DOCS / "operating.md"
PAGES = sorted([*REPOSITORY.glob("*.md"), *DOCS.rglob("*.md"), *REPOSITORY.glob("examples/*/*.md")])
TABLES: dict[str, type[Any]] = {
    **{f"`[{key}]`": kind for key, kind in get_type_hints(job.Job).items() if attrs.has(kind)},
    "`[[codec.floors]]`": job.CodecFloor,
    "`[fleet]`": fleet.FleetName,
    "`[shared]`": fleet.SharedLink,
    "`[data]` of the fleet": fleet.Data,
    "`[[device]]`": fleet.Device,
    "An entry of `cuts`": fleet.CutFrom,
    "`[[timeline]]`": timeline.Incident,
    "`[agent]`": agent.Identity,
    "`[data]` of an agent": agent.Data,
    "`[limits]`": agent.Ceilings,
    "`[emulate]`": Emulation,
}
"""The class behind every table of a configuration file, by the heading of its section."""
TABLES["`[job]`"] = TABLES.pop("`[training]`")


@pytest.mark.parametrize("heading", TABLES)
def test_every_key_is_there_with_its_default(heading: str) -> None:
    rows = table(section(OPERATING, heading))
    fields = attrs.fields(TABLES[heading])
    assert [(row[0], row[2]) for row in rows] == [
        (f"`{one.alias}`", _shown(one.default)) for one in fields
    ]


def test_every_table_of_a_file_has_a_section() -> None:
    files = (job.Job, fleet.Fleet, agent.AgentConfig)
    keys = {one.alias for file in files for one in attrs.fields(file) if not one.metadata}
    headings = " ".join(TABLES)
    assert [key for key in keys if f"[{key}]" not in headings] == []


def test_exit_codes_are_those_of_the_code() -> None:
    rows = table(section(OPERATING, "Exit codes"))
    assert [(row[0], row[1]) for row in rows] == [(str(int(one)), one.sentence) for one in Exit]


@pytest.mark.parametrize("heading", ["`summary.json`", "`rounds.jsonl`"])
def test_every_field_of_a_record_is_there(heading: str) -> None:
    entry = {**closed(1, {"board": part()}), "writer": 1}
    summary = summarise([entry], wall_s=1.0, run="run", job="job", rounds_planned=1)
    record = json.loads(json.dumps({"`summary.json`": summary, "`rounds.jsonl`": entry}[heading]))
    text = section(OPERATING, heading)
    assert [key for key in _keys(record) if f"`{key}`" not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        if link.startswith(("http://", "https://")):
            continue
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_commands_take_the_arguments_that_are_shown() -> None:
    lines = [
        line.split("edgesplit ", 1)[1]
        for page in PAGES
        for block in blocks(page)
        if block.language == "sh"
        for line in block.text.splitlines()
        if re.match(r"\S*edgesplit ", line)
    ]
    assert len(lines) > 5
    for line in lines:
        main._parser().parse_args(shlex.split(line))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_no_page_names_somebodys_machine(page: Path) -> None:
    assert re.findall(r"(?<![\w.])/(?:work|tmp|root|home)/\S*", page.read_text()) == []


def test_page_is_read_as_meant() -> None:
    assert len(PAGES) > 5
    assert "what-to-do-when" in anchors(OPERATING)
    assert "first-steps.md" in {Path(link).name for link in links(REPOSITORY / "README.md")}


def _keys(record: dict[str, Any]) -> set[str]:
    """Returns the keys of a record and of the tables in it; devices' ids are no keys."""
    inner = [one for one in record.values() if isinstance(one, dict)]
    return ({*record} | {key for one in inner for key in _keys(one)}) - {"board"}


def _shown(default: Any) -> str:
    """Returns a default as the page writes it."""
    if default is attrs.NOTHING:
        return "required"
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        return "`{}`"
    if default is None:
        return "none"
    return f"`{json.dumps(list(default) if isinstance(default, tuple) else default)}`"
