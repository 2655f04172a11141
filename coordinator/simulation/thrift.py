"""Keeping equal bytes once: a thousand boards are sent the same letters, full of zeros."""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeVar

import attrs

from runtime.frames import Chunk, Frame
from runtime.ids import DeviceId
from runtime.letters import ANSWERED, Probe, RoundOrder
from runtime.machine_effects import MachineEffect
from runtime.machine_events import MachineEvent, Received
from runtime.party import Machine
from runtime.tensors import PackedTensor
from runtime.transfers.courier import Courier, CourierLimits
from runtime.transfers.outputs import Output

S = TypeVar("S")

_LEAST_BYTES = 8 * 1024
_MOST_KEPT = 512


class Shelf:
    """Gives equal bytes back as one object; forgets what was not asked for lately."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()

    def same(self, data: bytes) -> bytes:
        """Returns bytes equal to `data`, the same object for all who ask."""
        if len(data) < _LEAST_BYTES:
            return data
        kept = self._kept.setdefault(data, data)
        self._kept.move_to_end(kept)
        if len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        return kept


class ThriftyCourier(Courier):
    """A courier whose letters and chunks share their bytes with those of all others."""

    def __init__(self, limits: CourierLimits, shelf: Shelf) -> None:
        super().__init__(limits, ANSWERED)
        self._shelf = shelf

    def send(self, peer: DeviceId, kind: str, body: bytes, now: float) -> list[Output]:
        return super().send(peer, kind, self._shelf.same(body), now)

    def received(self, peer: DeviceId, frame: Frame, now: float) -> list[Output]:
        if isinstance(frame, Chunk):
            data = self._shelf.same(frame.data)
            frame = Chunk(frame.session, frame.id, frame.offset, frame.crc, data)
        return super().received(peer, frame, now)


def thrifty(machine: Machine[S], shelf: Shelf) -> Machine[S]:
    """Returns the machine with the layer state of the orders it keeps taken from the shelf."""

    def react(state: S, event: MachineEvent, now: float) -> tuple[S, list[MachineEffect]]:
        match event:
            case Received(letter=RoundOrder() as order):
                event = attrs.evolve(event, letter=_thrifty(order, shelf))
            case Received(letter=Probe(order) as probe):
                probe = attrs.evolve(probe, order=_thrifty(order, shelf))
                event = attrs.evolve(event, letter=probe)
        return machine(state, event, now)

    return react


def _thrifty(order: RoundOrder, shelf: Shelf) -> RoundOrder:
    tensors = {name: _shared(tensor, shelf) for name, tensor in order.tensors.items()}
    return attrs.evolve(order, tensors=tensors)


def _shared(tensor: PackedTensor, shelf: Shelf) -> PackedTensor:
    return PackedTensor(tensor.dtype, tensor.shape, shelf.same(tensor.data))
