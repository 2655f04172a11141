from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from coordinator.record.plots import plot_training
from coordinator.record.round_picture import plot_happened, plot_last
from coordinator.record.run_record import Entry, RunRecord
from coordinator.record.summary import (
    bytes_by_round,
    duration,
    in_words,
    read_summary,
    summarise,
    write_summary,
)
from runtime.errors import StorageError
from tests.record.entries import closed, part


def summary_of(rounds: list[Entry], planned: int = 3) -> dict[str, Any]:
    return summarise(rounds, wall_s=9.0, run="demo-1", job="demo", rounds_planned=planned)


def test_bytes_are_the_sum_of_what_each_process_counted() -> None:
    counted = [(1, 100), (1, 250), (2, 260), (2, 400), (3, 30)]
    rounds = [
        closed(number, {"a": part(up_bytes=size)}, writer=writer)
        for number, (writer, size) in enumerate(counted, start=1)
    ]
    assert bytes_by_round(rounds, "a", "up_bytes") == [100, 250, 510, 650, 680]


def test_a_count_that_falls_began_anew_even_if_nobody_says_so() -> None:
    rounds = [closed(n, {"a": part(down_bytes=size)}) for n, size in enumerate((90, 40, 70), 1)]
    assert bytes_by_round(rounds, "a", "down_bytes") == [90, 130, 160]


def test_a_round_without_the_device_adds_nothing() -> None:
    rounds = [
        closed(1, {"a": part(100)}, writer=1),
        closed(2, {"b": part(5)}, writer=1),
        closed(3, {"a": part(130)}, writer=1),
        closed(4, {"b": part(9)}, writer=2),
        closed(5, {"a": part(140)}, writer=2),
    ]
    assert bytes_by_round(rounds, "a", "up_bytes") == [100, 100, 130, 130, 270]


def test_the_figures_of_a_run() -> None:
    slow = {"p50_s": 0.04, "p90_s": 0.05, "max_s": 0.1}
    rounds = [
        closed(1, {"a": part(100, 10), "b": part(7)}, writer=1),
        closed(2, {"a": part(300, 20, cut="block2", attempt=3, step=slow, overruns=2)}, writer=1),
        closed(3, {"a": part(150, 30, cut="block2", peak_rss_bytes=95_000_000)}, writer=2),
    ]
    summary = summary_of(rounds)
    assert (summary["accuracy"], summary["loss"]) == (0.53, 1 / 3)
    assert (summary["rounds"], summary["training_s"], summary["wall_s"]) == (3, 6.0, 9.0)
    assert (summary["up_bytes"], summary["down_bytes"], summary["samples"]) == (457, 50, 256)
    assert summary["final_weights_sha256"] == f"{3:064x}"
    assert summary["devices"]["a"] == {
        "cut": "block2",
        "cuts": ["block1", "block2"],
        "codec_up": "int8",
        "codec_down": "int8",
        "up_bytes": 450,
        "down_bytes": 50,
        "samples": 192,
        "rounds": 3,
        "attempts": 5,
        "peak_rss_bytes": 95_000_000,
        "pss_bytes": 50_000_000,
        "step_p50_s": 0.02,
        "step_p90_s": 0.03,
        "step_max_s": 0.2,
        "steps": 60,
        "overruns": 2,
    }


def test_words_name_what_happened() -> None:
    rounds = [closed(1, {"pi-zero": part(12_340_000, 5_000_000, attempt=2)}, writer=1)]
    text = " ".join(in_words(summary_of(rounds)).split())
    assert "stopped after round 1 of 3" in text
    assert "accuracy 51.00%" in text
    assert "sent 12.3 MB, received 5.0 MB" in text
    assert "Repeated attempts: pi-zero 1." in text
    assert "slower than emulated" not in text
    assert f"{1:064x}" in text


def test_rounds_are_held_against_what_was_foretold() -> None:
    times = [(1.0, 1.1), (2.0, 1.8), (4.0, 4.8)]
    rounds = [
        closed(number, {"a": part()}, predicted_s=predicted_s, duration_s=duration_s)
        for number, (predicted_s, duration_s) in enumerate(times, start=1)
    ]
    told = summary_of([*rounds, closed(4, {"a": part()})])["foretold"]
    assert [one["round"] for one in told["rounds"]] == [1, 2, 3]
    assert told["median_error"] == pytest.approx(0.1)
    assert told["median_absolute_error"] == pytest.approx(0.1)
    words = " ".join(in_words(summary_of(rounds)).split())
    assert "3 rounds were foretold; they took 10.0% longer (median; 10.0% off)." in words


def test_nothing_is_said_of_predictions_that_nobody_made() -> None:
    summary = summary_of([closed(1, {"a": part()})])
    assert summary["foretold"] == {
        "rounds": [],
        "median_error": None,
        "median_absolute_error": None,
    }
    assert "foretold" not in in_words(summary)


@pytest.mark.parametrize(("overruns", "valid"), [(0, True), (2, True), (3, False)])
def test_a_machine_that_was_too_slow_measures_nothing(overruns: int, valid: bool) -> None:
    parts = {"a": part(steps=100, overruns=overruns), "b": part(steps=100)}
    summary = summary_of([closed(1, parts)])
    assert summary["valid_measurement"] is valid
    words = " ".join(in_words(summary).split())
    assert ("Not a valid measurement: " in words) is not valid
    assert ("(a in 3%)" in words) is not valid


def test_words_for_a_run_that_learned_nothing() -> None:
    assert in_words(summary_of([])) == "demo-1: no round was finished."
    unknown = [closed(1, {"a": part()}, accuracy=None, loss=None)]
    assert "accuracy" not in in_words(summary_of(unknown))


def test_a_summary_survives_the_disk(tmp_path: Path) -> None:
    summary = summary_of([closed(1, {"a": part(1)})])
    write_summary(tmp_path / "summary.json", summary)
    assert (
        read_summary(tmp_path / "summary.json")
        == summary
        == json.loads((tmp_path / "summary.json").read_text())
    )
    with pytest.raises(StorageError):
        read_summary(tmp_path / "other.json")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(12.34, "12.3 s"), (59.99, "1 min 00 s"), (245, "4 min 05 s"), (7380, "2 h 03 min")],
)
def test_times_are_told_as_people_do(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize("devices", [1, 40])
@pytest.mark.parametrize("planned", [False, True])
def test_a_round_is_drawn_as_it_happened(tmp_path: Path, devices: int, planned: bool) -> None:
    terms = {"state_down_s": 0.1, "forward_s": 0.3, "upload_s": 0.2, "server_s": 0.1}
    names = [f"board-{number}" for number in range(devices)]
    entry = closed(1, {name: part() for name in names})
    assigned: list[dict[str, Any]] = [{"device": name, "batch": 4} for name in names]
    if planned:
        entry["predicted_s"] = 1.9
        assigned = [{**one, "predicted": terms} for one in assigned]
    record = RunRecord.begin(tmp_path)
    record.append("plans", {"round": 1, "assignments": assigned})
    record.append("rounds", entry)
    record.close()
    plot_last(record, record.round_plot_path)
    assert (tmp_path / "round.png").read_bytes().startswith(b"\x89PNG")


def test_old_records_without_terms_are_drawn_too(tmp_path: Path) -> None:
    old = {key: value for key, value in part().items() if key != "terms"}
    plot_happened(closed(1, {"a": old}), {"assignments": []}, tmp_path / "round.png", "demo")
    assert (tmp_path / "round.png").exists()


@pytest.mark.parametrize("devices", [1, 12])
@pytest.mark.parametrize("rounds", [1, 80])
def test_a_picture_is_drawn_of_any_run(tmp_path: Path, devices: int, rounds: int) -> None:
    parts = {f"board-{number}": part(10_000 * number) for number in range(devices)}
    entries = [closed(number, parts, writer=1) for number in range(1, rounds + 1)]
    entries[0]["accuracy"] = None
    plot_training(entries, tmp_path / "training.png", "demo")
    assert (tmp_path / "training.png").read_bytes().startswith(b"\x89PNG")
