"""What a timeline makes of its parties, by the clock and by the round."""

from __future__ import annotations

from attrs import define, field

from coordinator.timeline import Incident
from coordinator.trial import Standing, Trial, absent_at_first, caps_mbps, perform
from runtime.emulation_spec import Emulation
from runtime.ids import COORDINATOR


@define
class Notes:
    """A stage that writes down what it is asked for."""

    lines: list[str] = field(factory=list)

    def start(self, party: str) -> None:
        self.lines.append(f"start {party}")

    def leave(self, party: str) -> None:
        self.lines.append(f"leave {party}")

    def kill(self, party: str) -> None:
        self.lines.append(f"kill {party}")

    def throttle(self, device: str, standing: Standing) -> None:
        self.lines.append(f"throttle {device} {standing.throttled}")

    def cut(self, device: str, silent: bool) -> None:
        self.lines.append(f"cut {device} {silent}")

    def slow(self, device: str, times: float) -> None:
        self.lines.append(f"slow {device} {times:g}")


def _play(trial: Trial, *moments: tuple[float, int]) -> list[list[str]]:
    """Returns what is done at each moment, a time and the newest round."""
    played = []
    for now, round in moments:
        notes = Notes()
        trial, changes = trial.advance(now, round)
        for change in changes:
            perform(change, notes)
        played.append(notes.lines)
    return played


def test_what_is_due_by_the_clock_is_done_once_and_undone() -> None:
    trial = Trial.begin([Incident("kill", "a", at_s=2.0, for_s=3.0)])
    assert trial.next_s == 2.0
    assert _play(trial, (1.9, 0), (2.1, 0), (5.0, 0), (5.2, 0)) == [
        [],
        ["kill a"],
        [],
        ["start a"],
    ]


def test_rounds_begin_and_end_it_too() -> None:
    trial = Trial.begin([Incident("slow", "a", round=3, for_rounds=2, times=4.0)])
    moments = ((0.0, 2), (1.0, 3), (2.0, 4), (3.0, 5))
    assert _play(trial, *moments) == [[], ["slow a 4"], [], ["slow a 1"]]
    assert trial.next_s is None


def test_an_incident_by_the_clock_may_last_for_rounds() -> None:
    trial = Trial.begin([Incident("cut", "a", at_s=1.0, for_rounds=2)])
    moments = ((0.0, 7), (1.0, 7), (9.0, 8), (9.5, 9))
    assert _play(trial, *moments) == [[], ["cut a True"], [], ["cut a False"]]


def test_of_overlapping_incidents_the_later_holds_and_the_earlier_comes_back() -> None:
    trial = Trial.begin(
        [
            Incident("slow", "a", at_s=0.0, for_s=10.0, times=2.0),
            Incident("slow", "a", at_s=1.0, for_s=1.0, times=8.0),
        ]
    )
    assert _play(trial, (0.0, 0), (1.0, 0), (2.0, 0), (10.0, 0)) == [
        ["slow a 2"],
        ["slow a 8"],
        ["slow a 2"],
        ["slow a 1"],
    ]


def test_devices_that_join_are_absent_at_first() -> None:
    timeline = [
        Incident("join", "new", round=2),
        Incident("leave", "old", round=2),
        Incident("join", "old", round=4),
        Incident("leave", "new", round=4),
    ]
    assert absent_at_first(timeline) == {"new"}
    assert _play(Trial.begin(timeline), (0.0, 1), (0.0, 2), (0.0, 4)) == [
        [],
        ["start new", "leave old"],
        ["start old", "leave new"],
    ]


def test_restore_undoes_everything_but_the_joining() -> None:
    trial = Trial.begin(
        [
            Incident("join", "a", at_s=0.0),
            Incident("throttle", "a", at_s=1.0, uplink_mbps=1.0),
            Incident("cut", "a", at_s=1.0),
            Incident("kill", "a", at_s=1.0),
            Incident("slow", "b", at_s=1.0, times=2.0),
            Incident("restore", "a", at_s=2.0),
        ]
    )
    played = _play(trial, (0.0, 0), (1.0, 0), (2.0, 0))
    assert played[0] == ["start a"]
    assert played[1][-2:] == ["kill a", "slow b 2"]
    assert played[2] == ["throttle a (None, None, 1.0)", "cut a False", "start a"]


def test_a_resumed_run_finds_lasting_conditions_and_no_old_accidents() -> None:
    timeline = [
        Incident("kill", "a", round=2, for_s=1.0),
        Incident("slow", "b", round=2, times=4.0),
        Incident("slow", "c", round=2, for_rounds=3, times=2.0),
        Incident("throttle", "d", round=3, for_rounds=9, uplink_mbps=2.0),
        Incident("kill", process="coordinator", round=6, for_s=1.0),
    ]
    notes = Notes()
    trial, changes = Trial.begin(timeline, opened=6).advance(0.0, 6)
    for change in changes:
        perform(change, notes)
    assert notes.lines == [
        "slow b 4",
        "slow c 2",
        "throttle d (2.0, None, 1.0)",
        f"kill {COORDINATOR}",
    ]
    trial, changes = trial.advance(0.1, 6)
    assert [(one.incident.party, one.over) for one in changes] == [("c", True)]


def test_the_record_says_what_was_done() -> None:
    incident = Incident("throttle", "a", round=5, for_rounds=8, uplink_mbps=5.0)
    _, (change,) = Trial.begin([incident]).advance(12.5, 5)
    assert change.entry(12.5, 5) == {
        "event": "trial",
        "do": "throttle",
        "device": "a",
        "over": False,
        "trial_s": 12.5,
        "round": 5,
        "uplink_mbps": 5.0,
        "for_rounds": 8,
    }


def test_a_throttle_is_never_faster_than_the_link() -> None:
    own = Emulation(uplink_mbps=20.0)
    assert caps_mbps(Standing(), own) == (None, None)
    assert caps_mbps(Standing(link_times=5.0), own) == (4.0, None)
    assert caps_mbps(Standing(uplink_mbps=5.0, downlink_mbps=1.0), own) == (5.0, 1.0)
