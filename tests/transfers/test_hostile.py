"""Frames that no honest peer sends are counted, and cost neither memory nor other letters."""

from __future__ import annotations

import hashlib
import zlib

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.frames import Chunk, Frame, Grant, Offer, Receipt, Session
from runtime.ids import COORDINATOR, DeviceId
from runtime.topics import CHUNK_LIMIT_BYTES
from runtime.transfers.courier import Courier, CourierLimits
from runtime.transfers.outbox import Outbox
from runtime.transfers.outputs import Deliver, Output, Transmit

BOARD = DeviceId("board-0")
SESSION = Session(1, 1)
BODY = bytes(range(256)) * 200


def courier() -> Courier:
    """A coordinator's side of one session."""
    made = Courier(CourierLimits(letter_bytes=1_000_000))
    made.open(BOARD, SESSION, 0.0)
    made.connected(0.0)
    return made


def offer(body: bytes = BODY, id: int = 1) -> Offer:
    return Offer(SESSION, id, "step", len(body), hashlib.sha256(body).digest())


def chunk(offset: int, length: int, body: bytes = BODY, id: int = 1) -> Chunk:
    data = body[offset : offset + length]
    return Chunk(SESSION, id, offset, zlib.crc32(data), data)


def ranges(outputs: list[Output]) -> list[tuple[int, int]]:
    frames = [output.frame for output in outputs if isinstance(output, Transmit)]
    return [one for frame in frames if isinstance(frame, Grant) for one in frame.ranges]


def finish(made: Courier, wanted: list[tuple[int, int]], now: float = 0.1) -> list[bytes]:
    """Answers all grants honestly; returns the letters that come out."""
    letters = []
    while wanted:
        outputs = made.received(BOARD, chunk(*wanted.pop(0)), now)
        wanted += ranges(outputs)
        letters += [output.body for output in outputs if isinstance(output, Deliver)]
    return letters


@pytest.mark.parametrize(
    ("piece", "most_bytes"), [(-5, 4096), (0, 4096), (5000, 5000), (2**62, 8192)]
)
def test_an_offer_may_ask_for_smaller_ranges_but_not_for_dust(piece: int, most_bytes: int) -> None:
    made = courier()
    asked = ranges(made.received(BOARD, attrs.evolve(offer(), piece=piece), 0.0))
    assert max(length for _, length in asked) == most_bytes


class TestChunks:
    @pytest.mark.parametrize(
        ("spoil", "reason"),
        [
            (lambda c: attrs.evolve(c, crc=c.crc ^ 1), "corrupt chunk"),
            (lambda c: attrs.evolve(c, data=bytes(len(c.data))), "corrupt chunk"),
            (lambda c: attrs.evolve(c, offset=c.offset + 1), "chunk not asked for"),
            (lambda c: attrs.evolve(c, data=c.data[:-1]), "chunk not asked for"),
            (lambda c: attrs.evolve(c, id=7), "chunk of no open transfer"),
            (lambda c: attrs.evolve(c, session=Session(1, 2)), "frame of another session"),
        ],
    )
    def test_a_spoilt_one_is_counted_and_the_letter_still_comes(
        self, spoil: object, reason: str
    ) -> None:
        made = courier()
        wanted = ranges(made.received(BOARD, offer(), 0.0))
        assert callable(spoil)
        made.received(BOARD, spoil(chunk(*wanted[0])), 0.05)
        assert made.counts() == {reason: 1}
        assert finish(made, wanted) == [BODY]

    def test_a_letter_that_is_not_its_digest_is_fetched_again_only_when_offered(self) -> None:
        made = courier()
        wanted = ranges(made.received(BOARD, attrs.evolve(offer(), digest=b"x"), 0.0))
        assert finish(made, wanted) == []
        assert made.counts() == {"corrupt letter": 1}
        assert made.held_bytes == 0
        assert finish(made, ranges(made.received(BOARD, offer(), 1.0))) == [BODY]


class TestOffers:
    def test_one_that_contradicts_an_earlier_one_begins_anew(self) -> None:
        made = courier()
        made.received(BOARD, attrs.evolve(offer(), size=len(BODY) + 1), 0.0)
        wanted = ranges(made.received(BOARD, offer(), 0.01))
        assert made.counts() == {"contradicting offer": 1}
        assert finish(made, wanted) == [BODY]

    @pytest.mark.parametrize(
        ("spoilt", "reason"),
        [
            (attrs.evolve(offer(b"hi"), body=b"ho"), "corrupt offer"),
            (attrs.evolve(offer(b"hi"), body=b"h"), "corrupt offer"),
            (offer(b"hi"), "corrupt offer"),
            (attrs.evolve(offer(), id=0), "transfer id out of bounds"),
            (attrs.evolve(offer(), id=-1), "transfer id out of bounds"),
            (attrs.evolve(offer(), id=2**62), "transfer id out of bounds"),
            (attrs.evolve(offer(), size=-1), "too large"),
            (attrs.evolve(offer(), size=2**62), "too large"),
        ],
    )
    def test_an_impossible_one_opens_nothing(self, spoilt: Offer, reason: str) -> None:
        made = courier()
        outputs = made.received(BOARD, spoilt, 0.0)
        assert made.counts() == {reason: 1}
        assert made.deadline(0.0) is None
        assert not any(isinstance(output, Deliver) for output in outputs)

    def test_many_ask_for_no_more_than_the_windows(self) -> None:
        made = courier()
        outputs = [made.received(BOARD, offer(id=id), 0.0) for id in range(1, 4000)]
        assert sum(length for one in outputs for _, length in ranges(one)) <= 32 * 1024


class TestGrants:
    def test_what_waits_to_be_sent_is_bounded(self) -> None:
        outbox = Outbox(SESSION)
        outbox.post("order", bytes(1_000_000))
        outbox.offers(0.0)
        for offset in range(200):
            outbox.granted(Grant(SESSION, 1, tuple((offset, n) for n in range(1, 101))), 0.0)
        waiting = 0
        while outbox.bulk_bytes() is not None:
            outbox.next_bulk(0.0)
            waiting += 1
        assert 1000 < waiting <= 4096

    @pytest.mark.parametrize("wrong", [(-1, 10), (0, 0), (0, -5), (999_999, 2), (0, 1_000_000)])
    def test_wrong_ranges_are_not_answered(self, wrong: tuple[int, int]) -> None:
        made = courier()
        made.send(BOARD, "order", bytes(1_000_000), 0.0)
        assert made.received(BOARD, Grant(SESSION, 1, (wrong,)), 0.0) == []

    def test_no_chunk_is_larger_than_a_chunk(self) -> None:
        made = courier()
        made.send(BOARD, "order", bytes(1_000_000), 0.0)
        greedy = Grant(SESSION, 1, ((0, CHUNK_LIMIT_BYTES + 1), (0, CHUNK_LIMIT_BYTES)))
        sent = [one.frame for one in made.received(BOARD, greedy, 0.0) if isinstance(one, Transmit)]
        assert [len(one.data) for one in sent if isinstance(one, Chunk)] == [CHUNK_LIMIT_BYTES]


numbers = st.one_of(st.integers(0, 9), st.integers(-(2**63), 2**63 - 1))
small = st.integers(0, 60_000)
frames = st.one_of(
    st.builds(
        Offer, st.just(SESSION), numbers, st.text(max_size=4), numbers, st.binary(max_size=4),
        st.none() | st.binary(max_size=9),
    ),
    st.builds(
        Grant, st.just(SESSION), numbers, st.lists(st.tuples(small | numbers, small), max_size=4)
    ),
    st.builds(Chunk, st.just(SESSION), numbers, small, numbers, st.binary(max_size=9)),
    st.builds(Receipt, st.just(SESSION), numbers, st.none() | st.text(max_size=4)),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(frames, st.floats(0, 30)), max_size=40))
def test_any_frames_in_any_order_do_no_harm(arrivals: list[tuple[Frame, float]]) -> None:
    """A session full of noise: nothing raises, nothing is kept, no deadline lies in the past."""
    made, now = courier(), 0.0
    made.send(BOARD, "order", bytes(60_000), now)
    for frame, later_s in arrivals:
        now += later_s
        made.tick(now)
        made.received(BOARD, frame, now)
        due = made.deadline(now)
        assert due is None or due >= now
    assert made.held_bytes <= 1_000_000 + 60_000
    assert made.counts().keys() <= {
        "too large", "transfer id out of bounds", "corrupt offer", "contradicting offer",
        "chunk of no open transfer", "chunk not asked for", "corrupt chunk",
    }  # fmt: skip


def test_another_peer_is_not_disturbed() -> None:
    made = courier()
    other = DeviceId("board-1")
    made.open(other, SESSION, 0.0)
    for id in range(1, 100):
        made.received(BOARD, offer(id=id), 0.0)
    assert ranges(made.received(other, offer(), 0.0))
    assert made.send(COORDINATOR, "order", b"", 0.0) == []
