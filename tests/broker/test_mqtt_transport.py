"""What MqttTransport does beyond the contract: with bad brokers, bad lines and limits."""

from __future__ import annotations

import os
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from coordinator.broker import EmbeddedBroker
from coordinator.broker.embedded import Kind
from coordinator.rehearsal.link_proxy import LinkProxy
from runtime.broker_url import BrokerUrl
from runtime.transport.base import Down, Flushed, TransportEvent, Up, Will
from runtime.transport.mqtt import MqttTransport
from tests.brokers import require
from tests.contract.networks import Party


def _wait_until(predicate: Callable[[], bool], within_s: float = 15.0) -> None:
    deadline_s = time.monotonic() + within_s
    while not predicate():
        assert time.monotonic() < deadline_s, "it has not come about"
        time.sleep(0.002)


def _url(broker: EmbeddedBroker, **changes: Any) -> BrokerUrl:
    return evolve(BrokerUrl.parse(broker.url), **changes)


@contextmanager
def _party(url: BrokerUrl, name: str, *subscriptions: str, **options: int) -> Iterator[Party]:
    """A started party, stopped at the end."""
    party = Party(name, MqttTransport(url, name, **options))
    party.start(*subscriptions)
    try:
        yield party
    finally:
        party.stop()


def _mqtt(party: Party) -> MqttTransport:
    assert isinstance(party.transport, MqttTransport)
    return party.transport


def test_a_wrong_password_is_a_down_with_a_reason(broker: EmbeddedBroker) -> None:
    with _party(_url(broker, password="wrong"), "a") as party:
        _wait_until(lambda: bool(party.downs))
        words = {"iotcore": "may be wrong", "mosquitto": "Not authorized"}
        assert words[broker.kind] in party.downs[0]
        assert "wrong@" not in party.downs[0]
        assert party.ups == 0


def test_it_waits_for_a_broker_that_is_not_there_yet(kind: Kind, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as chosen:
        port = chosen.getsockname()[1]
    broker = EmbeddedBroker(kind, tmp_path, port=port)
    with _party(BrokerUrl.parse(broker.url), "a") as party:
        _wait_until(lambda: bool(party.downs))
        assert "refused" in party.downs[0]
        with broker:
            _wait_until(lambda: party.ups == 1)
    # One word for each thing that is wrong, not for each attempt.
    assert len(party.downs) <= 2


def test_it_comes_back_when_the_broker_does(broker: EmbeddedBroker) -> None:
    with _party(_url(broker), "a", "box/#") as party:
        for times in (1, 2):
            _wait_until(lambda times=times: party.ups == times)  # type: ignore[misc]
            party.publish("box/a", b"%d" % times)
            _wait_until(lambda times=times: b"%d" % times in party.payloads)  # type: ignore[misc]
            broker.kill()
            _wait_until(lambda times=times: len(party.downs) >= times)  # type: ignore[misc]
            broker.start()


def test_what_was_under_way_is_flushed_after_the_down_and_never_resent(
    broker: EmbeddedBroker,
) -> None:
    with (
        LinkProxy(broker.port) as proxy,
        _party(_url(broker, port=proxy.port), "sender") as sender,
        _party(_url(broker), "receiver", "box") as receiver,
    ):
        _wait_until(lambda: sender.ups == receiver.ups == 1)
        proxy.stall()
        # More than paho's window of 20: some are on the line, some still wait in paho.
        for size in range(1, 31):
            sender.publish("box", bytes(size))
        proxy.reset()
        proxy.resume()
        _wait_until(lambda: sender.ups == 2)
        sender.publish("box", b"after")
        _wait_until(lambda: len(sender.flushed_bytes) == 31 and bool(receiver.arrived))
        assert receiver.payloads == [b"after"]
    kinds = [type(event) for event in sender.events]
    assert kinds == [Up, Down, *[Flushed] * 30, Up, Flushed]


def test_a_stalled_line_is_given_up_after_the_keepalive(broker: EmbeddedBroker) -> None:
    with (
        LinkProxy(broker.port) as proxy,
        _party(_url(broker, port=proxy.port), "a", keepalive_s=1) as party,
    ):
        _wait_until(lambda: party.ups == 1)
        proxy.half_open()
        _wait_until(lambda: party.ups == 2)
        assert "eep alive" in party.downs[0]


def test_stop_is_bounded_on_a_stalled_line(broker: EmbeddedBroker) -> None:
    with (
        LinkProxy(broker.port) as proxy,
        _party(_url(broker, port=proxy.port), "a") as party,
    ):
        _wait_until(lambda: party.ups == 1)
        proxy.stall()
        party.publish("box", bytes(1 << 20))
        began_s = time.monotonic()
        party.stop()
        assert time.monotonic() - began_s < 4.0
        assert party.flushed_bytes == [1 << 20]
        told = len(party.events)
        party.publish("box", b"after the end")
        assert not [t for t in threading.enumerate() if t.name.endswith("-a")]
        assert len(party.events) == told


def test_the_uplink_limit_holds_on_every_connection(broker: EmbeddedBroker) -> None:
    options = {"uplink_limit_bytes_per_s": 500_000}
    with (
        LinkProxy(broker.port) as proxy,
        _party(_url(broker, port=proxy.port), "a", **options) as party,
    ):
        for times in (1, 2):
            _wait_until(lambda times=times: party.ups == times)  # type: ignore[misc]
            began_s = time.monotonic()
            for _ in range(25):
                party.publish("box", bytes(20_000))
            _wait_until(lambda times=times: len(party.flushed_bytes) == 25 * times)  # type: ignore[misc]
            # The kernel lets a first burst through.
            assert 0.5 < time.monotonic() - began_s < 3.0
            proxy.reset()


@pytest.mark.broker
def test_a_payload_above_the_announced_limit_is_dropped_not_sent(tmp_path: Path) -> None:
    require("mosquitto")
    with (
        EmbeddedBroker("mosquitto", tmp_path, extra=["max_packet_size 10000"]) as broker,
        _party(_url(broker), "a", "box") as party,
    ):
        _wait_until(lambda: party.ups == 1)
        assert _mqtt(party).max_packet_bytes == 10_000
        for size in (9_990, 9_900, 20_000):
            party.publish("box", bytes(size), expiry_s=60)
        party.publish("box", b"end")
        _wait_until(lambda: b"end" in party.payloads)
        assert [len(payload) for payload in party.payloads] == [9_900, 3]
        _wait_until(lambda: party.flushed_bytes == [3, 9_900, 9_990, 20_000])
        assert _mqtt(party).oversized == 2
        assert party.downs == []


def test_a_listener_that_raises_is_counted_and_heard_again(broker: EmbeddedBroker) -> None:
    heard: list[TransportEvent] = []

    def listener(event: TransportEvent) -> None:
        heard.append(event)
        raise RuntimeError("a fault of the listener")

    transport = MqttTransport(_url(broker), "a")
    transport.start(listener, ("box",), Will("wills/a", b""))
    try:
        _wait_until(lambda: len(heard) == 1)
        transport.publish("box", b"x", qos=1, retain=False, expiry_s=None)
        _wait_until(lambda: len(heard) == 3)
        _wait_until(lambda: transport.callback_errors == 3)
    finally:
        transport.stop()


def test_too_many_open_files_are_told_instead_of_hanging(broker: EmbeddedBroker) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2_000:
        pytest.skip(f"this process may open no more than {hard} files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (2_000, hard))
    copies = [os.dup(0) for _ in range(1_024)]
    try:
        with _party(_url(broker), "a") as party:
            _wait_until(lambda: bool(party.downs))
            assert "more than 1024 files" in party.downs[0]
            while copies:
                os.close(copies.pop())
            _wait_until(lambda: party.ups == 1)
    finally:
        for copy in copies:
            os.close(copy)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_process_that_may_open_no_file_at_all_tries_again(broker: EmbeddedBroker) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    copies = [os.dup(0) for _ in range(64)]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (copies[-1] + 1, hard))
        with _party(_url(broker), "a") as party:
            _wait_until(lambda: bool(party.downs))
            assert "Too many open files" in party.downs[0]
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            _wait_until(lambda: party.ups == 1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for copy in copies:
            os.close(copy)


def test_stop_before_start_and_twice_does_nothing() -> None:
    transport = MqttTransport(BrokerUrl.parse("mqtt://127.0.0.1:1"), "a")
    transport.stop()
    transport.start(lambda event: None, (), Will("wills/a", b""))
    with pytest.raises(RuntimeError, match="once"):
        transport.start(lambda event: None, (), Will("wills/a", b""))
    transport.stop()
    transport.stop()


@pytest.mark.broker
def test_over_a_unix_socket(tmp_path: Path) -> None:
    require("mosquitto")
    path = tmp_path / "m.sock"
    with EmbeddedBroker("mosquitto", tmp_path, extra=[f"listener 0 {path}"]) as broker:
        (tmp_path / "secret").write_text(_url(broker).password or "")
        query = f"user={_url(broker).user}&password_file={tmp_path / 'secret'}"
        with _party(BrokerUrl.parse(f"unix://{path}?{query}"), "a", "box") as party:
            _wait_until(lambda: party.ups == 1)
            party.publish("box", bytes(100_000))
            _wait_until(lambda: party.payloads == [bytes(100_000)])
            broker.kill()
            _wait_until(lambda: len(party.downs) == 2)
            assert "refused" in party.downs[1]


_CONNACK = b"\x20\x03\x00\x00\x00"


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ((_CONNACK, b"\x90\x04\x00\x01\x00\x87"), "refused the subscription to box"),
        ((b"\x20\x03\x00\x88\x00",), "Server unavailable"),
        ((_CONNACK, b"\xe0\x02\x8b\x00"), "Server shutting down"),
        ((b"\x20\x05\x00\x00\x02\x99\x99",), ""),
        ((b"\xff\xff\xff\xff\xff\xff\xff",), ""),
        ((b"\x20\x03",), "may be wrong"),
    ],
)
def test_whatever_a_broker_answers_it_is_a_down_and_another_try(
    answers: tuple[bytes, ...], reason: str
) -> None:
    with (
        _scripted(answers) as (port, accepted),
        _party(BrokerUrl("mqtt", "127.0.0.1", port), "a", "box") as party,
    ):
        _wait_until(lambda: len(accepted) == 3)
        assert reason in party.downs[0]
        assert party.ups == 0


@contextmanager
def _scripted(answers: tuple[bytes, ...]) -> Iterator[tuple[int, list[int]]]:
    """A broker that gives these answers, one for each packet, then waits and closes."""
    accepted: list[int] = []

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                connection, address = listener.accept()
            except OSError:
                return
            accepted.append(address[1])
            with connection:
                connection.settimeout(0.2)
                try:
                    for answer in answers:
                        connection.recv(1024)
                        connection.sendall(answer)
                    connection.recv(1024)
                except OSError:
                    pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            yield listener.getsockname()[1], accepted
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
