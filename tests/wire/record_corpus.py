"""Records the bytes of messages that are not in the corpus yet.

Run it as `python -m tests.wire.record_corpus`.
A file that is there is never written again: it is what boards in the field speak.
"""

from __future__ import annotations

from pathlib import Path

from runtime.wire import encode, encode_json
from tests.wire.messages import MESSAGES

CORPUS = Path(__file__).parent / "corpus"


def path_of(name: str) -> Path:
    """Returns the file of a message: JSON for presence, msgpack for the rest."""
    return CORPUS / f"{name}.{'json' if name.startswith('presence') else 'msgpack'}"


def record() -> list[Path]:
    """Writes what is missing and returns the new files."""
    missing = [name for name in MESSAGES if not path_of(name).exists()]
    for name in missing:
        message = MESSAGES[name]
        text = name.startswith("presence")
        path_of(name).write_bytes(encode_json(message) if text else encode(message))
    return [path_of(name) for name in missing]


if __name__ == "__main__":
    print("\n".join(str(path) for path in record()))
