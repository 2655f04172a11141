"""Frames as maps and back, written out field by field: they are most of what travels.

What `runtime.wire` derives for all other classes costs three times as much. The strictness is the
same: a missing key is a KeyError there as here, a value of another type a WireError.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from runtime.errors import WireError
from runtime.frames import Chunk, Grant, Offer, Range, Receipt, Session

Raw = dict[str, Any]


_same = lru_cache(maxsize=2048)(Session)
"""All frames of a session share one: there are as many as peers, and it is told in each."""


def _session(raw: Raw) -> Session:
    session = raw["session"]
    if type(session) is not dict:
        raise WireError(f"{type(session).__name__} where a session belongs")
    coordinator, device = session["coordinator"], session["device"]
    if type(coordinator) is int and type(device) is int:
        return _same(coordinator, device)
    raise WireError("an incarnation is no integer")


def read_offer(raw: Raw, _: Any = None) -> Offer:
    id, kind, size, digest = raw["id"], raw["kind"], raw["size"], raw["digest"]
    body, receipt, piece = raw.get("body"), raw.get("receipt"), raw.get("piece")
    if (
        type(id) is int
        and type(kind) is str
        and type(size) is int
        and type(digest) is bytes
        and (body is None or type(body) is bytes)
        and (receipt is None or type(receipt) is int)
        and (piece is None or type(piece) is int)
    ):
        return Offer(_session(raw), id, kind, size, digest, body, receipt, piece)
    raise WireError("a field of an Offer has another type")


def read_grant(raw: Raw, _: Any = None) -> Grant:
    id, ranges, ahead = raw["id"], raw["ranges"], raw.get("ahead", 0)
    if type(id) is int and type(ranges) is list and type(ahead) is int:
        return Grant(_session(raw), id, tuple([_range(one) for one in ranges]), ahead)
    raise WireError("a field of a Grant has another type")


def _range(raw: Any) -> Range:
    if type(raw) is list and len(raw) == 2:
        offset, length = raw
        if type(offset) is int and type(length) is int:
            return offset, length
    raise WireError("a range is no pair of integers")


def read_chunk(raw: Raw, _: Any = None) -> Chunk:
    id, offset, crc, data = raw["id"], raw["offset"], raw["crc"], raw["data"]
    if type(id) is int and type(offset) is int and type(crc) is int and type(data) is bytes:
        return Chunk(_session(raw), id, offset, crc, data)
    raise WireError("a field of a Chunk has another type")


def read_receipt(raw: Raw, _: Any = None) -> Receipt:
    id, refused = raw["id"], raw.get("refused")
    if type(id) is int and (refused is None or type(refused) is str):
        return Receipt(_session(raw), id, refused)
    raise WireError("a field of a Receipt has another type")


def _sides(session: Session) -> Raw:
    return {"coordinator": session.coordinator, "device": session.device}


def write_offer(offer: Offer) -> Raw:
    return {
        "session": _sides(offer.session),
        "id": offer.id,
        "kind": offer.kind,
        "size": offer.size,
        "digest": offer.digest,
        "body": offer.body,
        "receipt": offer.receipt,
        "piece": offer.piece,
    }


def write_grant(grant: Grant) -> Raw:
    return {
        "session": _sides(grant.session),
        "id": grant.id,
        "ranges": grant.ranges,
        "ahead": grant.ahead,
    }


def write_chunk(chunk: Chunk) -> Raw:
    return {
        "session": _sides(chunk.session),
        "id": chunk.id,
        "offset": chunk.offset,
        "crc": chunk.crc,
        "data": chunk.data,
    }


def write_receipt(receipt: Receipt) -> Raw:
    return {"session": _sides(receipt.session), "id": receipt.id, "refused": receipt.refused}


FORMS: dict[type, tuple[Callable[[Raw, Any], Any], Callable[[Any], Raw]]] = {
    Offer: (read_offer, write_offer),
    Grant: (read_grant, write_grant),
    Chunk: (read_chunk, write_chunk),
    Receipt: (read_receipt, write_receipt),
}
"""By class: out of a map, and into one."""
