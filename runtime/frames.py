"""What a transfer looks like on the wire: four kinds of frame, the same in both directions.

The sender *offers* a letter; a small one travels inside the offer, and is answered by a
*receipt*. So does a larger one if the receiver has said that it takes such *ahead* of being
asked, which saves a round trip. Of any other the receiver *grants* byte ranges, within its own
budget, the sender answers each range with a *chunk*, and the receiver ends the transfer with a
receipt. The receiver asks again for what does not come, so a transfer resumes wherever it was
cut off.
"""

from __future__ import annotations

from runtime.value import value

Range = tuple[int, int]
"""Offset and length in bytes."""


@value
class Session:
    """One pair of process lives; a frame of another session is dropped."""

    coordinator: int
    device: int


@value
class Offer:
    """Sender to receiver: a letter of `size` bytes with this SHA-256 wants to come over."""

    session: Session
    id: int
    kind: str
    size: int
    digest: bytes
    body: bytes | None = None
    receipt: int | None = None
    """A letter of the receiver's that is here and whole: a receipt that rides along."""
    piece: int | None = None
    """No range should have more bytes: others wait behind each of them on the sender's link."""

    def carrying(self, receipt: int | None) -> Offer:
        """Returns the same offer with this receipt, or without any."""
        return Offer(
            self.session,
            self.id,
            self.kind,
            self.size,
            self.digest,
            self.body,
            receipt,
            self.piece,
        )


@value
class Grant:
    """Receiver to sender: send these ranges of transfer `id`.

    Later letters of up to `ahead` bytes may travel inside their offers, when their turn comes.
    """

    session: Session
    id: int
    ranges: tuple[Range, ...]
    ahead: int = 0


@value
class Chunk:
    """Sender to receiver: the bytes from `offset` on; `crc` is the CRC-32 of `data`."""

    session: Session
    id: int
    offset: int
    crc: int
    data: bytes


@value
class Receipt:
    """Receiver to sender: the whole letter is here and whole, or will not be taken."""

    session: Session
    id: int
    refused: str | None = None


@value
class Pulse:
    """I am here, and have had nothing else to say for a while. Belongs to no transfer."""


Frame = Offer | Grant | Chunk | Receipt
