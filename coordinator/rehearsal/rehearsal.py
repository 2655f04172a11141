"""A rehearsal: the real coordinator and one real agent for every board, on one machine.

Nothing is simulated but the boards' speed and links, which each agent emulates by itself, and what
the fleet's timeline does to them. All that a rehearsal makes lies in the folder of its run:

    agents/<device>.log, agents/<device>/{agent.toml,state/}, broker/, data/<device>.npz
"""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from attrs import frozen

from coordinator.broker import EmbeddedBroker
from coordinator.fleet import Fleet
from coordinator.job import Job
from coordinator.record.run_record import RunRecord
from coordinator.rehearsal.agent_file import agent_toml, write_private
from coordinator.rehearsal.company import Company, Role
from coordinator.rehearsal.crew import Child, Crew
from coordinator.rehearsal.link_proxy import LinkProxy
from coordinator.rehearsal.partition import deal
from coordinator.rehearsal.round_watch import RoundWatch
from coordinator.rehearsal.shared_link import shared_link
from coordinator.trial import Trial, perform
from runtime.broker_url import BrokerUrl
from runtime.config import refuse
from runtime.errors import Problem
from runtime.exits import Exit
from runtime.ids import COORDINATOR

_OURS = ("iotcore", "mosquitto")
_OF_LINKS = ("throttle", "cut")
_POLL_S = 0.05


@frozen
class Staging:
    """What to rehearse with.

    `files` are the job and the fleet file, `overrides` options that the coordinator takes beside
    them; `broker` is "iotcore", "mosquitto" or a URL; `agent_python` runs the agents. The run is
    kept in a new folder in `runs`, unless it goes on with the one in `resume`.
    """

    files: tuple[Path, Path]
    overrides: Sequence[str]
    broker: str
    agent_python: Path
    runs: Path
    resume: Path | None = None

    def folder(self, job: Job) -> Path:
        """Returns the folder of the run, made if it is new. Raises StorageError."""
        if self.resume is not None:
            return RunRecord.reopen(self.resume).folder
        return RunRecord.create(self.runs, job.name).folder.resolve()


def rehearse(job: Job, fleet: Fleet, staging: Staging) -> Exit:
    """Runs a job on an emulated fleet to its end; nothing that it started outlives it.

    The fleet's timeline is played on the way. What dies without being asked to is started again;
    where that does not help, the rehearsal ends. Belongs on the main thread: SIGTERM is turned
    into KeyboardInterrupt. Raises EdgeSplitError for what keeps it from starting,
    KeyboardInterrupt when it is asked to stop.
    """
    refuse(_unplayable(fleet, staging))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = staging.folder(job)
    with assemble(job, fleet, staging, folder) as company:
        lost = _play(company, fleet, RoundWatch(folder / "plans.jsonl"))
    for child in lost:
        sys.stderr.write(_obituary(child) + "\n")
    if staging.resume is None:
        sys.stdout.write(f"the run is {staging.runs / 'latest'}\n")
    ended = company.coordinator
    return Exit.CHILD if lost or ended is None else _verdict(ended)


@contextlib.contextmanager
def assemble(job: Job, fleet: Fleet, staging: Staging, folder: Path) -> Iterator[Company]:
    """Yields all parties of a rehearsal, of whom only the broker runs yet; none outlives it.

    Devices whose link the timeline touches are behind a proxy. Raises EdgeSplitError for what
    keeps it from starting.
    """
    sources = deal(fleet, folder / "data")
    with contextlib.ExitStack() as stack:
        url, broker = stack.enter_context(_broker(staging.broker, folder / "broker"))
        links: dict[str, LinkProxy] = {
            device: stack.enter_context(_link(url))
            for device in fleet.ids
            if any(one.device == device and one.do in _OF_LINKS for one in fleet.timeline)
        }
        shared = stack.enter_context(shared_link(fleet.shared, url))
        crew = stack.enter_context(Crew())
        roles: dict[str, Role] = {COORDINATOR: _coordinator(job, staging, folder, shared)}
        for device in fleet.ids:
            home = folder / "agents" / device
            via = links[device].via(url) if device in links else url
            text = agent_toml(
                fleet.device(device),
                fleet=fleet.name,
                broker=via,
                source=sources[device],
                state_dir=home / "state",
            )
            write_private(home / "agent.toml", text)
            roles[device] = _agent(device, staging, home)
        yield Company(crew, fleet, roles, links, broker)


def _play(company: Company, fleet: Fleet, rounds: RoundWatch) -> list[Child]:
    """Plays the timeline until the coordinator ends, or returns whom nothing could save."""
    began_s = time.monotonic()
    trial = Trial.begin(fleet.timeline, rounds.newest())
    for party in (COORDINATOR, *fleet.ids):
        if trial.standing(party).running:
            company.start(party)
    while company.coordinator is None:
        now_s = time.monotonic() - began_s
        trial, changes = trial.advance(now_s, rounds.newest())
        for change in changes:
            perform(change, company)
            company.note(change.entry(now_s, trial.round))
        if lost := company.rescue():
            return lost
        time.sleep(_POLL_S)
    return []


def _unplayable(fleet: Fleet, staging: Staging) -> Iterator[Problem]:
    """Yields what of the timeline is out of our reach, because the broker is somebody else's."""
    if staging.broker in _OURS:
        return
    for number, one in enumerate(fleet.timeline):
        key = f"timeline[{number}]"
        if one.process == "broker":
            message = "the broker is not ours to kill"
        elif one.do in _OF_LINKS and not staging.broker.startswith("mqtt://"):
            message = "a link can only be touched on its way to an mqtt:// broker"
        else:
            continue
        fix = "remove the entry, or leave --broker out"
        yield Problem(str(staging.files[1]), key, message, fix)


@contextlib.contextmanager
def _broker(broker: str, folder: Path) -> Iterator[tuple[str, EmbeddedBroker | None]]:
    """Yields the URL of a broker that is there, or of one that lives as long as the context."""
    match broker:
        case "iotcore" | "mosquitto" as kind:
            with EmbeddedBroker(kind, folder) as embedded:
                yield _without_password(embedded.url, folder / "password"), embedded
        case _:
            yield broker, None


def _link(broker: str) -> LinkProxy:
    url = BrokerUrl.parse(broker)
    return LinkProxy(url.port, target_host=url.host)


def _without_password(url: str, path: Path) -> str:
    """Moves the password into a file: a command line can be read by everybody."""
    parsed = BrokerUrl.parse(url)
    write_private(path, parsed.password or "")
    return f"{parsed}?password_file={quote(str(path))}"


def _coordinator(job: Job, staging: Staging, folder: Path, broker: str) -> Role:
    job_path, fleet_path = staging.files

    def command() -> list[str]:
        # -P: the folder we stand in must not hide an installed package.
        words = [sys.executable, "-P", "-m", "coordinator.main", "coordinator", str(job_path)]
        words += ["--fleet", str(fleet_path), "--broker", broker]
        # One that is started again goes on, unless its predecessor died before it began.
        goes_on = staging.resume is not None or any(folder.glob("*.jsonl"))
        words += ["--resume" if goes_on else "--run-dir", str(folder)]
        return [*words, "--exit-with-parent", *staging.overrides]

    return Role("coordinator", command, threads=job.server.threads_per_worker)


def _agent(device: str, staging: Staging, home: Path) -> Role:
    command = [str(staging.agent_python), "-P", "-m", "device_agent.main"]
    command += ["--config", str(home / "agent.toml"), "--exit-with-parent"]
    return Role(f"agent {device}", lambda: command, home.with_name(f"{home.name}.log"))


def _obituary(child: Child) -> str:
    tail = child.log_tail().replace("\n", "\n  ")
    return f"{child.name} ended too soon, with {child.told}; end of {child.log}:\n  {tail}"


def _verdict(coordinator: Child) -> Exit:
    """Returns the coordinator's own exit code where it is one of ours."""
    for code in Exit:
        if code == coordinator.code:
            return code
    sys.stderr.write(f"the coordinator ended with {coordinator.told}\n")
    return Exit.CHILD
