from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from coordinator.record.live_table import LiveTable
from coordinator.record.progress import Progress, comparison
from coordinator.record.run_record import Entry, RunRecord
from tests.record.entries import closed, part

PLAN: Entry = {
    "round": 1,
    "assignments": [
        {"device": "a", "cut": "block1", "codec_up": "int8", "codec_down": "fp16"},
    ],
}


def table_on(file: io.StringIO, *, terminal: bool, past: tuple[Entry, ...] = ()) -> LiveTable:
    console = Console(
        file=file, force_terminal=terminal, color_system=None, width=100, soft_wrap=True
    )
    return LiveTable(["a", "b"], 4, past=past, console=console)


def test_a_pipe_gets_a_line_for_every_round_and_piece_of_news(tmp_path: Path) -> None:
    output = io.StringIO()
    record = RunRecord.begin(tmp_path)
    with table_on(output, terminal=False) as table:
        record.listen(table)
        record.append("events", {"event": "link up"})
        record.append("events", {"event": "online", "device": "a", "incarnation": 3})
        record.append("events", {"event": "dropped", "peer": "a", "reason": "stale Step"})
        record.append("plans", PLAN)
        record.append("rounds", closed(1, {"a": part(2_000_000, 1_000_000)}))
        record.append("rounds", closed(2, {"a": part(4_000_000, 1_500_000)}))
        record.append("events", {"event": "lost", "device": "a", "incarnation": 3})
        gone = {"event": "device dropped", "device": "a", "round": 3, "reason": "it is lost"}
        record.append("events", gone)
    record.close()
    assert output.getvalue().splitlines() == [
        "connected to the broker",
        "a: online",
        "round 1/4  accuracy 51.00%  loss 1.0000  training loss 1.2000  up 2.0 MB  down 1.0 MB"
        "  about 6.0 s to go",
        "round 2/4  accuracy 52.00%  loss 0.5000  training loss 0.6000  up 4.0 MB  down 1.5 MB"
        "  about 4.0 s to go",
        "a: lost",
        "a: dropped from round 3: it is lost",
    ]


def test_a_reason_from_the_network_cannot_steer_the_terminal() -> None:
    output = io.StringIO()
    with table_on(output, terminal=False) as table:
        table("events", {"event": "refused", "device": "a", "reason": "\x1b[2J[red]no\nroom"})
    assert output.getvalue() == "a: refused: ?[2J[red]no?room\n"


def test_a_terminal_gets_a_table() -> None:
    output = io.StringIO()
    with table_on(output, terminal=True) as table:
        table("plans", PLAN)
        table("rounds", closed(1, {"a": part(2_000_000)}))
    last = output.getvalue().rpartition("device")[2]
    for text in ("training", "block1", "int8 / fp16", "20.0", "2.0", "0.5000", "round 1/4"):
        assert text in last


TERMS = {"state_down_s": 0.25, "forward_s": 1.0, "upload_s": 0.5}


def test_planned_times_stand_beside_measured_ones() -> None:
    planned = {**PLAN["assignments"][0], "predicted": TERMS}
    progress = Progress.begin(["a", "b"], 4).after("plans", {**PLAN, "assignments": [planned]})
    row = progress.rows["a"]
    assert (row.planned_s, row.round_s) == (1.75, None)
    entry = closed(1, {"a": part(duration_s=1.8, predicted_s=1.75)}, predicted_s=2.1)
    later = {**planned, "predicted": {**TERMS, "upload_s": 9.0}}
    progress = progress.after("rounds", entry).after("plans", {**PLAN, "assignments": [later]})
    row = progress.rows["a"]
    assert (row.planned_s, row.round_s) == (1.75, 1.8), "of one round, the last that is closed"
    assert comparison(progress) == "round took 2.00 s, foretold 2.10 s"
    output = io.StringIO()
    with table_on(output, terminal=True) as table:
        table("rounds", entry)
    last = output.getvalue().rpartition("device")[2]
    for text in ("1.80", "1.75", "foretold 2.10 s"):
        assert text in last


def test_a_pipe_is_told_what_was_foretold() -> None:
    output = io.StringIO()
    with table_on(output, terminal=False) as table:
        table("rounds", closed(1, {"a": part()}, predicted_s=2.1))
    assert "round took 2.00 s, foretold 2.10 s" in output.getvalue()


def test_a_resumed_run_counts_what_lies_behind_it() -> None:
    past = (closed(1, {"a": part(2_000_000)}, writer=1),)
    output = io.StringIO()
    with table_on(output, terminal=False, past=past) as table:
        table("rounds", closed(2, {"a": part(2_500_000)}, writer=2))
    (line,) = output.getvalue().splitlines()
    assert line.startswith("round 2/4")
    assert "up 4.5 MB" in line


def test_a_device_that_returns_is_training_again() -> None:
    progress = Progress.begin(["a"], 4)
    states = [progress.rows["a"].state]
    for stream, entry in (
        ("events", {"event": "online", "device": "a"}),
        ("plans", PLAN),
        ("events", {"event": "lost", "device": "a"}),
        ("events", {"event": "online", "device": "a"}),
        ("events", {"event": "online", "device": "stranger"}),
        ("rounds", closed(4, {"a": part()})),
    ):
        progress = progress.after(stream, entry)
        states.append(progress.rows["a"].state)
    assert states == ["awaited", "online", "training", "lost", "training", "training", "done"]
