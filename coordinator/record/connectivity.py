"""How well the devices were there: who was lost, for how long, and what that cost the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from attrs import define

from coordinator.record.run_record import Entry, RunRecord
from coordinator.record.summary import bytes_by_round, duration, megabytes
from coordinator.record.text_table import text_table
from runtime.atomic_file import write_atomically

Connectivity = dict[str, dict[str, Any]]
State = Literal["unknown", "online", "lost", "left"]

_PRESENCE = ("online", "lost", "left")


@define
class _Presence:
    """One device, event after event; times in seconds."""

    state: State = "unknown"
    incarnation: int | None = None
    since_s: float = 0.0
    connected_s: float = 0.0
    lost_s: float = 0.0
    away_s: float = 0.0
    losses: int = 0
    reconnects: int = 0

    def turns(self, state: State, at_s: float, incarnation: int | None = None) -> None:
        """Books the time in the state before, and takes the next one."""
        spent_s = max(0.0, at_s - self.since_s)
        match self.state:
            case "online":
                self.connected_s += spent_s
            case "lost":
                self.lost_s += spent_s
            case "left":
                self.away_s += spent_s
        # A process that was replaced so fast that nobody noticed was lost all the same.
        replaced = self.state == "online" == state and incarnation != self.incarnation
        self.losses += replaced or (state == "lost" and self.state != "lost")
        self.reconnects += replaced or (state == "online" and self.state in ("lost", "left"))
        self.state, self.since_s, self.incarnation = state, at_s, incarnation


def connectivity(
    events: Sequence[Entry], rounds: Sequence[Entry], *, end_s: float | None = None
) -> Connectivity:
    """Returns the figures of every device, sorted, from a run's events and rounds.

    `end_s` is when a simulation ended; a real run is over with its last event. Between the end of
    a coordinator and the start of the next nothing is known, and nothing is counted.
    """
    seen = _presences(events, end_s)
    names = {*seen, *(name for one in rounds for name in (*one["devices"], *_dropped(one)))}
    return {name: _figures(name, seen.get(name, _Presence()), rounds) for name in sorted(names)}


def write_report(record: RunRecord, words: str, figures: Connectivity) -> str:
    """Writes `summary.txt`: the words and the table of connectivity. Raises StorageError.

    Returns what of it is worth a terminal: the table only where something went wrong.
    """
    whole = f"{words}\n\n{connectivity_in_words(figures)}"
    write_atomically(record.summary_text_path, (whole + "\n").encode())
    return whole if is_eventful(figures) else words


def is_eventful(figures: Connectivity) -> bool:
    """Tells whether anything went wrong for anybody."""
    keys = ("losses", "reconnects", "retries", "dropped_rounds")
    return any(one[key] for one in figures.values() for key in keys)


def connectivity_in_words(figures: Connectivity) -> str:
    """Returns a table of the devices."""
    return text_table(_HEADINGS, [_row(name, one) for name, one in figures.items()], left=1)


def _presences(events: Sequence[Entry], end_s: float | None) -> dict[str, _Presence]:
    seen: dict[str, _Presence] = {}
    ordered = sorted(events, key=_time_s)
    for event in ordered:
        kind, at_s = event["event"], _time_s(event)
        if kind in _PRESENCE:
            device = seen.setdefault(str(event["device"]), _Presence())
            device.turns(kind, at_s, event.get("incarnation"))
        elif kind == "ended":
            _close(seen, at_s)
    last_s = _time_s(ordered[-1]) if ordered else 0.0
    _close(seen, last_s if end_s is None else end_s)
    return seen


def _close(seen: Mapping[str, _Presence], at_s: float) -> None:
    for one in seen.values():
        one.turns("unknown", at_s)


def _time_s(event: Entry) -> float:
    """Returns when an event was, in virtual time if it was simulated."""
    if "simulated_s" in event:
        return float(event["simulated_s"])
    return datetime.fromisoformat(event["at"]).timestamp()


def _figures(name: str, presence: _Presence, rounds: Sequence[Entry]) -> dict[str, Any]:
    parts = [one["devices"][name] for one in rounds if name in one["devices"]]
    return {
        "connected_s": presence.connected_s,
        "lost_s": presence.lost_s,
        "away_s": presence.away_s,
        "losses": presence.losses,
        "reconnects": presence.reconnects,
        "attempts": sum(part["attempt"] for part in parts),
        "retries": sum(part["attempt"] - 1 for part in parts),
        "dropped_rounds": sum(name in _dropped(one) for one in rounds),
        "waited_s": sum(_waited_s(one, name) for one in rounds),
        "up_bytes": bytes_by_round(rounds, name, "up_bytes")[-1] if parts else 0,
        "down_bytes": bytes_by_round(rounds, name, "down_bytes")[-1] if parts else 0,
    }


def _waited_s(entry: Entry, name: str) -> float:
    """Returns how long a device was the only one that a round waited for."""
    spent_s = {one: float(part["duration_s"]) for one, part in entry["devices"].items()}
    spent_s |= {one: after_s for one, after_s in _dropped(entry).items() if after_s is not None}
    own_s = spent_s.pop(name, 0.0)
    return max(0.0, own_s - max(spent_s.values())) if spent_s else 0.0


def _dropped(entry: Entry) -> dict[str, float | None]:
    """Returns the devices without which a round was closed, and when they were given up."""
    return {one["device"]: one.get("after_s") for one in entry.get("dropped", ())}


_HEADINGS = (
    "device",
    "connected",
    "lost",
    "away",
    "losses",
    "reconnects",
    "retries",
    "dropped",
    "waited for",
    "up MB",
    "down MB",
)


def _row(name: str, one: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        name,
        *(duration(one[key]) for key in ("connected_s", "lost_s", "away_s")),
        *(str(one[key]) for key in ("losses", "reconnects", "retries", "dropped_rounds")),
        duration(one["waited_s"]),
        megabytes(one["up_bytes"]),
        megabytes(one["down_bytes"]),
    )
