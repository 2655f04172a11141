"""Fills the emulation of a fleet's boards from their cards.

A speed that neither the fleet file nor the card has is asked for, never guessed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import attrs

from coordinator.fleet import Device, Fleet
from firmware_profiles.card import BoardCard
from firmware_profiles.errors import CardError
from firmware_profiles.figure import Figure
from firmware_profiles.shelf import Shelf, load_shelf
from runtime.config import refuse
from runtime.errors import ConfigError, Problem

AGENT_BYTES = 85e6
"""An agent's process before it trains; with the smallest models it has 89 MB (docs/boards.md)."""
_MB = 1e6


def equip(fleet: Fleet, fleet_path: Path, boards: Path | None = None) -> Fleet:
    """Returns the fleet with the speed, links and memory of every named board.

    `boards` is a folder of the user's own cards. Raises ConfigError with every problem.
    """
    if all(device.board is None for device in fleet.devices):
        return fleet
    try:
        shelf = load_shelf(boards)
    except CardError as error:
        found = [Problem(one.file, one.key, one.message, one.fix) for one in error.problems]
        raise ConfigError(found) from None
    problems: list[Problem] = []
    devices = []
    for number, device in enumerate(fleet.devices):
        equipped, faults = _equip(device, shelf)
        devices.append(equipped)
        problems += [
            Problem(str(fleet_path), f"device[{number}].{key}", message, fix)
            for key, message, fix in faults
        ]
    refuse(problems)
    return attrs.evolve(fleet, device=tuple(devices))


def _equip(device: Device, shelf: Shelf) -> tuple[Device, list[tuple[str, str, str]]]:
    if device.board is None:
        return device, []
    try:
        card = shelf.card(device.board)
    except CardError as error:
        return device, [("board", one.message, one.fix) for one in error.problems]
    own = device.emulate
    wanted = {} if own.step_s is not None else {"gflops": card.fp32_prior_gflops()}
    link = card.link_mbps(device.network)
    wanted |= {"uplink_mbps": link, "downlink_mbps": link}
    values = {
        name: figure.value
        for name, figure in wanted.items()
        if getattr(own, name) is None and figure is not None
    }
    filled = attrs.evolve(own, memory_mb=own.memory_mb or _program_mb(card), **values)
    return attrs.evolve(device, emulate=filled), list(_gaps(card, filled, wanted))


def _program_mb(card: BoardCard) -> float | None:
    """Returns what a segment program may take beside the agent, None where that is not known."""
    usable = card.usable_memory_bytes()
    return None if usable is None else max(1.0, (usable.value - AGENT_BYTES) / _MB)


def _gaps(
    card: BoardCard, filled: object, wanted: dict[str, Figure | None]
) -> Iterator[tuple[str, str, str]]:
    for name in wanted:
        if getattr(filled, name) is None:
            message = f"the card of {card.id} does not know it"
            yield f"emulate.{name}", message, f"write emulate.{name}, measured on the board"
