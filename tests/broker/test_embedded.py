"""The embedded broker ends with whoever started it, and is never mistaken for another."""

from __future__ import annotations

import importlib.util
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from coordinator.broker import EmbeddedBroker, embedded, probe
from coordinator.broker.embedded import Kind
from runtime.broker_url import BrokerUrl
from runtime.errors import BrokerError
from tests.brokers import require

_PARENT = """
import multiprocessing, sys, time
from pathlib import Path
from coordinator.broker import EmbeddedBroker

broker = EmbeddedBroker(sys.argv[1], Path(sys.argv[2]))
broker.start()
if sys.argv[3] == "forked":
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    child.start()
    print(child.pid, end=" ")
else:
    print(0, end=" ")
print(broker.pid, flush=True)
time.sleep(60)
"""


def _processes(pid: int) -> list[psutil.Process]:
    supervisor = psutil.Process(pid)
    return [supervisor, *supervisor.children(recursive=True)]


def _gone(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _wait_until(predicate: Callable[[], bool], within_s: float = 5.0) -> None:
    deadline_s = time.monotonic() + within_s
    while not predicate():
        assert time.monotonic() < deadline_s, "it has not come about"
        time.sleep(0.01)


def _accepts(broker: EmbeddedBroker, password: str | None = None) -> bool:
    url = BrokerUrl.parse(broker.url)
    assert url.user is not None
    assert url.password is not None
    return probe.accepts(broker.port, url.user, password or url.password)


def test_it_takes_its_own_login_alone_and_only_on_loopback(broker: EmbeddedBroker) -> None:
    assert _accepts(broker)
    assert not _accepts(broker, "another")
    listening = [
        connection.laddr.ip
        for process in _processes(broker.pid)
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening == ["127.0.0.1"]


def test_stop_leaves_no_process_and_no_port(kind: Kind, tmp_path: Path) -> None:
    with EmbeddedBroker(kind, tmp_path) as broker:
        processes = _processes(broker.pid)
        assert len(processes) == (2 if kind == "mosquitto" else 1)
    assert all(_gone(process) for process in processes)
    with socket.create_server(("127.0.0.1", broker.port)):
        broker.stop()


def test_it_comes_back_on_its_port_after_a_crash(broker: EmbeddedBroker) -> None:
    url, processes = broker.url, _processes(broker.pid)
    broker.kill()
    _wait_until(lambda: all(_gone(process) for process in processes))
    with pytest.raises(BrokerError, match="not running"):
        _ = broker.pid
    broker.start()
    assert broker.url == url
    assert _accepts(broker)


@pytest.mark.parametrize("children", ["alone", "forked"])
def test_it_dies_with_a_parent_that_was_killed(kind: Kind, tmp_path: Path, children: str) -> None:
    command = [sys.executable, "-c", _PARENT, kind, str(tmp_path), children]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout:
        child, pid = map(int, parent.stdout.readline().split())
    processes = _processes(pid)
    parent.kill()
    parent.wait()
    try:
        _wait_until(lambda: all(_gone(process) for process in processes))
        assert child == 0 or not _gone(psutil.Process(child))
    finally:
        if child:
            os.kill(child, signal.SIGKILL)


@pytest.mark.broker
def test_mosquitto_dies_with_its_supervisor(tmp_path: Path) -> None:
    require("mosquitto")
    with EmbeddedBroker("mosquitto", tmp_path) as broker:
        processes = _processes(broker.pid)
        os.kill(broker.pid, signal.SIGKILL)
        _wait_until(lambda: all(_gone(process) for process in processes))


def test_an_interrupt_from_the_keyboard_is_not_for_it(broker: EmbeddedBroker) -> None:
    assert os.getsid(broker.pid) != os.getsid(0)
    os.kill(broker.pid, signal.SIGINT)
    assert _accepts(broker)


def test_it_outlives_the_thread_that_started_it(kind: Kind, tmp_path: Path) -> None:
    broker = EmbeddedBroker(kind, tmp_path)
    thread = threading.Thread(target=broker.start)
    thread.start()
    thread.join()
    try:
        assert _accepts(broker)
    finally:
        broker.stop()


def test_a_busy_port_is_passed_over(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = _free_port()
    with socket.create_server(("127.0.0.1", 0)) as busy:
        # The port is taken between the look at it and the broker's start.
        monkeypatch.setattr(embedded, "_free", lambda port: True)
        ports = [busy.getsockname()[1], free]
        monkeypatch.setattr(random, "sample", lambda *_: ports)
        monkeypatch.setattr(probe, "accepts", _quick(probe.accepts))
        with EmbeddedBroker(kind, tmp_path) as broker:
            assert broker.port == free


def test_a_broker_of_a_stranger_is_not_taken_for_ours(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_free", lambda port: True)
    with _stranger() as port, pytest.raises(BrokerError, match="did not start"):
        EmbeddedBroker(kind, tmp_path, port=port).start()


@pytest.mark.broker
def test_a_broker_that_cannot_start_shows_the_end_of_its_log(tmp_path: Path) -> None:
    require("mosquitto")
    broker = EmbeddedBroker("mosquitto", tmp_path, extra=["no_such_setting true"])
    with pytest.raises(BrokerError, match="no_such_setting"):
        broker.start()


@pytest.mark.broker
def test_extra_lines_win_over_our_limits(tmp_path: Path) -> None:
    require("mosquitto")
    extra = ["max_queued_messages 10", "log_type information"]
    with EmbeddedBroker("mosquitto", tmp_path, extra=extra) as broker:
        lines = (tmp_path / "mosquitto.conf").read_text().splitlines()
        assert [line for line in lines if line.startswith("max_queued_messages")] == extra[:1]
        assert _accepts(broker)
        assert "mosquitto version" in broker.log_path.read_text()


def test_a_missing_broker_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(BrokerError, match="apt install mosquitto"):
        EmbeddedBroker("mosquitto", tmp_path).start()
    with pytest.raises(BrokerError, match=r"pip install 'edgesplit\[rehearse\]'"):
        EmbeddedBroker("iotcore", tmp_path).start()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as chosen:
        port: int = chosen.getsockname()[1]
        return port


def _quick(accepts: Callable[..., bool]) -> Callable[..., bool]:
    return lambda *arguments: accepts(*arguments, timeout_s=0.2)


@contextmanager
def _stranger() -> Iterator[int]:
    """Takes every connection and every login."""

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(1024)
                connection.sendall(b"\x20\x03\x00\x00\x00")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
