"""The tensors that a module holds: what learns, what moves, and what never leaves it."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen
from torch import Tensor, nn

from runtime.program import Tie


@frozen
class ModuleState:
    """The tensors of a module, each once, in the order of the module.

    Parameters and buffers go by their first `state_dict` key, and `ties` names the others.
    Constants are buffers outside the `state_dict`.
    """

    parameters: Mapping[str, Tensor]
    buffers: Mapping[str, Tensor]
    constants: Mapping[str, Tensor]
    ties: tuple[Tie, ...]

    @classmethod
    def of(cls, module: nn.Module) -> ModuleState:
        """Reads the state of `module`; the tensors are the module's own."""
        kept = module.state_dict(keep_vars=True)
        first: dict[int, str] = {}
        for key, tensor in kept.items():
            first.setdefault(id(tensor), key)
        own = {key: kept[key] for key in first.values()}
        return cls(
            parameters={k: t for k, t in own.items() if isinstance(t, nn.Parameter)},
            buffers={k: t for k, t in own.items() if not isinstance(t, nn.Parameter)},
            constants={k: t for k, t in module.named_buffers() if id(t) not in first},
            ties=tuple(Tie(k, first[id(t)]) for k, t in kept.items() if k not in own),
        )

    @property
    def all(self) -> dict[str, Tensor]:
        """Every tensor by name, in the order in which captured graphs take them."""
        return {**self.parameters, **self.buffers, **self.constants}
