"""What parties may hold in memory, whatever happens to them."""

from __future__ import annotations

from collections.abc import Iterator

from coordinator.state import CoordinatorState
from runtime.ids import COORDINATOR
from runtime.party import Party
from runtime.transfers.courier import Courier
from tests.faults.worlds import BUDGET_BYTES
from tests.world import World

_LETTERS_UNDERWAY = 12
"""Of one device, both ways and those of superseded attempts counted in."""
_WAKES = 8
_NOTES = 400


def outgrown(world: World, letter_bytes: int) -> Iterator[str]:
    """Yields what holds more than it may, where no letter is larger than `letter_bytes`."""
    devices = len(world.names)
    for name, life in world.lives.items():
        party: Party[object] = life.party
        courier = party._courier
        peers = devices if name == COORDINATOR else 1
        yield from _courier(name, courier, peers, letter_bytes)
        if len(party._wakes) > _WAKES:
            yield f"{name} has asked for {len(party._wakes)} wakes"
        if len(party._dropped) > _NOTES or len(party._accounts) > peers:
            yield f"{name} keeps {len(party._dropped)} notes on {len(party._accounts)} peers"
        if isinstance(party.state, CoordinatorState):
            yield from _state(party.state, devices)


def _courier(name: str, courier: Courier, peers: int, letter_bytes: int) -> Iterator[str]:
    if courier.held_bytes > peers * _LETTERS_UNDERWAY * letter_bytes:
        yield f"{name} holds {courier.held_bytes} bytes of letters"
    exchanges = courier._sessions.values()
    granted_bytes = [one.inbox.outstanding_bytes for one in exchanges]
    if len(exchanges) > peers:
        yield f"{name} has {len(exchanges)} sessions with {peers} peers"
    if sum(granted_bytes) > max(BUDGET_BYTES, max(granted_bytes, default=0)):
        yield f"{name} has granted {sum(granted_bytes)} bytes out of {BUDGET_BYTES}"
    reckoned_bytes = courier._granting.credit.granted_bytes
    if courier._up and sum(granted_bytes) != reckoned_bytes:
        yield f"{name} reckons with {reckoned_bytes} bytes, not {sum(granted_bytes)}"
    open_weight = sum(one.account.open_weight for one in exchanges)
    if abs(open_weight - courier._granting.credit._open_weight) > 1e-6:
        yield f"{name} divides by {courier._granting.credit._open_weight}, not {open_weight}"
    if len(courier._due._heap) > 2 * peers + 17:
        yield f"{name} has {len(courier._due._heap)} deadlines"


def _state(state: CoordinatorState, devices: int) -> Iterator[str]:
    sizes = {
        "duties": (len(state.duties), devices),
        "drops": (len(state.dropped), devices),
        "parts": (len(state.duties) + len(state.dropped), devices),
        "lingering tasks": (len(state.lingering), 4 * devices),
        "members": (len(state.fleet.members), devices),
        "refusals": (len(state.fleet.refused), 0),
        "plans": (len(state.logged), state.recipe.rounds),
    }
    if state.survey:
        sizes["probes in preparation"] = (len(state.survey.preparing), 4 * devices)
    for what, (count, limit) in sizes.items():
        if count > limit:
            yield f"the coordinator's state has {count} {what}"
    for duty in state.duties.values():
        if duty.step > state.recipe.local_steps or len(duty.round_trips_s) > 256:
            yield f"the duty of {duty.device} is at step {duty.step}"
