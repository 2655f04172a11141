"""A tiny segment program made by hand, and what a hostile coordinator would make of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
import numpy as np
import onnx
from onnx import TensorProto, helper

from runtime.letters import AttemptKey, RoundOrder
from runtime.optimisers import OptimiserSpec
from runtime.program import (
    IR_VERSION,
    OPSET,
    GradientOutput,
    Manifest,
    MaskSpec,
    SavedTensor,
    SegmentProgram,
    TensorSpec,
)
from runtime.recipe import Recipe
from runtime.schedules import ScheduleSpec
from runtime.tensors import pack

X, W, G = (2, 3), (3, 4), (2, 4)
Node = onnx.NodeProto


def model(
    nodes: Sequence[Node],
    inputs: dict[str, tuple[int, ...]],
    outputs: dict[str, tuple[int, ...]],
    initializers: Sequence[TensorProto] = (),
) -> bytes:
    """A graph of float32 tensors by name."""

    def infos(shapes: dict[str, tuple[int, ...]]) -> list[onnx.ValueInfoProto]:
        return [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in shapes.items()]

    graph = helper.make_graph(nodes, "graph", infos(inputs), infos(outputs), initializers)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    made.ir_version = IR_VERSION
    return bytes(made.SerializeToString())


def forward(
    *more: Node, last: str = "x", initializers: Sequence[TensorProto] = (), output: str = "smashed"
) -> bytes:
    """`x` times the weight, where `more` nodes may make the tensor `last` that stands for it."""
    nodes = [*more, helper.make_node("MatMul", [last, "weight"], [output])]
    return model(nodes, {"x": X, "weight": W}, {output: G}, initializers)


def backward() -> bytes:
    nodes = [
        helper.make_node("Transpose", ["x"], ["xt"], perm=[1, 0]),
        helper.make_node("MatMul", ["xt", "g"], ["dw"]),
    ]
    return model(nodes, {"x": X, "g": G}, {"dw": W})


GOOD = SegmentProgram(
    Manifest(
        cut="middle",
        batch=2,
        codec="fp32",
        inputs=(TensorSpec("x", "float32", X),),
        parameters=(TensorSpec("weight", "float32", W),),
        ties=(),
        buffers=(),
        buffer_updates=(),
        masks=(),
        smashed=TensorSpec("smashed", "float32", G),
        smashed_parts=(TensorSpec("smashed", "float32", G),),
        saved=(SavedTensor("x", "input"),),
        cut_gradient="g",
        gradients=(GradientOutput("weight", "dw"),),
        prediction="p",
        flops_per_sample=24,
        memory_bytes=1000,
        kernel_forms="by hand",
    ),
    forward(),
    backward(),
    forward(output="p"),
)


def order(program: SegmentProgram, position: int = 0, batch: int = 2) -> RoundOrder:
    """The order to train one step of `program`."""
    recipe = Recipe(1, 1, 1, OptimiserSpec("sgd", lr=0.1), ScheduleSpec())
    weight = pack(np.ones(W, np.float32))
    return RoundOrder(
        "run", AttemptKey(1, 1), program.digest, "middle", batch, 1, position, "fp32", "fp32",
        recipe, {"weight": weight},
    )  # fmt: skip


def _huge() -> bytes:
    """69 bytes of nodes that take 3 GB; the manifest declares a kilobyte."""
    shape = helper.make_tensor("shape", TensorProto.INT64, [1], [750_000_000])
    fill = helper.make_tensor("value", TensorProto.FLOAT, [1], [1.0])
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["huge"], value=fill),
        helper.make_node("ReduceMean", ["huge"], ["one"], keepdims=0),
        helper.make_node("Mul", ["x", "one"], ["y"]),
    ]
    return forward(*nodes, last="y", initializers=[shape])


def _external(location: str) -> bytes:
    stolen = TensorProto(name="stolen", data_type=TensorProto.FLOAT, dims=[2, 3])
    stolen.data_location = TensorProto.EXTERNAL
    stolen.external_data.add(key="location", value=location)
    return forward(last="stolen", initializers=[stolen])


def _external_constant(location: str) -> bytes:
    stolen = TensorProto(name="stolen", data_type=TensorProto.FLOAT, dims=[2, 3])
    stolen.data_location = TensorProto.EXTERNAL
    stolen.external_data.add(key="location", value=location)
    return forward(helper.make_node("Constant", [], ["stolen"], value=stolen), last="stolen")


def _endless() -> bytes:
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["going"], ["still"]),
            helper.make_node("Identity", ["v"], ["w"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("number", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", TensorProto.FLOAT, X),
        ],
        [
            helper.make_tensor_value_info("still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("w", TensorProto.FLOAT, X),
        ],
    )
    yes = helper.make_tensor("yes", TensorProto.BOOL, [], [True])
    return forward(
        helper.make_node("Loop", ["", "yes", "x"], ["y"], body=body), last="y", initializers=[yes]
    )


def _foreign_operator() -> bytes:
    return forward(helper.make_node("Shell", ["x"], ["y"], domain="evil"), last="y")


def _with(graph: Callable[[], bytes]) -> SegmentProgram:
    return attrs.evolve(GOOD, forward=graph())


def _saying(**facts: Any) -> SegmentProgram:
    return attrs.evolve(GOOD, manifest=attrs.evolve(GOOD.manifest, **facts))


HOSTILE: dict[str, SegmentProgram] = {
    "more memory than declared": _with(_huge),
    "a file of the board": _with(lambda: _external("../../etc/hostname")),
    "a file of the board in a constant": _with(lambda: _external_constant("secret")),
    "a loop without end": _with(_endless),
    "an operator of its own": _with(_foreign_operator),
    "no graph at all": attrs.evolve(GOOD, forward=b"\x00\xff junk"),
    "an empty graph": attrs.evolve(GOOD, forward=b""),
    "a graph for flatbuffers": attrs.evolve(GOOD, forward=b"\x1c\0\0\0ORTM" + bytes(200)),
    "saves what is not there": _saying(saved=(SavedTensor("nothing", "output"),)),
    "learns what is not there": _saying(gradients=(GradientOutput("nothing", "dw"),)),
    "a gradient that is not there": _saying(gradients=(GradientOutput("weight", "nothing"),)),
    "a mask for all the memory": _saying(masks=(MaskSpec("m", (2**31,), 0.5),)),
    "a mask without end": _saying(masks=(MaskSpec("m", (2**62, 2**62), 0.5),)),
    "a parameter for all the memory": _saying(
        parameters=(TensorSpec("weight", "float32", (2**40, 2**20)),)
    ),
    "a cut of another shape": _saying(smashed=TensorSpec("smashed", "float32", (2**40, 4))),
    "declares too much": _saying(memory_bytes=2**50),
}
ORDERS: dict[str, RoundOrder] = {
    "a position beyond all": order(GOOD, position=2**64 - 1),
    "a batch of another size": order(GOOD, batch=2**40),
}
