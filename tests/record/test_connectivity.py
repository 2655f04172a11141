"""Who was there, who was lost, and what that cost, from records alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from coordinator.record.connectivity import (
    connectivity,
    connectivity_in_words,
    is_eventful,
    write_report,
)
from coordinator.record.run_record import RunRecord
from tests.record.entries import closed, part


def _at(second: float, event: str, device: str | None = None, **more: Any) -> dict[str, Any]:
    who = {} if device is None else {"device": device, "incarnation": 1}
    return {"at": f"2026-03-04T10:15:{second:06.3f}+00:00", "event": event, **who, **more}


def test_times_are_booked_by_state() -> None:
    events = [
        _at(0, "link up"),
        _at(1, "online", "a"),
        _at(2, "online", "b"),
        _at(5, "lost", "a"),
        _at(8, "online", "a", incarnation=2),
        _at(10, "left", "b"),
        _at(20, "ended"),
    ]
    figures = connectivity(events, [])
    a, b = figures["a"], figures["b"]
    assert (a["connected_s"], a["lost_s"], a["away_s"]) == (16.0, 3.0, 0.0)
    assert (a["losses"], a["reconnects"]) == (1, 1)
    assert (b["connected_s"], b["lost_s"], b["away_s"]) == (8.0, 0.0, 10.0)
    assert (b["losses"], b["reconnects"]) == (0, 0)


def test_nothing_is_counted_while_there_is_no_coordinator() -> None:
    events = [
        _at(1, "online", "a"),
        _at(3, "ended"),
        _at(30, "link up"),
        _at(31, "online", "a"),
        _at(33, "ended"),
    ]
    a = connectivity(events, [])["a"]
    assert (a["connected_s"], a["losses"], a["reconnects"]) == (4.0, 0, 0)


def test_a_quick_restart_counts_although_nobody_saw_the_loss() -> None:
    events = [_at(1, "online", "a"), _at(3, "online", "a", incarnation=2), _at(4, "ended")]
    a = connectivity(events, [])["a"]
    assert (a["connected_s"], a["losses"], a["reconnects"]) == (3.0, 1, 1)


def test_events_that_were_told_late_are_taken_at_their_time() -> None:
    events = [_at(5, "online", "a"), _at(9, "online", "b"), _at(7, "lost", "a"), _at(9, "ended")]
    assert connectivity(events, [])["a"]["lost_s"] == 2.0


def test_simulated_time_counts_to_the_end_of_the_simulation() -> None:
    events = [_at(0, "online", "a", simulated_s=1.5), _at(0, "lost", "a", simulated_s=100.0)]
    a = connectivity(events, [], end_s=160.0)["a"]
    assert (a["connected_s"], a["lost_s"]) == (98.5, 60.0)


def test_rounds_tell_of_retries_drops_waiting_and_bytes() -> None:
    rounds = [
        closed(1, {"a": part(10, 20, duration_s=5.0, attempt=3), "b": part(1, 2, duration_s=2.0)}),
        closed(2, {"b": part(3, 5, duration_s=4.0)}, dropped=[{"device": "a"}]),
        closed(3, {"b": part(4, 6)}, dropped=[{"device": "c", "after_s": 8.5}]),
    ]
    figures = connectivity([], rounds)
    a, b = figures["a"], figures["b"]
    assert (a["attempts"], a["retries"], a["dropped_rounds"], a["waited_s"]) == (3, 2, 1, 3.0)
    assert (b["attempts"], b["retries"], b["dropped_rounds"], b["waited_s"]) == (3, 0, 0, 0.0)
    assert (a["up_bytes"], a["down_bytes"], b["up_bytes"], b["down_bytes"]) == (10, 20, 4, 6)
    assert (figures["c"]["dropped_rounds"], figures["c"]["waited_s"]) == (1, 7.0)


def test_the_report_is_written_and_told_where_something_went_wrong(tmp_path: Path) -> None:
    record = RunRecord.begin(tmp_path / "run")
    calm = connectivity([_at(1, "online", "a")], [closed(1, {"a": part()})])
    assert not is_eventful(calm)
    assert write_report(record, "words", calm) == "words"
    assert connectivity_in_words(calm) in record.summary_text_path.read_text()
    rough = connectivity([_at(1, "online", "a"), _at(2, "lost", "a"), _at(59, "ended")], [])
    assert "57.0 s" in write_report(record, "words", rough)
