"""The legal cuts of a traced graph, and their names.

A node is a legal cut when it stands alone between its ancestors and the rest: no ancestor is read
by the rest, and no parameter or buffer is used by both. Sizes may cross, because the server reads
them off the tensor that does (see segments); so may tensors made of sizes and constants alone (a
causal mask, positions), because the server makes them again. Sets of nodes are bits of a Python
int, which keeps the search fast on graphs of thousands of nodes.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from attrs import evolve, frozen
from torch import Tensor, fx, nn

from coordinator.cutting.node_costs import BATCHES, NodeCosts, TensorOutline
from coordinator.cutting.tracing import ENDS, function_name
from runtime.program import WHOLE_MODEL


@frozen
class Place:
    """A legal cut in the graph: the node whose output crosses, and what runs on each side.

    `server_nodes` has no sizes, and some nodes more than the server's output needs.
    """

    name: str
    aliases: tuple[str, ...]
    node: fx.Node
    device_nodes: tuple[fx.Node, ...]
    server_nodes: tuple[fx.Node, ...]
    device_parameters: tuple[Tensor, ...]
    device_buffers: tuple[Tensor, ...]


def find_places(
    model: nn.Module, graph: fx.Graph, costs: Mapping[fx.Node, NodeCosts]
) -> tuple[Place, ...]:
    """Every legal cut that has a name, in order from input to output."""
    search = _Search(model, graph, costs)
    taken: Counter[str] = Counter()
    places: list[Place] = []
    last = ""
    for node in search.legal():
        base, aliases = _names(node, last, costs)
        if not base or (not aliases and costs[node].view):
            continue
        last = base if aliases else last
        taken[base] += 1
        first = taken[base] == 1
        name = base if first else f"{base}:{taken[base]}"
        places.append(search.place(node, name, aliases[1:] if first else ()))
    return tuple(_without_shadowing(places))


def whole_place(
    model: nn.Module, graph: fx.Graph, costs: Mapping[fx.Node, NodeCosts]
) -> Place | None:
    """The place behind the last layer; None unless one float tensor with the batch first ends it.

    What no node uses lies behind it, so that the device holds nothing in vain.
    """
    (end,) = (node for node in graph.nodes if node.op == "output")
    output = end.args[0]
    if not isinstance(output, fx.Node) or costs[output].shape is None:
        return None
    return _Search(model, graph, costs).place(output, WHOLE_MODEL, ())


def _names(
    node: fx.Node, last: str, costs: Mapping[fx.Node, NodeCosts]
) -> tuple[str, tuple[str, ...]]:
    """The name of a cut, or "", and the module paths that end there.

    A bare function is named after the module it runs in, or after the cut before it there.
    """
    # A layer with several outputs ends where the one that is used is taken.
    source = node.all_input_nodes[0]
    taken = node.target is operator.getitem and isinstance(costs[source].values[0], tuple)
    ends = node.meta.get(ENDS, ()) or (source.meta.get(ENDS, ()) if taken else ())
    if ends:
        return ends[0], ends
    stack = [path for path, _ in node.meta.get("nn_module_stack", {}).values()]
    inside = stack[-1] if stack else ""
    base = last if last.startswith(f"{inside}." if inside else "") else inside
    return (f"{base}+{function_name(node)}" if base else ""), ()


def _is_size(one: Any, other: Any) -> bool:
    """Whether a value is no tensor and can be told from a tensor with the batch first."""
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_is_size, one, other))
    if isinstance(one, TensorOutline):
        return False
    return bool(one == other) or _is_batch_multiple(one, other)


def _is_batch_multiple(one: Any, other: Any) -> bool:
    """Whether two ints, seen in the two runs, are the batch times a whole number."""
    both_int = isinstance(one, int) and isinstance(other, int)
    return both_int and one % BATCHES[0] == 0 and one * BATCHES[1] == other * BATCHES[0]


class _Search:
    """One graph with its nodes numbered, and for each the bits of its ancestors and readers."""

    def __init__(
        self, model: nn.Module, graph: fx.Graph, costs: Mapping[fx.Node, NodeCosts]
    ) -> None:
        self.model = model
        self.costs = costs
        self.nodes = list(graph.nodes)
        self.bit = {node: 1 << place for place, node in enumerate(self.nodes)}
        self.sizes = {node for node in self.nodes if _is_size(*costs[node].values)}
        self.before: dict[fx.Node, int] = {}
        for node in self.nodes:
            self.before[node] = self.bit[node]
            for source in node.all_input_nodes:
                self.before[node] |= self.before[source]
        self.readers = {node: self._readers(node) for node in self.nodes}
        self.users = self._state_users()
        self.constants = self._constants()
        self.parameters = {storage_id(p): p for p in model.parameters()}
        self.buffers = {storage_id(b): b for b in model.buffers()}

    def legal(self) -> Iterator[fx.Node]:
        """Nodes that are legal cuts, in order."""
        inputs = sum(self.bit[n] for n in self.nodes if n.op == "placeholder" and n.users)
        for node in self.nodes:
            device = self.before[node]
            if (
                self.costs[node].shape is not None
                and node.op != "placeholder"
                and inputs & ~device == 0
                and self._stands_alone(node, device)
                and self._divides_state(device)
            ):
                yield node

    def place(self, node: fx.Node, name: str, aliases: tuple[str, ...]) -> Place:
        """What lies before a legal cut."""
        device = self.before[node]
        held = {storage for storage, users in self.users.items() if users & device}
        return Place(
            name=name,
            aliases=aliases,
            node=node,
            device_nodes=tuple(n for n in self.nodes if self.bit[n] & device),
            server_nodes=tuple(n for n in self.nodes if self._runs_on_server(n, device)),
            device_parameters=tuple(p for s, p in self.parameters.items() if s in held),
            device_buffers=tuple(b for s, b in self.buffers.items() if s in held),
        )

    def _readers(self, node: fx.Node) -> int:
        return sum(self.bit[user] for user in node.users if user not in self.sizes)

    def _stands_alone(self, node: fx.Node, device: int) -> bool:
        return all(
            self.readers[other] & ~device == 0
            for other in self.nodes
            if self.bit[other] & device
            and other is not node
            and other not in self.sizes
            and other not in self.constants
        )

    def _runs_on_server(self, node: fx.Node, device: int) -> bool:
        if node in self.sizes or node.op == "placeholder":
            return False
        return not self.bit[node] & device or node in self.constants

    def _constants(self) -> set[fx.Node]:
        """Tensors made of sizes and constants alone, of no input and no state."""
        used = 0
        for users in self.users.values():
            used |= users
        found: set[fx.Node] = set()
        for node in self.nodes:
            plain = node.op in ("call_function", "call_method", "get_attr")
            made = all(n in self.sizes or n in found for n in node.all_input_nodes)
            if plain and made and node not in self.sizes and not self.bit[node] & used:
                found.add(node)
        return found

    def _divides_state(self, device: int) -> bool:
        if any(users & device and users & ~device for users in self.users.values()):
            return False
        trained = [users for s, users in self.users.items() if s in self.parameters]
        return any(u & device for u in trained) and any(u & ~device for u in trained)

    def _state_users(self) -> dict[int, int]:
        """For each parameter and buffer, by storage, the nodes that use it."""
        state = {storage_id(t) for t in [*self.model.parameters(), *self.model.buffers()]}
        users: dict[int, int] = {}
        for node in self.nodes:
            for tensor in _held_by(node, self.model):
                if storage_id(tensor) in state:
                    users[storage_id(tensor)] = users.get(storage_id(tensor), 0) | self.bit[node]
        return users


def _held_by(node: fx.Node, model: nn.Module) -> list[Tensor]:
    if node.op == "call_module":
        module = model.get_submodule(str(node.target))
        return [*module.parameters(), *module.buffers()]
    if node.op == "get_attr":
        path, _, name = str(node.target).rpartition(".")
        value = getattr(model.get_submodule(path), name)
        return [value] if isinstance(value, Tensor) else []
    return []


def storage_id(tensor: torch.Tensor) -> int:
    """Tells tied tensors, also views of one memory, by what they share."""
    return int(tensor.untyped_storage()._cdata)


def _without_shadowing(places: list[Place]) -> Iterator[Place]:
    """Drops aliases that are names, or were aliases, of other cuts."""
    known = {place.name for place in places}
    for place in places:
        aliases = tuple(alias for alias in place.aliases if alias not in known)
        known.update(aliases)
        yield evolve(place, aliases=aliases)
