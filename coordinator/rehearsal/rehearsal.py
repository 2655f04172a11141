"""A rehearsal: the real coordinator and one real agent for every board, on one machine.

Nothing is simulated but the boards' speed and links, which each agent emulates by itself. All
that a rehearsal makes lies in the folder of its run:

    agents/<device>.log, agents/<device>/{agent.toml,state/}, broker/, data/<device>.npz
"""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from attrs import frozen

from coordinator.broker import EmbeddedBroker
from coordinator.fleet import Fleet
from coordinator.job import Job
from coordinator.record.run_record import RunRecord
from coordinator.rehearsal.agent_file import agent_toml, write_private
from coordinator.rehearsal.crew import Child, Crew
from coordinator.rehearsal.partition import deal
from coordinator.rehearsal.shared_link import shared_link
from runtime.broker_url import BrokerUrl
from runtime.exits import Exit


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

    Belongs on the main thread: SIGTERM is turned into KeyboardInterrupt. An agent that ends
    before the coordinator ends the rehearsal. Raises EdgeSplitError for what keeps it from
    starting, KeyboardInterrupt when it is asked to stop.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = staging.folder(job)
    sources = deal(fleet, folder / "data")
    with (
        _broker(staging.broker, folder / "broker") as broker,
        shared_link(fleet.shared, broker) as coordinators_broker,
        Crew() as crew,
    ):
        coordinator = _start_coordinator(crew, job, staging, folder, coordinators_broker)
        for device_id in fleet.ids:
            home = folder / "agents" / device_id
            text = agent_toml(
                fleet.device(device_id),
                fleet=fleet.name,
                broker=broker,
                source=sources[device_id],
                state_dir=home / "state",
            )
            write_private(home / "agent.toml", text)
            _start_agent(crew, device_id, staging, home)
        deserters = crew.wait_for(coordinator)
    for child in deserters:
        sys.stderr.write(_obituary(child) + "\n")
    if staging.resume is None:
        sys.stdout.write(f"the run is {staging.runs / 'latest'}\n")
    return Exit.CHILD if deserters else _verdict(coordinator)


@contextlib.contextmanager
def _broker(broker: str, folder: Path) -> Iterator[str]:
    """Yields the URL of a broker that is there, or of one that lives as long as the context."""
    match broker:
        case "iotcore" | "mosquitto" as kind:
            with EmbeddedBroker(kind, folder) as embedded:
                yield _without_password(embedded.url, folder / "password")
        case _:
            yield broker


def _without_password(url: str, path: Path) -> str:
    """Moves the password into a file: a command line can be read by everybody."""
    parsed = BrokerUrl.parse(url)
    write_private(path, parsed.password or "")
    return f"{parsed}?password_file={quote(str(path))}"


def _start_coordinator(crew: Crew, job: Job, staging: Staging, folder: Path, broker: str) -> Child:
    job_path, fleet_path = staging.files
    # -P: the folder we stand in must not hide an installed package.
    command = [sys.executable, "-P", "-m", "coordinator.main", "coordinator", str(job_path)]
    command += ["--fleet", str(fleet_path), "--broker", broker]
    command += ["--resume" if staging.resume else "--run-dir", str(folder)]
    command += ["--exit-with-parent", *staging.overrides]
    return crew.start("coordinator", command, log=None, threads=job.server.threads_per_worker)


def _start_agent(crew: Crew, device: str, staging: Staging, home: Path) -> None:
    command = [str(staging.agent_python), "-P", "-m", "device_agent.main"]
    command += ["--config", str(home / "agent.toml"), "--exit-with-parent"]
    crew.start(f"agent {device}", command, log=home.with_name(f"{home.name}.log"))


def _obituary(child: Child) -> str:
    tail = child.log_tail().replace("\n", "\n  ")
    return f"{child.name} ended too soon, with {_told(child)}; end of {child.log}:\n  {tail}"


def _verdict(coordinator: Child) -> Exit:
    """Returns the coordinator's own exit code where it is one of ours."""
    for code in Exit:
        if code == coordinator.code:
            return code
    sys.stderr.write(f"the coordinator ended with {_told(coordinator)}\n")
    return Exit.CHILD


def _told(child: Child) -> str:
    code = child.code or 0
    if code < 0:
        return f"signal {signal.Signals(-code).name}"
    known = {one.value: f" ({one.sentence})" for one in Exit}
    return f"exit code {code}{known.get(code, '')}"
