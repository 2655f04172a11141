"""What onnxruntime must not be given, found in the bytes of a graph before it sees them.

A tensor may say that its values lie in a file. onnxruntime reads such a file relative to the
working directory, `..` included, also for a model that came as bytes: a program could have
sent any file of a board as its activations. Subgraphs (If, Loop, Scan) and functions are not
needed, and could run without end. Field numbers are those of onnx.proto3.
"""

from __future__ import annotations

from collections.abc import Iterator

from runtime.errors import ProgramError

_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5
_LONGEST_VARINT_BYTES = 10

_INNER: dict[str, dict[int, str]] = {
    "model": {7: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 10: "tensor", 22: "sparse tensor", 23: "sparse tensor"},
    "sparse tensor": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
"""Which fields of a message hold messages that are looked into."""
_FORBIDDEN: dict[str, dict[int, str]] = {
    "model": {20: "training information", 25: "functions"},
    "attribute": {6: "a subgraph", 11: "subgraphs"},
    "tensor": {13: "a tensor in a file", 14: "a tensor in a file"},
}


def check_graph(model: bytes) -> None:
    """Raises ProgramError for bytes that are no ONNX model, or one that asks for more than its
    inputs and operators."""
    pending = [("model", memoryview(model))]
    seen_graph = False
    while pending:
        kind, message = pending.pop()
        for number, content in _fields(message):
            if forbidden := _FORBIDDEN.get(kind, {}).get(number):
                raise ProgramError(f"the graph has {forbidden}; boards take none")
            inner = _INNER[kind].get(number)
            if inner is not None:
                seen_graph = seen_graph or inner == "graph"
                pending.append((inner, content))
    if not seen_graph:
        raise ProgramError("the graph is no ONNX model")


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yields number and content of each field; content is empty where it is a number."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == _BYTES:
            size, at = _varint(message, at)
            start, at = at, at + size
        elif wire_type == _VARINT:
            _, at = _varint(message, at)
            start = at
        elif wire_type in (_FIXED_32, _FIXED_64):
            at += 4 if wire_type == _FIXED_32 else 8
            start = at
        else:
            raise ProgramError("the graph is no ONNX model")
        if at > len(message) or number == 0:
            raise ProgramError("the graph is no ONNX model")
        yield number, message[start:at]


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for index in range(_LONGEST_VARINT_BYTES):
        if at + index >= len(message):
            break
        byte = message[at + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, at + index + 1
    raise ProgramError("the graph is no ONNX model")
