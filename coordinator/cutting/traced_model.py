"""Where a model can be cut, what each cut costs, and the two parts it leaves.

A cut is legal where exactly one floating-point tensor with the batch first crosses, no parameter
or buffer is used on both sides, and neither side is empty of parameters.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from attrs import evolve, field, frozen
from torch import Tensor, fx, nn

from coordinator.cutting.cut_search import Place, find_places, whole_place
from coordinator.cutting.node_costs import NodeCosts, measure_nodes
from coordinator.cutting.segments import Segment, build_device, build_server
from coordinator.cutting.tracing import trace_graph
from runtime.errors import ModelError
from runtime.program import WHOLE_MODEL

FLOAT32_BYTES = 4
COPIES_OF_PARAMETERS = 4
"""Value, gradient and two optimiser slots: what Adam holds, the hungriest of our optimisers."""


@frozen
class Cut:
    """One legal cut and what it asks of a device.

    Attributes:
        name: path of the outermost module that ends here (`layer2`, `features.4`); after a bare
            function, the last cut's path and the function (`conv1+relu`); `:2` on a second call.
        aliases: paths of the other modules that end here (`layer2.1`), accepted as names too.
        smashed_shape: shape of the activations, without the batch.
        smashed_bytes_per_sample: their size in float32.
        device_flops_per_sample: forward operations of the device's part in matrix products and
            convolutions; a multiply-add is two. The backward pass takes about twice as many.
        device_parameters: how many numbers the device trains.
        device_parameter_bytes: their size.
        training_memory_bytes_per_sample: estimate: what autograd keeps of one sample, plus twice
            the inputs and outputs of the biggest operation, for its gradients and workspace.
        training_memory_fixed_bytes: estimate: four times the parameters (value, gradient, two
            optimiser slots) plus the buffers. The runtime itself comes on top.
    """

    name: str
    aliases: tuple[str, ...]
    smashed_shape: tuple[int, ...]
    smashed_bytes_per_sample: int
    device_flops_per_sample: int
    device_parameters: int
    device_parameter_bytes: int
    training_memory_bytes_per_sample: int
    training_memory_fixed_bytes: int

    def training_memory_bytes(self, batch: int) -> int:
        """The estimate for a batch: a prior, which a device's own measurement replaces."""
        return self.training_memory_fixed_bytes + batch * self.training_memory_bytes_per_sample


@frozen
class Split:
    """The two parts of a model; their state_dict keys are the model's, disjoint and complete."""

    device: Segment
    server: Segment


@frozen
class TracedModel:
    """A model, its graph, and its legal cuts in order from input to output.

    Attributes:
        cuts: the same in train and eval mode.
        whole: the whole model as one more cut, for devices that train it all by themselves; its
            `smashed_shape` is that of the output, of which nothing is sent. None where the output
            is not one float tensor with the batch first.
        flops_per_sample: forward operations of the whole model, counted as in `Cut`.
        parameters: how many numbers the whole model holds.
    """

    cuts: tuple[Cut, ...]
    whole: Cut | None
    flops_per_sample: int
    parameters: int
    _model: nn.Module = field(repr=False)
    _graph: fx.Graph = field(repr=False)
    _costs: Mapping[fx.Node, NodeCosts] = field(repr=False)
    _places: tuple[Place, ...] = field(repr=False)

    @property
    def places(self) -> tuple[Cut, ...]:
        """All cuts, the whole model last."""
        return (*self.cuts, self.whole) if self.whole else self.cuts

    def cut(self, name: str) -> Cut:
        """The cut of that name or alias, or the whole model.

        Raises ModelError, naming near ones.
        """
        return self.places[self._index(name)]

    def split(self, name: str) -> Split:
        """The device's and the server's part at a cut.

        Both are built of the traced model's own modules and parameters: training one trains the
        model, so a caller who wants copies takes them with `copy.deepcopy`. Sizes other than the
        batch that cross the cut are those of the example inputs. Of the whole model, what no
        node uses is left to the server. Raises ModelError for an unknown cut.
        """
        place = self._places[self._index(name)]
        return Split(
            device=build_device(self._model, self._graph, place),
            server=build_server(self._model, place, self._costs),
        )

    def _index(self, name: str) -> int:
        if name == WHOLE_MODEL and self.whole:
            return len(self.cuts)
        if name == WHOLE_MODEL:
            raise ModelError(
                "the model cannot be trained whole on a device: its output is not one float "
                "tensor with the batch first"
            )
        for index, cut in enumerate(self.cuts):
            if name in (cut.name, *cut.aliases):
                return index
        known = [name for cut in self.cuts for name in (cut.name, *cut.aliases)]
        near = difflib.get_close_matches(name, known, n=3) or [cut.name for cut in self.cuts[:8]]
        raise ModelError(f"the model has no cut {name!r}; there is {', '.join(near)}")


def trace(model: nn.Module, example_inputs: Sequence[Tensor]) -> TracedModel:
    """Traces a model and finds its cuts.

    `example_inputs` are what forward takes, with the batch first; only shapes and types count.
    The model keeps its values and its mode; modules that worked in place no longer do. Raises
    ModelError when the model cannot be traced, does not fit the inputs, or has no legal cut.
    """
    graph = trace_graph(model, len(example_inputs))
    costs = measure_nodes(model, graph, example_inputs)
    places = find_places(model, graph, costs)
    if not places:
        raise ModelError(
            f"{type(model).__name__} has no legal cut: nowhere does a single float tensor with "
            "the batch first separate two parts that share no parameter or buffer"
        )
    whole = whole_place(model, graph, costs)
    return TracedModel(
        cuts=tuple(_describe(place, costs) for place in places),
        whole=evolve(_describe(whole, costs), smashed_bytes_per_sample=0) if whole else None,
        flops_per_sample=sum(cost.flops for cost in costs.values()),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        model=model,
        graph=graph,
        costs=costs,
        places=(*places, whole) if whole else places,
    )


def _describe(place: Place, costs: Mapping[fx.Node, NodeCosts]) -> Cut:
    shape = costs[place.node].shape
    assert shape is not None  # find_places gives no other
    device = [costs[node] for node in place.device_nodes]
    parameter_bytes = sum(p.numel() * p.element_size() for p in place.device_parameters)
    buffer_bytes = sum(b.numel() * b.element_size() for b in place.device_buffers)
    size = FLOAT32_BYTES
    for length in shape:
        size *= length
    return Cut(
        name=place.name,
        aliases=place.aliases,
        smashed_shape=shape,
        smashed_bytes_per_sample=size,
        device_flops_per_sample=sum(cost.flops for cost in device),
        device_parameters=sum(p.numel() for p in place.device_parameters),
        device_parameter_bytes=parameter_bytes,
        training_memory_bytes_per_sample=sum(cost.saved_bytes for cost in device)
        + 2 * max(cost.working_bytes for cost in device),
        training_memory_fixed_bytes=COPIES_OF_PARAMETERS * parameter_bytes + buffer_bytes,
    )
