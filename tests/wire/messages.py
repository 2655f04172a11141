"""One message of every kind, with every field set. The recorded corpus holds their bytes."""

from __future__ import annotations

import numpy as np

from runtime.frames import Chunk, Grant, Offer, Receipt, Session
from runtime.ids import DeviceId
from runtime.letters import (
    AttemptKey,
    DeviceReport,
    Gradient,
    Probe,
    ProbeReport,
    ProgramDelivery,
    ProgramRequest,
    Refusal,
    RoundOrder,
    RoundResult,
    Step,
    StepTimes,
)
from runtime.optimisers import OptimiserSpec
from runtime.presence import CoordinatorPresence, DevicePresence, Limits
from runtime.recipe import Recipe
from runtime.schedules import ScheduleSpec
from runtime.tensors import DTYPES, pack

_SESSION = Session(coordinator=1_790_000_000, device=1_790_000_001)
_ATTEMPT = AttemptKey(3, 2)
_DIGEST = "ab" * 32
_RECIPE = Recipe(7, 100, 20, OptimiserSpec("sgd", lr=0.1), ScheduleSpec())
_TENSORS = {
    name: pack((np.arange(6).reshape(2, 3) % 2).astype(dtype)) for name, dtype in DTYPES.items()
}
_REPORT = DeviceReport(12_345_678, 11_111_111, StepTimes(0.5, 0.75, 1.25), 3)
_MEASURED = DeviceReport(
    12_345_678, 11_111_111, StepTimes(0.5, 0.75, 1.25), 3, 0.125, 0.375, 1_250_000.0
)
_ORDER = RoundOrder(
    "run-1", AttemptKey(3, 0), _DIGEST, "layer2.1", 32, 1, 640, "int8", "fp16", _RECIPE, _TENSORS
)

MESSAGES: dict[str, object] = {
    "frame-offer-inline": Offer(_SESSION, 1, "step", 2, b"\x01" * 32, b"hi"),
    "frame-offer-large": Offer(_SESSION, 2, "order", 25_000_000, b"\x02" * 32),
    "frame-offer-pieces": Offer(_SESSION, 2, "order", 25_000_000, b"\x02" * 32, piece=15_000),
    "frame-offer-answering": Offer(_SESSION, 3, "gradient", 2, b"\x03" * 32, b"ho", 7),
    "frame-grant": Grant(_SESSION, 2, ((0, 65_536), (65_536, 4_096))),
    "frame-grant-ahead": Grant(_SESSION, 3, ((0, 4_096),), 65_536),
    "frame-chunk": Chunk(_SESSION, 2, 65_536, 0xDEADBEEF, b"\x00\xff" * 8),
    "frame-receipt": Receipt(_SESSION, 2),
    "frame-receipt-refusal": Receipt(_SESSION, 3, "25 bytes are more than the limit of 24"),
    "letter-order": RoundOrder(
        "run-1", _ATTEMPT, _DIGEST, "layer2.1", 32, 2, 640, "int8", "fp16", _RECIPE, _TENSORS
    ),
    "letter-step": Step("run-1", _ATTEMPT, 4, 1, _TENSORS),
    "letter-gradient": Gradient("run-1", _ATTEMPT, 4, 1, _TENSORS),
    "letter-result": RoundResult("run-1", _ATTEMPT, 640, _TENSORS, _REPORT),
    "letter-result-measured": RoundResult("run-1", _ATTEMPT, 640, _TENSORS, _MEASURED),
    "letter-result-whole": RoundResult(
        "run-1", _ATTEMPT, 640, _TENSORS, DeviceReport(mean_loss=1.25)
    ),
    "letter-probe": Probe(_ORDER, b"\0" * 8),
    "letter-probe-report": ProbeReport(
        "run-1", AttemptKey(3, 0), "layer2.1", _MEASURED, b"\0" * 8
    ),
    "letter-program-request": ProgramRequest(_DIGEST),
    "letter-program": ProgramDelivery(_DIGEST, b"\x08\x07program"),
    "letter-refusal": Refusal("run-1", _ATTEMPT, "the program needs 2.8 GB"),
    "presence-device": DevicePresence(
        DeviceId("board-1"), 1_790_000_001, "online", 0, 1000, "1.22.0", 17,
        ("fp32", "int8"), ("sgd", "adam"), Limits(64_000_000, 32_000_000, 512_000_000),
    ),
    "presence-device-lost": DevicePresence(
        DeviceId("board-1"), 1_790_000_001, "lost", protocol=0
    ),
    "presence-coordinator": CoordinatorPresence(
        1_790_000_000, "online", "run-1", protocol=0
    ),
}  # fmt: skip
