"""What version 1 said once must decode for ever, and to the same values."""

from __future__ import annotations

from typing import get_args

import pytest

from runtime.frames import Frame
from runtime.letters import Letter
from runtime.presence import Presence
from runtime.wire import decode, decode_json
from tests.wire.messages import MESSAGES
from tests.wire.record_corpus import CORPUS, path_of


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_recorded_messages_decode_to_what_was_meant(name: str) -> None:
    data, expected = path_of(name).read_bytes(), MESSAGES[name]
    decoder = decode_json if name.startswith("presence") else decode
    decoded = decoder(type(expected), data)
    assert decoded.value == expected
    assert decoded.unknown_keys == 0


def test_every_file_has_its_message() -> None:
    assert sorted(CORPUS.iterdir()) == sorted(path_of(name) for name in MESSAGES)


def test_every_kind_is_recorded() -> None:
    recorded = {type(message) for message in MESSAGES.values()}
    assert recorded == {*get_args(Frame), *get_args(Letter), *get_args(Presence)}
