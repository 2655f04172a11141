"""A model's forward as a torch.fx graph whose nodes know the modules that end at them.

The leaves are the modules of `torch.nn`, so that train and eval mode still switch on every part.
Everything else is traced through, and must therefore not depend on tensor values or on
`self.training`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 (its name everywhere)
from torch import fx, nn

from runtime.errors import ModelError

ENDS = "module_ends"
"""Key of `Node.meta`: paths of the modules whose output the node is, the outermost first."""

_RANDOM_FUNCTIONS = frozenset(
    {F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout}
    | {torch.dropout, torch.bernoulli, torch.rand_like, torch.randn_like, torch.randint_like}
    | {torch.rand, torch.randn, torch.randint, torch.randperm, torch.normal}
)


def trace_graph(model: nn.Module, inputs: int) -> fx.Graph:
    """The graph of `model.forward` for its first `inputs` arguments; the others keep defaults.

    Dead nodes are gone and in-place operations are turned into ordinary ones (on the modules of
    `model` too: `inplace` becomes False, which changes no value). Raises ModelError with what to
    change when forward cannot be traced, differs between train and eval mode, draws random
    numbers of its own, or overwrites a tensor that it reads again.
    """
    with training_flags_kept(model):
        model.eval()
        graph, tracer = _traced(model, inputs)
        in_eval = str(graph)
        tracer.forget_constants()
        model.train()
        graph, _ = _traced(model, inputs)
    if str(graph) != in_eval:
        raise ModelError(
            f"{_name(model)}.forward does different things in train and eval mode: replace code "
            "that reads self.training by modules of torch.nn (nn.Dropout, nn.BatchNorm2d, ...)"
        )
    _refuse_random(graph)
    _replace_in_place(graph, model)
    drop_dead(graph)
    return graph


@contextmanager
def training_flags_kept(model: nn.Module) -> Iterator[None]:
    """Puts every module's `training` back as it was."""
    flags = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, flag in flags:
            module.training = flag


class _Tracer(fx.Tracer):
    """Notes which modules end at a node, and where tracing failed."""

    proxy_buffer_attributes = True

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.inputs = inputs
        self.failed_in = ""

    def call_module(
        self,
        m: nn.Module,
        forward: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        path = self.path_of_module(m)
        try:
            output = super().call_module(m, forward, args, kwargs)
        except Exception:
            self.failed_in = self.failed_in or path
            raise
        # A module that hands its argument through (an empty shortcut) ends nowhere.
        if isinstance(output, fx.Proxy) and all(output is not arg for arg in args):
            ends = output.node.meta.get(ENDS, ())
            output.node.meta[ENDS] = (path, *ends)
        return output

    def _proxy_placeholder(
        self,
        name: str,
        concrete_args: dict[str, Any] | None,
        sig: inspect.Signature,
        fn_for_analysis: Callable[..., Any],
    ) -> Any:
        # `sig` is the function's: place 0 is self.
        if list(sig.parameters).index(name) > self.inputs:
            return sig.parameters[name].default
        return super()._proxy_placeholder(name, concrete_args, sig, fn_for_analysis)

    def forget_constants(self) -> None:
        """Takes back the tensors that tracing hung on the model."""
        for name in [n for n in vars(self.root) if n.startswith("_tensor_constant")]:
            delattr(self.root, name)


def _traced(model: nn.Module, inputs: int) -> tuple[fx.Graph, _Tracer]:
    _check_signature(model, inputs)
    tracer = _Tracer(inputs)
    try:
        return tracer.trace(model), tracer
    except Exception as error:
        where = f" (in {tracer.failed_in})" if tracer.failed_in else ""
        raise ModelError(
            f"{_name(model)} cannot be traced{where}: {error}. Its forward must run the same "
            "operations for every input: take out branches, loops and Python numbers that depend "
            "on tensor values or on the batch size"
        ) from error


def _check_signature(model: nn.Module, inputs: int) -> None:
    parameters = list(inspect.signature(model.forward).parameters.values())
    named = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
    required = [p for p in parameters if p.default is inspect.Parameter.empty]
    if any(p.kind not in named for p in parameters):
        raise ModelError(
            f"{_name(model)}.forward has *args, **kwargs or keyword-only arguments: name every "
            "input as an ordinary argument"
        )
    if not len(required) <= inputs <= len(parameters):
        raise ModelError(
            f"{_name(model)}.forward takes {len(required)} to {len(parameters)} inputs, the job "
            f"gives {inputs}: give the other arguments defaults or add inputs"
        )


def _refuse_random(graph: fx.Graph) -> None:
    for node in graph.nodes:
        if node.target in _RANDOM_FUNCTIONS or node.kwargs.get("dropout_p"):
            raise ModelError(
                f"{_where(node)} is called as a function and draws numbers that cannot be repeated "
                "from a seed: use the module nn.Dropout instead"
            )


def _replace_in_place(graph: fx.Graph, model: nn.Module) -> None:
    """A server segment must not overwrite the leaf tensor it is handed, so nothing may."""
    order = {node: place for place, node in enumerate(graph.nodes)}
    for node in graph.nodes:
        if not _works_in_place(node, model):
            continue
        if any(order[user] > order[node] for user in node.all_input_nodes[0].users):
            raise ModelError(
                f"{_where(node)} overwrites a tensor that is read again later: use the form that "
                "does not work in place"
            )
        _make_ordinary(node, model)


def _works_in_place(node: fx.Node, model: nn.Module) -> bool:
    if node.op == "call_module":
        return bool(getattr(model.get_submodule(str(node.target)), "inplace", False))
    if node.op not in ("call_function", "call_method"):
        return False
    if node.kwargs.get("inplace"):
        return True
    # operator.and_ and its like end in "_" because they would be keywords.
    name, home = function_name(node), getattr(node.target, "__module__", "")
    return name[-1] == "_" and name[-2:] != "__" and home != "_operator"


def _make_ordinary(node: fx.Node, model: nn.Module) -> None:
    if node.op == "call_module":
        model.get_submodule(str(node.target)).inplace = False  # type: ignore[assignment]
        return
    if "inplace" in node.kwargs:
        node.kwargs = {**node.kwargs, "inplace": False}
        return
    name = function_name(node).removesuffix("_")
    home = torch if node.op == "call_function" else torch.Tensor
    if not hasattr(home, name):
        raise ModelError(f"{_where(node)} works in place and has no ordinary form: rewrite it")
    node.target = name if node.op == "call_method" else getattr(torch, name)


def drop_dead(graph: fx.Graph) -> None:
    """Erases nodes whose output nobody reads; inputs stay."""
    for node in reversed(list(graph.nodes)):
        if not node.users and node.op not in ("placeholder", "output"):
            graph.erase_node(node)


def _where(node: fx.Node) -> str:
    stack = [path for path, _ in node.meta.get("nn_module_stack", {}).values()]
    return f"{function_name(node)!r} in {stack[-1] if stack else 'forward'}"


def function_name(node: fx.Node) -> str:
    """What a node calls, without its package."""
    return getattr(node.target, "__name__", str(node.target))


def _name(model: nn.Module) -> str:
    return type(model).__name__
