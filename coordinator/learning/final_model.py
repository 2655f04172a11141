"""What a finished run hands over: the weights, and the whole model as ONNX."""

from __future__ import annotations

import torch
from safetensors.numpy import save

from coordinator.compiling.whole_model import export_model
from coordinator.job import Job
from coordinator.learning.checkpoint import weights_of
from coordinator.learning.training import CoordinatorExecutor
from coordinator.record.run_record import RunRecord
from runtime.atomic_file import write_atomically


def save_final_model(executor: CoordinatorExecutor, job: Job, record: RunRecord) -> None:
    """Writes the weights as safetensors and the model in eval mode as ONNX. Raises StorageError."""
    write_atomically(record.final_weights_path, save(weights_of(executor.state)))
    dtype = torch.int64 if job.input.dtype == "int64" else torch.float32
    example = torch.zeros(1, *job.input.shape, dtype=dtype)
    write_atomically(record.final_onnx_path, export_model(executor.model, (example,)))
