"""A broker, a coordinator and agents as processes of their own, which a test kills and starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
from attrs import define, field

from coordinator.broker import EmbeddedBroker
from coordinator.fleet import Fleet
from coordinator.record.run_record import read_lines
from coordinator.rehearsal.agent_file import agent_toml, write_private
from coordinator.rehearsal.partition import deal
from coordinator.timeline import BROKER
from runtime import topics
from runtime.broker_url import BrokerUrl
from runtime.config import load
from runtime.exits import Exit
from runtime.ids import COORDINATOR
from tests.rehearsals import family
from tests.trials.witness import PATIENCE_S, Witness

_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_WITH_TEST = ("--exit-with-parent",)
_POLL_S = 0.05


def digest(run: Path) -> str:
    """Returns that of the final weights of the run in a folder."""
    return str(json.loads((run / "summary.json").read_text())["final_weights_sha256"])


@define
class Site:
    """The processes of one run of the job in `folder`, nobody's children but the test's.

    They end with it, even where it is killed and can tell nobody.

    `ways` are brokers' URLs of devices that do not go straight to `broker`; `words` come in front
    of a device's command, `options` behind the coordinator's. Leaving the context
    kills all that is left.
    """

    folder: Path
    broker: EmbeddedBroker
    ways: Mapping[str, str] = field(factory=dict)
    words: Mapping[str, Sequence[str]] = field(factory=dict)
    options: Sequence[str] = ()
    name: str = "run"
    fleet: Fleet = field(init=False)
    _sources: Mapping[Any, str] = field(init=False)
    _running: dict[str, subprocess.Popen[bytes]] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.fleet = load(self.folder / "fleet.toml", Fleet)
        self._sources = deal(self.fleet, self.folder / "data")

    @property
    def run(self) -> Path:
        return self.folder / self.name

    @property
    def devices(self) -> list[str]:
        return list(self.fleet.ids)

    def witness(self) -> Witness:
        return Witness(BrokerUrl.parse(self.broker.url), topics.Fleet(self.fleet.name))

    def start_all(self) -> None:
        for party in (COORDINATOR, *self.devices):
            self.start(party)

    def start(self, party: str) -> float:
        """Starts a device's agent, the coordinator or the broker; returns the time of day."""
        began_s = time.time()
        if party == BROKER:
            self.broker.start()
            return began_s
        command = self._coordinator() if party == COORDINATOR else self._agent(party)
        with (self.folder / f"{self.name}-{party}.log").open("ab") as log:
            self._running[party] = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **_ONE_THREAD},
            )
        return began_s

    def kill(self, party: str) -> None:
        """Ends it by SIGKILL."""
        if party == BROKER:
            self.broker.kill()
        else:
            with self._running.pop(party) as process:
                process.kill()

    def leave(self, party: str) -> None:
        """Asks it to end, and waits until it has."""
        self._running[party].terminate()
        self._await_end(party, PATIENCE_S)

    def cut_power(self) -> None:
        """Kills everybody before anybody notices."""
        for process in self._running.values():
            process.kill()
        for party in list(self._running):
            self.kill(party)
        self.kill(BROKER)

    def wait(self, patience_s: float) -> None:
        """Waits until the coordinator has done its job, and ends the agents in order."""
        self._await_end(COORDINATOR, patience_s)
        for process in self._running.values():
            process.terminate()
        # Asked once: a signal in the last moments of the interpreter would kill it.
        for device in list(self._running):
            self._await_end(device, patience_s)

    def log(self, party: str) -> str:
        return (self.folder / f"{self.name}-{party}.log").read_text()[-4000:]

    @property
    def is_over(self) -> bool:
        return self._running[COORDINATOR].poll() is not None

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [one for one in read_lines(self.run / "events.jsonl") if one["event"] == kind]

    def rounds(self) -> list[dict[str, Any]]:
        return read_lines(self.run / "rounds.jsonl")

    def await_event(self, kind: str, since_s: float, patience_s: float, **facts: Any) -> float:
        """Waits for an event that is later than a time of day; returns its own time of day."""
        deadline_s = time.monotonic() + patience_s
        while time.monotonic() < deadline_s:
            for one in self.events(kind):
                at_s = datetime.fromisoformat(one["at"]).timestamp()
                if at_s >= since_s and facts.items() <= one.items():
                    return at_s
            time.sleep(_POLL_S)
        raise AssertionError(f"no {kind} {facts} within {patience_s} s: {self.log(COORDINATOR)}")

    def await_rounds(self, count: int) -> None:
        """Waits until so many rounds are closed."""
        deadline_s = time.monotonic() + PATIENCE_S
        while len(self.rounds()) < count:
            assert time.monotonic() < deadline_s, self.log(COORDINATOR)
            time.sleep(_POLL_S)

    def digest(self) -> str:
        return digest(self.run)

    def family(self) -> list[psutil.Process]:
        return family(self.folder)

    def __enter__(self) -> Site:
        self.broker.start()
        return self

    def __exit__(self, *_: object) -> None:
        for party in list(self._running):
            self.kill(party)
        self.broker.stop()

    def _await_end(self, party: str, patience_s: float) -> None:
        with self._running.pop(party) as process:
            code = process.wait(patience_s)
        assert code == Exit.OK, f"{party} ended with {code}: {self.log(party)}"

    def _coordinator(self) -> list[str]:
        command = [sys.executable, "-P", "-m", "coordinator.main", "coordinator"]
        command += [str(self.folder / "job.toml"), "--broker", self.broker.url, *_WITH_TEST]
        # One that was killed before it put anything on record begins anew.
        goes_on = any(self.run.glob("*.jsonl"))
        return [*command, "--resume" if goes_on else "--run-dir", str(self.run), *self.options]

    def _agent(self, device: str) -> list[str]:
        home = self.folder / f"{self.name}-{device}"
        path = home / "agent.toml"
        if not path.exists():
            text = agent_toml(
                self.fleet.device(device),
                fleet=self.fleet.name,
                broker=self.ways.get(device, self.broker.url),
                source=self._sources[device],
                state_dir=home / "state",
            )
            write_private(path, text)
        command = [sys.executable, "-P", "-m", "device_agent.main", "--config", str(path)]
        return [*self.words.get(device, ()), *command, *_WITH_TEST]
