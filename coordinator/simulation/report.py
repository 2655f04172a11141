"""What a simulation came to: a summary for machines, a table for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Any

from coordinator.record.foretold import prediction_in_words
from coordinator.record.run_record import Entry
from coordinator.record.summary import Summary, codecs, device_ids, duration, megabytes, summarise
from coordinator.record.text_table import text_table
from coordinator.simulation.simulation import Simulated

TERMS = ("compute_s", "link_s", "server_s", "queue_s")
"""Where a device's time goes: its own work, links, the server's work for it, the server's queue."""


def summary_of(
    rounds: Sequence[Entry],
    simulated: Simulated,
    *,
    run: str,
    job: str,
    rounds_planned: int,
    plans: Sequence[Entry] = (),
) -> Summary:
    """Returns the summary of a real run, marked as simulated, with the terms of every device."""
    summary = summarise(
        rounds, wall_s=simulated.wall_s, run=run, job=job, rounds_planned=rounds_planned
    )
    slowest = Counter(bottleneck(one) for one in rounds)
    for name in device_ids(rounds):
        parts = [_terms(one, name) for one in rounds if name in one["devices"]]
        medians = {term: median(part[term] for part in parts) for term in (*TERMS, "idle_s")}
        summary["devices"][name] |= {**medians, "rounds_slowest": slowest[name]}
    return {
        "simulated": True,
        **summary,
        "round_s": median(one["duration_s"] for one in rounds) if rounds else None,
        "server_gflops": simulated.server_gflops,
        "closing_s": median(one["closing_s"] for one in rounds) if rounds else None,
        "messages": simulated.messages,
        "left_out": list(plans[-1].get("left_out", ())) if plans else [],
    }


def bottleneck(entry: Entry) -> str:
    """Returns the device for which a round waited longest."""
    parts: dict[str, Any] = entry["devices"]
    return max(sorted(parts), key=lambda name: parts[name]["duration_s"])


def in_words(summary: Summary, most: int = 40) -> str:
    """Returns a few sentences and a table of the devices' terms, medians over the rounds.

    Of more than `most` devices, those for which rounds waited longest are shown.
    """
    if not summary["rounds"]:
        return f"{summary['run']}: simulated; no round was finished."
    devices = summary["devices"]
    slowest = sorted(devices, key=lambda name: (devices[name]["idle_s"], name))[:most]
    rows = [_row(name, devices[name], summary["rounds"]) for name in sorted(slowest)]
    table = text_table(_HEADINGS, rows, left=3)
    if len(rows) < len(devices):
        table += f"\n... and {len(devices) - len(rows)} boards that others waited for less"
    return "\n".join([*_head(summary), "", table, "", *_foot(summary)])


def _head(summary: Summary) -> list[str]:
    lines = [
        f"{summary['run']}: simulated, not measured: {summary['rounds']} rounds of "
        f"{len(summary['devices'])} boards in {duration(summary['training_s'])} of virtual time "
        f"({duration(summary['wall_s'])} of ours).",
        f"A round takes {summary['round_s']:.3f} s (median), closing it {summary['closing_s']:.3f} "
        f"s of that; a server worker is taken to make {summary['server_gflops']:.1f} GFLOP/s.",
    ]
    if summary["accuracy"] is not None:
        lines.append(
            f"The model has accuracy {summary['accuracy']:.2%}, loss {summary['loss']:.4f} "
            "on the evaluation data."
        )
    if summary["foretold"]["rounds"]:
        lines.append(prediction_in_words(summary["foretold"]))
    lines += [f"left out: {one['device']}: {one['reason']}" for one in summary["left_out"]]
    return lines


def _foot(summary: Summary) -> list[str]:
    devices = summary["devices"]
    name = max(sorted(devices), key=lambda one: devices[one]["rounds_slowest"])
    slow = devices[name]
    term = max(TERMS, key=slow.__getitem__)
    lines = [
        f"bottleneck: {name}, the slowest in {slow['rounds_slowest']} of {summary['rounds']} "
        f"rounds; most of its time is {_MEANINGS[term]} ({slow[term]:.3f} s a round)"
    ]
    digest = summary["final_weights_sha256"]
    return [*lines, f"weights {digest}"] if digest else lines


_MEANINGS = {
    "compute_s": "its own computing",
    "link_s": "sending, receiving and waiting for the links",
    "server_s": "the server's computing for it",
    "queue_s": "waiting for the server",
}
_HEADINGS = (
    "device",
    "cut",
    "codec",
    "compute s",
    "link s",
    "server s",
    "queue s",
    "idle s",
    "up MB",
    "down MB",
    "slowest in",
)


def _row(name: str, one: dict[str, Any], rounds: int) -> tuple[str, ...]:
    return (
        name,
        ", ".join(one["cuts"]),
        codecs(one),
        *(f"{one[term]:.3f}" for term in (*TERMS, "idle_s")),
        megabytes(one["up_bytes"] // rounds),
        megabytes(one["down_bytes"] // rounds),
        f"{one['rounds_slowest']}",
    )


def _terms(entry: Entry, name: str) -> dict[str, float]:
    part = entry["devices"][name]
    idle_s = max(0.0, entry["duration_s"] - entry["closing_s"] - part["duration_s"])
    return {**{term: part[term] for term in TERMS}, "idle_s": idle_s}
