"""What coordinator and agents say to each other, whatever carries it.

A letter names its run, round and attempt: one *attempt* is one try of one device at one round,
and a letter of any other attempt is dropped. The envelope (`runtime.frames`) adds the device
and both incarnations.
"""

from __future__ import annotations

from attrs import field, fields, validators

from runtime.program import WHOLE_MODEL
from runtime.recipe import Recipe
from runtime.tensors import PackedTensor
from runtime.value import value

Tensors = dict[str, PackedTensor]
SMASHED, LABELS, GRADIENT = "smashed", "labels", "gradient"
"""Names of tensors in steps and gradients; the parts of a codec add suffixes to them."""
_natural = validators.ge(0)
_LONGEST_REASON = 500
_LARGEST_FIGURE = 1e18
_SMALLEST_FIGURE = 1e-18
"""Of those that are not 0, which tells nothing. No board is so fast, not even a modelled one."""


def _shortened(reason: str) -> str:
    """Keeps the beginning of a reason: it goes on record, and a peer may write a book."""
    return reason if len(reason) <= _LONGEST_REASON else f"{reason[:_LONGEST_REASON]}..."


def _refuse_absurd(report: StepTimes | DeviceReport) -> None:
    """Raises ValueError for figures that nobody measured: NaN, infinite, negative, huge or tiny.

    Planners divide by them, and what comes of that has to be a number too. A loss alone may be
    negative, and however near to 0.
    """
    for one in fields(type(report)):
        value = getattr(report, one.name)
        if isinstance(value, int | float) and not _can_be_measured(one.name, value):
            raise ValueError(f"{one.name} is {value}")


def _can_be_measured(name: str, value: float) -> bool:
    if name == "mean_loss":
        return abs(value) <= _LARGEST_FIGURE
    return value == 0 or _SMALLEST_FIGURE <= value <= _LARGEST_FIGURE


@value(order=True)
class AttemptKey:
    """Orders attempts in time; a later one supersedes an earlier one."""

    round: int = field(validator=_natural)
    number: int = field(validator=_natural)


@value
class RoundOrder:
    """Coordinator to device: train this round.

    `program` is the digest of the segment program; `tensors` the layer state to start from
    (parameters, buffers, and slots as `key#slot`); `position` the index of the first sample in
    the device's data order.
    """

    run: str
    attempt: AttemptKey
    program: str
    cut: str
    batch: int = field(validator=validators.ge(1))
    micro_batches: int = field(validator=validators.ge(1))
    position: int = field(validator=_natural)
    codec_up: str
    codec_down: str
    recipe: Recipe
    tensors: Tensors

    @property
    def is_whole_model(self) -> bool:
        """Tells whether the device trains everything: no step is sent, no gradient awaited."""
        return self.cut == WHOLE_MODEL


@value
class Step:
    """Device to coordinator: a named set of tensors of one micro-batch (smashed data, labels)."""

    run: str
    attempt: AttemptKey
    step: int = field(validator=_natural)
    micro_batch: int = field(validator=_natural)
    tensors: Tensors


@value
class Gradient:
    """Coordinator to device: the gradient at the cut for one micro-batch."""

    run: str
    attempt: AttemptKey
    step: int = field(validator=_natural)
    micro_batch: int = field(validator=_natural)
    tensors: Tensors


@value
class StepTimes:
    """Quantiles of the wall time of a local step's compute on the device, in seconds."""

    p50_s: float = 0.0
    p90_s: float = 0.0
    max_s: float = 0.0

    def __attrs_post_init__(self) -> None:
        _refuse_absurd(self)


@value
class DeviceReport:
    """How the round went on the device."""

    peak_rss_bytes: int = 0
    pss_bytes: int = 0
    step: StepTimes = StepTimes()
    overruns: int = 0
    """Steps whose real work took longer than the emulated board's time."""
    forward_s: float = 0.0
    backward_s: float = 0.0
    """Medians of the compute of a local step before and after the server's part of it."""
    downlink_bytes_per_s: float = 0.0
    """How fast the coordinator's bytes arrived, as far as they were enough to tell."""
    mean_loss: float | None = None
    """Over all steps of a device that trained the whole model; others never see a loss."""

    def __attrs_post_init__(self) -> None:
        _refuse_absurd(self)


@value
class RoundResult:
    """Device to coordinator: the layer state after the last local step."""

    run: str
    attempt: AttemptKey
    samples: int = field(validator=_natural)
    tensors: Tensors
    report: DeviceReport = DeviceReport()


@value
class Probe:
    """Coordinator to device: run the steps of this order for the stopwatch alone.

    No step is sent, gradients are zeros, and nothing of it is kept. The order's attempt lies
    between those that were made at the round before and those to come, which supersede it: it has
    the number 0 unless the round is made again. The report carries `ballast` back: both transfers
    show how fast the link is.
    """

    order: RoundOrder
    ballast: bytes = b""


@value
class ProbeReport:
    """Device to coordinator: what the steps of a probe took, and its ballast."""

    run: str
    attempt: AttemptKey
    cut: str
    report: DeviceReport
    ballast: bytes = b""


@value
class ProgramRequest:
    """Device to coordinator: I do not hold this program."""

    digest: str


@value
class ProgramDelivery:
    """Coordinator to device: the program with this digest."""

    digest: str
    body: bytes


@value
class Refusal:
    """Device to coordinator: this attempt cannot be run here, and why (in short)."""

    run: str
    attempt: AttemptKey
    reason: str = field(converter=_shortened)


Letter = (
    RoundOrder
    | Step
    | Gradient
    | RoundResult
    | Probe
    | ProbeReport
    | ProgramRequest
    | ProgramDelivery
    | Refusal
)

LETTERS: dict[str, type[Letter]] = {
    "order": RoundOrder,
    "step": Step,
    "gradient": Gradient,
    "result": RoundResult,
    "probe": Probe,
    "probe-report": ProbeReport,
    "program-request": ProgramRequest,
    "program": ProgramDelivery,
    "refusal": Refusal,
}
ANSWERED = frozenset({"step", "gradient"})
"""Kinds of letter that a letter the other way follows, so that receipts can ride on it."""
KINDS: dict[type[Letter], str] = {letter: kind for kind, letter in LETTERS.items()}
