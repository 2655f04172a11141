"""Asking a broker for one connection, to learn whether it takes a login (MQTT 5, section 3.1)."""

from __future__ import annotations

import secrets
import socket

_CONNACK = 0x20
_CLEAN_START_WITH_LOGIN = 0xC2


def accepts(port: int, user: str, password: str, *, timeout_s: float = 2.0) -> bool:
    """Whether the broker on 127.0.0.1:`port` lets this login in.

    A close without an answer is a refusal. Raises OSError when nothing listens there or nothing
    is answered in time.
    """
    with socket.create_connection(("127.0.0.1", port), timeout_s) as connection:
        connection.sendall(_connect_packet(user, password))
        try:
            reply = _receive(connection, 4)
        except ConnectionError:
            return False
        granted = len(reply) == 4 and reply[0] == _CONNACK and reply[3] == 0
        if granted:
            connection.sendall(b"\xe0\x00")
        return granted


def _connect_packet(user: str, password: str) -> bytes:
    client_id = f"probe-{secrets.token_hex(4)}"
    head = _text("MQTT") + bytes([5, _CLEAN_START_WITH_LOGIN, 0, 10, 0])
    body = head + _text(client_id) + _text(user) + _text(password)
    if len(body) > 127:
        raise ValueError("the probe's packet must have a length of one byte")
    return bytes([0x10, len(body)]) + body


def _text(text: str) -> bytes:
    encoded = text.encode()
    return len(encoded).to_bytes(2, "big") + encoded


def _receive(connection: socket.socket, size_bytes: int) -> bytes:
    received = b""
    while len(received) < size_bytes:
        part = connection.recv(size_bytes - len(received))
        if not part:
            break
        received += part
    return received
