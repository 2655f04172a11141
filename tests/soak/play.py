"""Plays a soak: real processes, the stream's incidents, and a look around every second."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from coordinator.fleet import Fleet
from coordinator.job import Job
from coordinator.rehearsal.company import Company
from coordinator.rehearsal.rehearsal import Staging, assemble
from coordinator.rehearsal.round_watch import RoundWatch
from coordinator.trial import Trial, perform
from runtime.config import load_pair
from runtime.errors import EdgeSplitError
from runtime.ids import COORDINATOR
from tests.soak.incidents import Stream, stream
from tests.soak.scene import DEVICES, Lost, write_scene
from tests.soak.watcher import Watcher

_LOOK_S = 1.0
_POLL_S = 0.05


@frozen
class Soak:
    """What is to be played. `agent_python` runs the agents; `broker` as `edgesplit rehearse`."""

    folder: Path
    seconds: float
    seed: int
    lost: Lost
    broker: str
    agent_python: Path


@frozen
class Played:
    """What came of it; `ended_early` says why, where the play did not last its time."""

    soak: Soak
    incidents: Stream
    watcher: Watcher
    ended_early: str | None


def play(soak: Soak) -> Played:
    """Plays a soak in a new folder to its end; nothing that it started outlives it."""
    soak.folder.mkdir(parents=True)
    incidents = stream(soak.seconds, soak.seed)
    job_path = write_scene(soak.folder, incidents.timeline, soak.lost)
    job, fleet = load_pair((job_path, Job), (job_path.with_name("fleet.toml"), Fleet))
    staging = Staging(
        (job_path, job_path.with_name("fleet.toml")),
        (),
        soak.broker,
        soak.agent_python,
        soak.folder / "runs",
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    run = staging.folder(job)
    with _scratch(soak.folder / "scratch") as scratch, assemble(job, fleet, staging, run) as cast:
        watcher = Watcher(run, scratch, soak.folder / "samples.jsonl")
        reason = _Player(soak, incidents, cast, watcher, RoundWatch(run / "plans.jsonl")).play()
    return Played(soak, incidents, watcher, reason)


class _Player:
    def __init__(
        self,
        soak: Soak,
        incidents: Stream,
        company: Company,
        watcher: Watcher,
        rounds: RoundWatch,
    ) -> None:
        self._soak = soak
        self._company = company
        self._watcher = watcher
        self._rounds = rounds
        self._trial = Trial.begin(incidents.timeline)
        self._blows = list(incidents.blows)
        self._look_at_s = 0.0

    def play(self) -> str | None:
        """Plays until the time is over; returns why it could not, None where it could."""
        began_s = time.monotonic()
        for party in (COORDINATOR, *DEVICES):
            if self._trial.standing(party).running:
                self._company.start(party)
        while (now_s := time.monotonic() - began_s) < self._soak.seconds:
            self._strike(now_s)
            if reason := self._trouble():
                return reason
            if now_s >= self._look_at_s:
                self._watcher.look(now_s)
                self._look_at_s += _LOOK_S
            time.sleep(_POLL_S)
        return None

    def _strike(self, now_s: float) -> None:
        self._trial, changes = self._trial.advance(now_s, self._rounds.newest())
        for change in changes:
            perform(change, self._company)
            self._company.note(change.entry(now_s, self._trial.round))
        while self._blows and self._blows[0].at_s <= now_s:
            blow = self._blows.pop(0)
            link = self._company.links[blow.device]
            if blow.do == "reset":
                link.reset()
            else:
                link.half_open()
            self._company.note({"event": "blow", "device": blow.device, "do": blow.do})

    def _trouble(self) -> str | None:
        """Has rescued who died by itself, and says who is beyond that."""
        try:
            lost = self._company.rescue()
        except EdgeSplitError as error:
            return str(error)
        if lost:
            return f"{lost[0].name} ended with {lost[0].told}: {lost[0].log_tail()}"
        if ended := self._company.coordinator:
            return f"the coordinator ended by itself, with {ended.told}"
        return None


@contextlib.contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """Makes a folder the place for temporary files, ours and those of all that we start."""
    folder.mkdir()
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"], tempfile.tempdir = str(folder), None
    try:
        yield folder
    finally:
        tempfile.tempdir = None
        if before is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = before
