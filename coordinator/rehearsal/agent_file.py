"""Writing the agent file of a rehearsed board; `device_agent.config` reads it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import attrs

from coordinator.fleet import Device
from runtime.errors import StorageError

_PRIVATE = 0o600


def agent_toml(device: Device, *, fleet: str, broker: str, source: str, state_dir: Path) -> str:
    """Returns the file's text: identity, data, and the emulation that the fleet file asks for."""
    emulation = attrs.asdict(device.emulate)
    lines = [
        "[agent]",
        f"device = {_text(device.id)}",
        f"fleet = {_text(fleet)}",
        f"broker = {_text(broker)}",
        f"state_dir = {_text(str(state_dir))}",
        "",
        "[data]",
        f"source = {_text(source)}",
        f"augment = [{', '.join(map(_text, device.augment))}]",
        "",
        "[emulate]",
        *(f"{name} = {value!r}" for name, value in emulation.items() if value is not None),
    ]
    return "\n".join(lines) + "\n"


def write_private(path: Path, text: str) -> None:
    """Writes a file that no other user may read: it names a login. Raises StorageError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE), "w") as file:
            file.write(text)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}") from error


def _text(value: str) -> str:
    """Quotes a string: JSON's form is TOML's too, apart from the delete character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
