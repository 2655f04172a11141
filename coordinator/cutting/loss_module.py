"""A job's loss as the last layer of a segment, for devices that train the whole model."""

from __future__ import annotations

import copy
from collections.abc import Callable

from torch import Tensor, nn

from coordinator.cutting.segments import Segment

_PATH = "edgesplit_loss"


class LossModule(nn.Module):
    """(outputs, labels) -> mean loss without dimensions.

    Tensors that the function holds (weights of classes, say) are constants: they are in no
    state_dict, and nothing trains them.
    """

    def __init__(self, objective: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.objective = objective
        if isinstance(objective, nn.Module):
            self.objective = copy.deepcopy(objective)
            for part in self.objective.modules():
                _hold_fast(part)

    def forward(self, outputs: Tensor, labels: Tensor) -> Tensor:
        return self.objective(outputs, labels).reshape(())


def append_loss(segment: Segment, objective: Callable[[Tensor, Tensor], Tensor]) -> Segment:
    """Lets a segment that yields the model's outputs yield their loss; takes labels as well.

    Changes `segment` and returns it. Its state_dict stays as it was.
    """
    (end,) = (node for node in segment.graph.nodes if node.op == "output")
    segment.add_submodule(_PATH, LossModule(objective))
    with segment.graph.inserting_before(end):
        labels = segment.graph.placeholder("labels")
        loss = segment.graph.call_module(_PATH, (end.args[0], labels))
    end.args = (loss,)
    segment.recompile()
    return segment


def _hold_fast(module: nn.Module) -> None:
    """Turns parameters and buffers of a module into buffers that are in no state_dict."""
    held = [
        *module.named_parameters(recurse=False),
        *module.named_buffers(recurse=False),
    ]
    for name, tensor in held:
        delattr(module, name)
        module.register_buffer(name, tensor.detach(), persistent=False)
