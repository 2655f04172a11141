"""What a meter reads off the frames of a letter."""

from __future__ import annotations

import pytest

from runtime.frames import Chunk, Offer, Session
from runtime.link_meter import LinkMeter, Reading

SESSION = Session(1, 1)


def letter(meter: LinkMeter, number: int, chunks: int, at_s: float, apart_s: float) -> None:
    """Offers a letter and lets its chunks of 4000 bytes come, the first after 0.1 s."""
    meter.saw(Offer(SESSION, number, "step", 4000 * chunks, b""), at_s)
    for index in range(chunks):
        chunk = Chunk(SESSION, number, 4000 * index, 0, bytes(4000))
        meter.saw(chunk, at_s + 0.1 + index * apart_s)


def test_tells_rate_and_round_trip_apart() -> None:
    meter = LinkMeter()
    letter(meter, 1, 11, 5.0, 0.05)
    reading = meter.read()
    assert reading.bytes_per_s == pytest.approx(80_000)
    assert reading.round_trip_s == pytest.approx(0.1 - 0.05)
    assert reading.letter_s == pytest.approx(0.1 + 10 * 0.05)
    assert meter.read() == Reading(), "a reading is taken once"


@pytest.mark.parametrize(("chunks", "apart_s"), [(1, 0.05), (3, 0.05), (9, 1e-4)])
def test_a_few_chunks_and_a_burst_tell_nothing(chunks: int, apart_s: float) -> None:
    meter = LinkMeter()
    letter(meter, 1, chunks, 5.0, apart_s)
    reading = meter.read()
    assert (reading.bytes_per_s, reading.round_trip_s) == (0.0, 0.0)
    assert reading.letter_s > 0.0, "but the letter took its time"


def test_what_is_never_finished_is_forgotten() -> None:
    meter = LinkMeter()
    for number in range(1000):
        meter.saw(Offer(SESSION, number, "step", 9000, b""), 0.0)
        meter.saw(Offer(SESSION, number, "step", 2, b"", b"hi"), 0.0)
    assert len(meter._letters) <= 16
    meter.saw(Chunk(SESSION, 5, 0, 0, b"x"), 1.0)
    assert meter.read().bytes_per_s == 0.0
