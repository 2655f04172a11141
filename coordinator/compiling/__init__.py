"""Compiles the device part of a model into plain ONNX graphs that stock onnxruntime trains."""

from __future__ import annotations

from coordinator.compiling.compiler import compile_segment

__all__ = ["compile_segment"]
