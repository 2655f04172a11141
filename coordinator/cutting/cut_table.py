"""The table that `edgesplit cuts` prints."""

from __future__ import annotations

from coordinator.cutting.traced_model import Cut, TracedModel

HEADINGS = (
    "cut",
    "shape",
    "MFLOP/sample",
    "share",
    "parameters",
    "KiB/sample",
    "training MiB",
)


def render_cuts(traced: TracedModel, batch: int) -> str:
    """One line per cut, from input to output, the whole model last, under a line of headings.

    MFLOP/sample is the device's forward pass and `share` its part of the whole model's; KiB/sample
    the activations in float32; training MiB the estimate for `batch` samples (see `Cut`).
    """
    rows = [HEADINGS, *(_row(cut, traced.flops_per_sample, batch) for cut in traced.places)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    note = (
        f"{len(traced.cuts)} cuts of a model with {traced.parameters:,} parameters; "
        f"training memory estimated at batch {batch}"
    )
    return "\n".join([*(_line(row, widths) for row in rows), "", note])


def _row(cut: Cut, whole_flops: int, batch: int) -> tuple[str, ...]:
    share = cut.device_flops_per_sample / whole_flops if whole_flops else 0.0
    sends = cut.smashed_bytes_per_sample > 0
    return (
        cut.name,
        "x".join(map(str, cut.smashed_shape)) if sends else "-",
        f"{cut.device_flops_per_sample / 1e6:,.2f}",
        f"{share:.1%}",
        f"{cut.device_parameters:,}",
        f"{cut.smashed_bytes_per_sample / 2**10:,.2f}",
        f"{cut.training_memory_bytes(batch) / 2**20:,.1f}",
    )


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    """Names to the left, numbers to the right."""
    cells = [
        cell.ljust(width) if place < 2 else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()
