"""What the embedded brokers are told: loopback, one login, and limits on every queue."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Sequence
from pathlib import Path

from attrs import field, frozen

_HASH_ROUNDS = 101


@frozen
class Login:
    """The one user of an embedded broker; made anew for each start."""

    user: str = "edgesplit"
    password: str = field(factory=lambda: secrets.token_hex(16), repr=False)


def write_iotcore(folder: Path, port: int, login: Login) -> Path:
    """Writes rumqttd's configuration: MQTT 5 alone, 40 MiB of segments for a topic at most."""
    user, password = json.dumps(login.user), json.dumps(login.password)
    path = folder / "iotcore.toml"
    _write_private(
        path,
        f"""\
id = 0

[router]
id = 0
max_connections = 1010
max_outgoing_packet_count = 200
max_segment_size = 4194304
max_segment_count = 10

[v5.1]
name = "v5-1"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1

[v5.1.connections]
connection_timeout_ms = 60000
max_payload_size = 2097152
max_inflight_count = 100
dynamic_filters = true

[v5.1.connections.auth]
{user} = {password}
""",
    )
    return path


def write_mosquitto(folder: Path, port: int, login: Login, extra: Sequence[str]) -> Path:
    """Writes mosquitto's configuration and password file; `extra` lines come last.

    `user root` keeps the kernel's death signal, which a change of user would clear; mosquitto
    ignores it when it was not started by root.
    """
    passwords = folder / "mosquitto.passwd"
    _write_private(passwords, f"{login.user}:{_mosquitto_hash(login.password)}\n")
    path = folder / "mosquitto.conf"
    lines = [
        "user root",
        "per_listener_settings false",
        f"listener {port} 127.0.0.1",
        "allow_anonymous false",
        f"password_file {passwords}",
        "persistence false",
        "set_tcp_nodelay true",
        "log_dest stderr",
        "log_type error",
        "log_type warning",
        "log_type notice",
        "log_timestamp_format %Y-%m-%dT%H:%M:%S",
        *_missing(_LIMITS, extra),
        *extra,
    ]
    _write_private(path, "\n".join(lines) + "\n")
    return path


_LIMITS = (
    "max_packet_size 1200000",
    "max_inflight_messages 20",
    "max_queued_messages 2000",
    "max_queued_bytes 67108864",
)


def _missing(defaults: Sequence[str], extra: Sequence[str]) -> list[str]:
    given = {line.split()[0] for line in extra if line.strip()}
    return [line for line in defaults if line.split()[0] not in given]


def _mosquitto_hash(password: str) -> str:
    """mosquitto's own form of a password file: PBKDF2 over SHA-512, `$7$rounds$salt$hash`."""
    salt = secrets.token_bytes(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _HASH_ROUNDS)
    encoded = (base64.b64encode(part).decode() for part in (salt, digest))
    return "$".join(["", "7", str(_HASH_ROUNDS), *encoded])


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
