"""What a run came to: figures for machines in summary.json, sentences for people."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from statistics import median
from typing import Any

from coordinator.record.byte_count import ByteCount
from coordinator.record.foretold import (
    foretold,
    overran,
    prediction_in_words,
    validity_in_words,
)
from coordinator.record.run_record import Entry
from coordinator.record.text_table import text_table
from runtime.atomic_file import write_atomically
from runtime.errors import StorageError

Summary = dict[str, Any]

_COLUMNS = 100


def summarise(
    rounds: Sequence[Entry], *, wall_s: float, run: str, job: str, rounds_planned: int
) -> Summary:
    """Returns the run's figures from its records of rounds, each as the coordinator wrote it.

    `wall_s` is the time of the last process, `training_s` the sum of all rounds. Bytes are those
    of MQTT messages. Of a device's step times, p50 and p90 are the median over the rounds' own,
    and of its memory the highest figure of all rounds is kept.
    """
    last = rounds[-1] if rounds else {}
    devices = {one: _device(one, rounds) for one in device_ids(rounds)}
    return {
        "run": run,
        "job": job,
        "rounds": len(rounds),
        "rounds_planned": rounds_planned,
        "accuracy": last.get("accuracy"),
        "loss": last.get("loss"),
        "wall_s": wall_s,
        "training_s": sum(one["duration_s"] for one in rounds),
        "samples": sum(one["samples"] for one in rounds),
        "up_bytes": sum(one["up_bytes"] for one in devices.values()),
        "down_bytes": sum(one["down_bytes"] for one in devices.values()),
        "final_weights_sha256": last.get("weights_sha256"),
        "dropped": _dropped(rounds),
        "foretold": foretold(rounds),
        "valid_measurement": not overran(devices),
        "devices": devices,
    }


def device_ids(rounds: Iterable[Entry]) -> list[str]:
    """Returns every device that took part in a round, sorted."""
    return sorted({device for one in rounds for device in one["devices"]})


def bytes_by_round(rounds: Sequence[Entry], device: str, key: str) -> list[int]:
    """Returns the device's bytes (`key` as in ByteCount) up to the end of each round."""
    counts = accumulate(rounds, ByteCount.after, initial=ByteCount(device, key))
    return [count.total_bytes for count in counts][1:]


def write_summary(path: Path, summary: Summary) -> None:
    """Replaces the file at `path`. Raises StorageError."""
    write_atomically(path, (json.dumps(summary, indent=2) + "\n").encode())


def read_summary(path: Path) -> Summary:
    """Reads what `write_summary` wrote. Raises StorageError."""
    try:
        summary: Summary = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise StorageError(f"{path} cannot be read: {error}") from error
    return summary


def in_words(summary: Summary) -> str:
    """Returns a few sentences and a table of the devices, in units that people read."""
    head = [
        _progress(summary),
        _quality(summary),
        _cost(summary),
        prediction_in_words(summary["foretold"]),
        _trouble(summary),
    ]
    if not summary["rounds"]:
        return head[0]
    told = textwrap.fill(" ".join(filter(None, head)), _COLUMNS, break_on_hyphens=False)
    lines = [told, "", text_table(_HEADINGS, _rows(summary), left=3)]
    return "\n".join([*lines, "", f"weights {summary['final_weights_sha256']}"])


def _device(device: str, rounds: Sequence[Entry]) -> dict[str, Any]:
    parts = [one["devices"][device] for one in rounds if device in one["devices"]]
    steps = [part["step"] for part in parts]
    return {
        "cut": parts[-1]["cut"],
        "cuts": list(dict.fromkeys(part["cut"] for part in parts)),
        "codec_up": parts[-1]["codec_up"],
        "codec_down": parts[-1]["codec_down"],
        "up_bytes": bytes_by_round(rounds, device, "up_bytes")[-1],
        "down_bytes": bytes_by_round(rounds, device, "down_bytes")[-1],
        "samples": sum(part["samples"] for part in parts),
        "rounds": len(parts),
        "attempts": sum(part["attempt"] for part in parts),
        "peak_rss_bytes": max(part["peak_rss_bytes"] for part in parts),
        "pss_bytes": max(part["pss_bytes"] for part in parts),
        "step_p50_s": median(step["p50_s"] for step in steps),
        "step_p90_s": median(step["p90_s"] for step in steps),
        "step_max_s": max(step["max_s"] for step in steps),
        "steps": sum(part.get("steps", 0) for part in parts),
        "overruns": sum(part["overruns"] for part in parts),
    }


def _dropped(rounds: Sequence[Entry]) -> dict[str, int]:
    """Returns how many rounds went on without a device, for those of which any did."""
    gone = Counter(part["device"] for one in rounds for part in one.get("dropped", ()))
    return dict(sorted(gone.items()))


def _progress(summary: Summary) -> str:
    done, planned = summary["rounds"], summary["rounds_planned"]
    if not done:
        return f"{summary['run']}: no round was finished."
    if done < planned:
        return f"{summary['run']}: stopped after round {done} of {planned}."
    return f"{summary['run']}: {done} rounds in {duration(summary['training_s'])}."


def _quality(summary: Summary) -> str:
    accuracy, loss = summary["accuracy"], summary["loss"]
    words = [] if accuracy is None else [f"accuracy {accuracy:.2%}"]
    words += [] if loss is None else [f"loss {loss:.4f}"]
    return f"The model has {', '.join(words)} on the evaluation data." if words else ""


def _cost(summary: Summary) -> str:
    up, down = megabytes(summary["up_bytes"]), megabytes(summary["down_bytes"])
    return (
        f"The boards sent {up} MB, received {down} MB and trained {summary['samples']:,} samples."
    )


def _trouble(summary: Summary) -> str:
    devices: Mapping[str, Any] = summary["devices"]
    again = {name: one["attempts"] - one["rounds"] for name, one in devices.items()}
    late = {name: one["overruns"] for name, one in devices.items()}
    words = [
        _told("repeated attempts", again),
        _told("steps slower than emulated", late),
        validity_in_words(devices),
    ]
    return " ".join(filter(None, words))


def _told(what: str, counts: Mapping[str, int]) -> str:
    found = ", ".join(f"{name} {count}" for name, count in counts.items() if count)
    return f"{what.capitalize()}: {found}." if found else ""


_HEADINGS = (
    "device",
    "cut",
    "codec",
    "samples",
    "up MB",
    "down MB",
    "step p50 ms",
    "p90",
    "max",
    "peak RSS MB",
    "PSS MB",
)


def _rows(summary: Summary) -> list[tuple[str, ...]]:
    return [
        (
            name,
            ", ".join(one["cuts"]),
            codecs(one),
            f"{one['samples']:,}",
            megabytes(one["up_bytes"]),
            megabytes(one["down_bytes"]),
            *(f"{one[f'step_{which}_s'] * 1e3:.1f}" for which in ("p50", "p90", "max")),
            megabytes(one["peak_rss_bytes"]),
            megabytes(one["pss_bytes"]),
        )
        for name, one in summary["devices"].items()
    ]


def codecs(part: Mapping[str, Any]) -> str:
    """Returns both codecs of a device, or the one that serves both ways."""
    up, down = part["codec_up"], part["codec_down"]
    return str(up) if up == down else f"{up} / {down}"


def megabytes(size_bytes: int) -> str:
    """Returns a size in 1e6 bytes: to a tenth, below one to a thousandth."""
    size = size_bytes / 1e6
    return f"{size:,.1f}" if size >= 1 else f"{size:.3f}"


def duration(seconds: float) -> str:
    """Returns a time as people say it: 12.3 s, 4 min 05 s, 2 h 03 min."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"
