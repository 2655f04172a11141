"""How far a run has come, told by its records: the pure core of what an operator watches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs
from attrs import frozen

from coordinator.record.byte_count import ByteCount
from coordinator.record.run_record import Entry
from coordinator.record.summary import codecs, duration, megabytes

_RECENT_ROUNDS = 5
"""As many rounds foretell the time that remains."""

_PRESENCE = {
    **{one: one for one in ("online", "lost", "left", "leaving", "refused", "profiling")},
    "device dropped": "dropped",
}
"""What an event about a device makes of its state."""


@frozen
class DeviceRow:
    """What is known of one device. Empty strings stand for what is not known yet.

    `round_s` is the device's time in the last closed round, `planned_s` what was foretold of it.
    """

    up: ByteCount
    down: ByteCount
    state: str = "awaited"
    cut: str = ""
    codec: str = ""
    round_s: float | None = None
    planned_s: float | None = None
    step_s: float | None = None
    train_loss: float | None = None

    @classmethod
    def of(cls, device: str) -> DeviceRow:
        return cls(ByteCount(device, "up_bytes"), ByteCount(device, "down_bytes"))

    def after(self, entry: Entry) -> DeviceRow:
        """Returns the row after a closed round, in which the device may have had no part."""
        row = attrs.evolve(self, up=self.up.after(entry), down=self.down.after(entry))
        part = entry["devices"].get(self.up.device)
        if part is None:
            return row
        return attrs.evolve(
            row,
            round_s=part["duration_s"],
            planned_s=part.get("predicted_s"),
            step_s=part["step"]["p50_s"],
            train_loss=part["train_loss"],
        )

    def planned(self, part: Entry) -> DeviceRow:
        """Returns the row when a round is planned, of which `part` is the device's."""
        row = attrs.evolve(self, state="training", cut=part["cut"], codec=codecs(part))
        if self.round_s is not None or "predicted" not in part:
            return row
        return attrs.evolve(row, planned_s=sum(part["predicted"].values()))


@frozen
class Progress:
    """A run in the middle: `done` of `rounds` are closed."""

    rounds: int
    rows: Mapping[str, DeviceRow]
    done: int = 0
    accuracy: float | None = None
    loss: float | None = None
    train_loss: float | None = None
    durations_s: tuple[float, ...] = ()
    foretold_s: float | None = None
    """What was foretold of the last closed round."""

    @classmethod
    def begin(cls, devices: Iterable[str], rounds: int, past: Iterable[Entry] = ()) -> Progress:
        """Returns the progress of a new run, or of one that has `past` rounds behind it."""
        progress = cls(rounds, {one: DeviceRow.of(one) for one in devices})
        for entry in past:
            progress = progress.after("rounds", entry)
        return progress

    def after(self, stream: str, entry: Entry) -> Progress:
        """Returns the progress after one more record of any stream."""
        match stream:
            case "plans":
                return self._planned(entry)
            case "rounds":
                return self._closed(entry)
            case "events":
                return self._happened(entry)
        return self

    @property
    def remaining_s(self) -> float | None:
        """How long the rounds to come will take, if they take as long as the last few."""
        if not self.durations_s:
            return None
        return (self.rounds - self.done) * sum(self.durations_s) / len(self.durations_s)

    def _planned(self, plan: Entry) -> Progress:
        rows = dict(self.rows)
        for part in plan["assignments"]:
            row = rows.get(part["device"], DeviceRow.of(part["device"]))
            rows[part["device"]] = row.planned(part)
        return attrs.evolve(self, rows=rows)

    def _closed(self, entry: Entry) -> Progress:
        rows = {device: row.after(entry) for device, row in self.rows.items()}
        if entry["round"] >= self.rounds:
            rows = {device: attrs.evolve(row, state="done") for device, row in rows.items()}
        return attrs.evolve(
            self,
            rows=rows,
            done=entry["round"],
            accuracy=entry["accuracy"],
            loss=entry["loss"],
            train_loss=entry["train_loss"],
            durations_s=(*self.durations_s, entry["duration_s"])[-_RECENT_ROUNDS:],
            foretold_s=entry.get("predicted_s"),
        )

    def _happened(self, event: Entry) -> Progress:
        device, state = str(event.get("device")), _PRESENCE.get(str(event["event"]))
        if device not in self.rows or state is None:
            return self
        row = self.rows[device]
        if state == "online" and row.cut:
            state = "training"
        return attrs.evolve(self, rows={**self.rows, device: attrs.evolve(row, state=state)})


def headline(progress: Progress) -> str:
    """Returns the run's state in one line, without what is not known yet."""
    words = [f"round {progress.done}/{progress.rounds}"]
    for name, value, style in (
        ("accuracy", progress.accuracy, ".2%"),
        ("loss", progress.loss, ".4f"),
        ("training loss", progress.train_loss, ".4f"),
    ):
        words += [] if value is None else [f"{name} {value:{style}}"]
    return "  ".join(words)


def comparison(progress: Progress) -> str:
    """Returns the last round's time beside the one foretold; empty where there is none."""
    if progress.foretold_s is None:
        return ""
    return f"round took {progress.durations_s[-1]:.2f} s, foretold {progress.foretold_s:.2f} s"


def outlook(progress: Progress) -> str:
    """Returns how long the rest will take, in words; empty where that is not known."""
    if progress.remaining_s is None or progress.done >= progress.rounds:
        return ""
    return f"about {duration(progress.remaining_s)} to go"


def traffic(progress: Progress) -> str:
    """Returns the bytes of all devices so far."""
    up = sum(row.up.total_bytes for row in progress.rows.values())
    down = sum(row.down.total_bytes for row in progress.rows.values())
    return f"up {megabytes(up)} MB  down {megabytes(down)} MB"


def news(event: Mapping[str, Any]) -> str | None:
    """Returns an event as a line for the operator, None if it is of no importance."""
    device, reason = event.get("device"), _printable(str(event.get("reason")))
    match event["event"]:
        case "online" | "lost" | "left" | "leaving" as status:
            return f"{device}: {status}"
        case "device dropped":
            return f"{device}: dropped from round {event['round']}: {reason}"
        case "flapping":
            return f"{device}: lost too often; left out for {event['rests_for_s']:.0f} s"
        case "contested":
            return f"{device or 'coordinator'}: contested: {reason}"
        case "round made again":
            return f"round {event['round']}: nothing is left of it; it is made again"
        case "refused" | "attempt failed" | "probe failed" as what:
            return f"{device}: {what}: {reason}"
        case "trial":
            return f"trial: {_named(event)}: {_incident(event)}"
        case "restarted":
            count = f"{event.get('count')} of {event.get('most')}"
            return f"{_named(event)}: {reason}; started again ({count})"
        case "link up":
            return "connected to the broker"
        case "link down":
            return f"no connection to the broker: {reason}; trying again"
    return None


def _named(event: Mapping[str, Any]) -> str:
    """Returns who it happened to: a device, or a process of the rehearsal."""
    return str(event.get("device") or f"the {event.get('process')}")


def _incident(event: Mapping[str, Any]) -> str:
    """Returns what a timeline has done, as "throttle, uplink 5 Mbit/s, for 8 rounds"."""
    words = [str(event["do"])]
    if event.get("over"):
        return f"{words[0]} is over"
    for key, form in _FIGURES.items():
        words += [form.format(event[key])] if key in event else []
    return ", ".join(words)


_FIGURES = {
    "uplink_mbps": "uplink {:g} Mbit/s",
    "downlink_mbps": "downlink {:g} Mbit/s",
    "times": "{:g} times slower",
    "for_s": "for {:g} s",
    "for_rounds": "for {} rounds",
}


def _printable(text: str) -> str:
    """Takes the sting out of what came from the network: no control codes reach the terminal."""
    return "".join(one if one.isprintable() else "?" for one in text)
