from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from coordinator.rehearsal.link_proxy import LinkProxy

_PATIENCE_S = 5.0


@contextmanager
def _line(proxy: LinkProxy, listener: socket.socket) -> Iterator[tuple[socket.socket, ...]]:
    """Both ends of a connection through the proxy: the client's and the target's."""
    client = socket.create_connection(("127.0.0.1", proxy.port), _PATIENCE_S)
    target, _ = listener.accept()
    target.settimeout(_PATIENCE_S)
    with client, target:
        yield client, target


@contextmanager
def _proxied(
    listener: socket.socket, **weather: Any
) -> Iterator[tuple[LinkProxy, socket.socket, socket.socket]]:
    """A proxy, and both ends of a connection through it."""
    with LinkProxy(_port(listener), **weather) as proxy, _line(proxy, listener) as (client, target):
        yield proxy, client, target


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        made.settimeout(_PATIENCE_S)
        yield made


def _receive(end: socket.socket, size_bytes: int) -> bytes:
    parts = []
    while size_bytes:
        parts.append(end.recv(size_bytes))
        assert parts[-1], "the line ended early"
        size_bytes -= len(parts[-1])
    return b"".join(parts)


def _assert_silent(end: socket.socket) -> None:
    end.settimeout(0.1)
    with pytest.raises(TimeoutError):
        end.recv(1)
    end.settimeout(_PATIENCE_S)


def _port(listener: socket.socket) -> int:
    port: int = listener.getsockname()[1]
    return port


@pytest.mark.parametrize("direction", ["up", "down"])
def test_the_rate_is_kept_in_each_direction(listener: socket.socket, direction: str) -> None:
    size_bytes, bytes_per_s = 200_000, 400_000.0
    limits: dict[str, Any] = {f"{direction}_bytes_per_s": bytes_per_s}
    with _proxied(listener, **limits) as (_, client, target):
        slow = (client, target) if direction == "up" else (target, client)
        for (source, sink), expected_s in ((slow, 0.5), (slow[::-1], 0.0)):
            began_s = time.monotonic()
            source.sendall(bytes(size_bytes))
            _receive(sink, size_bytes)
            assert expected_s * 0.9 <= time.monotonic() - began_s <= expected_s * 1.3 + 0.2


def test_the_delay_is_added_and_bytes_are_kept(listener: socket.socket) -> None:
    with _proxied(listener, delay_s=0.1) as (_, client, target):
        began_s = time.monotonic()
        client.sendall(b"ping")
        assert _receive(target, 4) == b"ping"
        target.sendall(b"pong")
        assert _receive(client, 4) == b"pong"
        assert 0.2 <= time.monotonic() - began_s <= 0.5


def test_jitter_keeps_the_order(listener: socket.socket) -> None:
    sent = b"".join(number.to_bytes(2, "big") for number in range(20_000))
    with _proxied(listener, up_bytes_per_s=400_000.0, jitter_s=0.05) as (_, client, target):
        client.sendall(sent)
        assert _receive(target, len(sent)) == sent


def test_a_rate_may_be_changed_in_between(listener: socket.socket) -> None:
    with _proxied(listener, up_bytes_per_s=1000.0) as (proxy, client, target):
        client.sendall(bytes(100))
        _receive(target, 100)
        proxy.up_bytes_per_s = None
        # The piece that is under way still goes at the old rate.
        client.sendall(bytes(200_000))
        _receive(target, 200_000)


def test_a_stall_holds_bytes_until_it_ends(listener: socket.socket) -> None:
    with _proxied(listener) as (proxy, client, target):
        proxy.stall()
        client.sendall(b"late")
        _assert_silent(target)
        proxy.resume()
        assert _receive(target, 4) == b"late"


def test_a_half_open_line_is_silent_and_the_next_one_works(listener: socket.socket) -> None:
    with _proxied(listener) as (proxy, client, target):
        proxy.half_open()
        client.sendall(b"lost")
        _assert_silent(target)
        with _line(proxy, listener) as (second, second_target):
            second.sendall(b"new")
            assert _receive(second_target, 3) == b"new"


def test_a_reset_reaches_both_ends(listener: socket.socket) -> None:
    with _proxied(listener) as (proxy, client, target):
        client.sendall(b"x")
        _receive(target, 1)
        proxy.reset()
        for end in (client, target):
            with pytest.raises(ConnectionResetError):
                end.recv(1)
        assert proxy.accepted == 1


def test_an_orderly_end_is_passed_on(listener: socket.socket) -> None:
    with _proxied(listener) as (_, client, target):
        client.sendall(b"all")
        client.shutdown(socket.SHUT_WR)
        assert _receive(target, 3) == b"all"
        assert target.recv(1) == b""
        target.sendall(b"answer")
        assert _receive(client, 6) == b"answer"
