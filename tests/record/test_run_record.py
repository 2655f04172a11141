from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from coordinator.record.run_record import RunRecord, read_lines
from runtime.errors import StorageError


def test_what_was_appended_is_read_back(tmp_path: Path) -> None:
    record = RunRecord.create(tmp_path, "demo")
    record.append("plans", {"round": 1, "assignments": ({"device": "a"},)})
    record.append("rounds", {"round": 1, "loss": 0.25})
    record.close()
    again = RunRecord.reopen(record.folder)
    assert again.plans() == [{"round": 1, "assignments": [{"device": "a"}]}]
    assert again.rounds() == [{"round": 1, "loss": 0.25, "writer": 1}]
    assert again.run == record.folder.name


def test_an_entry_can_be_read_while_the_record_is_open(tmp_path: Path) -> None:
    record = RunRecord.create(tmp_path, "demo")
    record.append("rounds", {"round": 1})
    assert read_lines(record.folder / "rounds.jsonl") == record.rounds() != []
    record.close()


def test_runs_of_one_second_get_folders_of_their_own(tmp_path: Path) -> None:
    folders = [RunRecord.create(tmp_path / "runs", "demo").folder for _ in range(3)]
    assert len(set(folders)) == 3
    assert all(folder.is_dir() for folder in folders)
    latest = tmp_path / "runs" / "latest"
    assert latest.is_symlink()
    assert latest.resolve() == folders[-1].resolve()


def test_events_tell_the_time_of_day(tmp_path: Path) -> None:
    record = RunRecord.create(tmp_path, "demo")
    record.append("events", {"event": "online", "device": "a"})
    record.close()
    (event,) = read_lines(record.folder / "events.jsonl")
    age = datetime.now(UTC) - datetime.fromisoformat(event.pop("at"))
    assert timedelta(0) <= age < timedelta(minutes=1)
    assert event == {"event": "online", "device": "a"}


def test_listeners_hear_what_is_written(tmp_path: Path) -> None:
    heard: list[tuple[str, dict[str, Any]]] = []
    record = RunRecord.create(tmp_path, "demo")
    record.listen(lambda stream, entry: heard.append((stream, entry)))
    record.append("plans", {"round": 1})
    record.append("rounds", {"round": 1})
    record.close()
    assert heard == [("plans", {"round": 1}), ("rounds", {"round": 1, "writer": 1})]


def test_what_json_has_no_word_for_becomes_null(tmp_path: Path) -> None:
    record = RunRecord.create(tmp_path, "demo")
    record.append("rounds", {"round": 1, "loss": math.nan, "parts": [{"loss": -math.inf}, 1.5]})
    record.close()
    (entry,) = record.rounds()
    assert (entry["loss"], entry["parts"]) == (None, [{"loss": None}, 1.5])


def test_a_torn_last_line_is_dropped_and_the_record_goes_on(tmp_path: Path) -> None:
    record = RunRecord.create(tmp_path, "demo")
    record.append("plans", {"round": 1})
    record.append("rounds", {"round": 1})
    record.close()
    with (record.folder / "rounds.jsonl").open("ab") as file:
        file.write(b'{"round":2,"acc')
    again = RunRecord.reopen(record.folder)
    again.append("rounds", {"round": 2})
    again.close()
    assert [one["round"] for one in again.rounds()] == [1, 2]


def test_a_damaged_line_in_the_middle_is_told_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "rounds.jsonl"
    path.write_bytes(b'{"round":1}\n{"rou\n{"round":3}\n')
    with pytest.raises(StorageError, match="line 2 is damaged"):
        RunRecord.reopen(tmp_path)


def test_rounds_beyond_the_checkpoint_are_dropped(tmp_path: Path) -> None:
    record = RunRecord.create(tmp_path, "demo")
    for number in (1, 2, 3):
        record.append("plans", {"round": number})
        record.append("rounds", {"round": number})
    record.keep_rounds(2, {"round": 2})
    assert [one["round"] for one in record.rounds()] == [1, 2]
    record.append("rounds", {"round": 3})
    record.close()
    assert [one["round"] for one in record.rounds()] == [1, 2, 3]
    assert [one["round"] for one in record.plans()] == [1, 2, 3]


def test_the_round_of_the_checkpoint_that_a_crash_kept_from_the_record_is_added(
    tmp_path: Path,
) -> None:
    record = RunRecord.create(tmp_path, "demo")
    record.append("rounds", {"round": 1})
    record.keep_rounds(2, {"round": 2, "loss": float("nan")})
    assert record.rounds() == [
        {"round": 1, "writer": 1},
        {"round": 2, "loss": None, "writer": 1},
    ]


def test_every_process_that_writes_has_a_number(tmp_path: Path) -> None:
    folder = RunRecord.create(tmp_path, "demo").folder
    for number in (1, 2, 3):
        record = RunRecord.reopen(folder) if number > 1 else RunRecord.begin(folder)
        record.append("rounds", {"round": number})
        record.close()
    assert [one["writer"] for one in record.rounds()] == [1, 2, 3]


def test_a_run_is_not_begun_over_another(tmp_path: Path) -> None:
    record = RunRecord.begin(tmp_path / "mine")
    record.append("plans", {"round": 1})
    record.close()
    with pytest.raises(StorageError, match="--resume"):
        RunRecord.begin(tmp_path / "mine")


def test_only_a_run_is_resumed(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="holds no run"):
        RunRecord.reopen(tmp_path)


def test_a_resumed_run_is_known_by_its_own_name(tmp_path: Path) -> None:
    record = RunRecord.create(tmp_path, "demo")
    record.append("plans", {"round": 1})
    record.close()
    assert RunRecord.reopen(tmp_path / "latest").run == record.run


def test_a_file_in_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(StorageError, match="is not a folder"):
        RunRecord.create(tmp_path / "runs", "demo")
    with pytest.raises(StorageError, match="cannot be made"):
        RunRecord.begin(tmp_path / "runs" / "mine")
