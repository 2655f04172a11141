"""Starting a broker as a child that cannot outlive us, and proving that it is ours."""

from __future__ import annotations

import importlib.util
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal

from coordinator.broker import probe
from coordinator.broker.settings import Login, write_iotcore, write_mosquitto
from runtime.errors import BrokerError

Kind = Literal["iotcore", "mosquitto"]

# Below the range that the kernel hands out, so that no client's port gets in between.
_PORTS = range(20_000, 32_000)
_TRIES = 5
_READY_S = 10.0
_STOP_S = 5.0
_POLL_S = 0.01
_LOG_TAIL_BYTES = 2_000
_SUPERVISOR = Path(__file__).with_name("supervisor.py")


class EmbeddedBroker:
    """A broker on 127.0.0.1 with one random login, alive while the context is entered.

    "iotcore" comes with pip and checks neither certificates nor topics: it is for rehearsals on
    one machine. "mosquitto" must be installed. The configuration and the log lie in `work_dir`;
    `extra` lines go into mosquitto's configuration and win over our limits; a fixed `port` is
    used as it is. Entering raises BrokerError, with the end of the log, when no broker comes up.
    """

    def __init__(
        self,
        kind: Kind,
        work_dir: Path,
        *,
        extra: Sequence[str] = (),
        port: int | None = None,
    ) -> None:
        self.kind: Kind = kind
        self.port = port or 0
        self.log_path = work_dir / f"{kind}.log"
        self._work_dir = work_dir
        self._extra = tuple(extra)
        self._fixed_port = port
        self._login = Login()
        self._supervisor: subprocess.Popen[bytes] | None = None

    @staticmethod
    def require(kind: Kind) -> None:
        """Raises BrokerError, saying what to install, where this kind cannot be started."""
        _program(kind)

    @property
    def url(self) -> str:
        """The broker's URL with its login, for `BrokerUrl.parse`."""
        return f"mqtt://{self._login.user}:{self._login.password}@127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The supervisor's process id; the broker is that process or its only child."""
        if self._supervisor is None:
            raise BrokerError("the embedded broker is not running")
        return self._supervisor.pid

    @property
    def is_running(self) -> bool:
        """Whether the broker has been started and has not ended since."""
        return self._supervisor is not None and self._supervisor.poll() is None

    def start(self) -> None:
        """Starts the broker and waits until it is ready; on the same port after a `kill`."""
        if self._supervisor is not None:
            return
        program = _program(self.kind)
        self._work_dir.mkdir(parents=True, exist_ok=True)
        # A broker that comes back after `kill` keeps its port and login: its clients know them.
        fixed = self._fixed_port or self.port
        ports = [fixed] * _TRIES if fixed else random.sample(_PORTS, _TRIES)
        for port in ports:
            if _free(port) and self._start_on(port, program):
                self.port = port
                return
        tried = ", ".join(map(str, sorted(set(ports))))
        raise BrokerError(
            f"the embedded {self.kind} broker did not start (ports tried: {tried}); "
            f"end of {self.log_path}:\n{self._log_tail()}"
        )

    def stop(self) -> None:
        """Ends the broker in an orderly way and waits for its process. Idempotent."""
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is None:
            return
        _close_stdin(supervisor)
        try:
            supervisor.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            supervisor.kill()
            supervisor.wait()

    def kill(self) -> None:
        """Ends the broker as a crash would: nothing is sent and nothing is saved.

        mosquitto dies with its supervisor, by the kernel's signal; `start` brings a new broker up
        on the same port.
        """
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is None:
            return
        supervisor.kill()
        supervisor.wait()
        _close_stdin(supervisor)
        _await_free(self.port)

    def __enter__(self) -> EmbeddedBroker:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _start_on(self, port: int, program: str) -> bool:
        config = self._write_config(port)
        command = [sys.executable, "-P", str(_SUPERVISOR), program, str(config), str(os.getpid())]
        with self.log_path.open("ab") as log:
            self._supervisor = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        if self._ready(self._supervisor, port):
            return True
        self.stop()
        return False

    def _write_config(self, port: int) -> Path:
        if self.kind == "mosquitto":
            return write_mosquitto(self._work_dir, port, self._login, self._extra)
        return write_iotcore(self._work_dir, port, self._login)

    def _ready(self, supervisor: subprocess.Popen[bytes], port: int) -> bool:
        deadline_s = time.monotonic() + _READY_S
        while supervisor.poll() is None and time.monotonic() < deadline_s:
            if self._is_ours(port):
                return supervisor.poll() is None
            time.sleep(_POLL_S)
        return False

    def _is_ours(self, port: int) -> bool:
        # A stranger's broker takes any login or none: only ours takes the right one alone.
        user, password = self._login.user, self._login.password
        try:
            return probe.accepts(port, user, password) and not probe.accepts(port, user, "wrong")
        except OSError:
            return False

    def _log_tail(self) -> str:
        if not self.log_path.exists():
            return "(the port was taken before the broker was started)"
        return self.log_path.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace").strip()


def _program(kind: Kind) -> str:
    if kind == "iotcore":
        if importlib.util.find_spec("iotcore") is None:
            raise BrokerError("iotcore is not installed; run: pip install 'edgesplit[rehearse]'")
        return kind
    path = os.environ.get("PATH", os.defpath) + os.pathsep + "/usr/sbin:/usr/local/sbin"
    found = shutil.which("mosquitto", path=path)
    if found is None:
        raise BrokerError("mosquitto is not installed; run: apt install mosquitto")
    return found


def _free(port: int) -> bool:
    with socket.socket() as probe_socket:
        probe_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe_socket.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _await_free(port: int) -> None:
    deadline_s = time.monotonic() + _STOP_S
    while not _free(port) and time.monotonic() < deadline_s:
        time.sleep(_POLL_S)


def _close_stdin(supervisor: subprocess.Popen[bytes]) -> None:
    if supervisor.stdin is not None:
        supervisor.stdin.close()
