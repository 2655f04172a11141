"""The tables of the page, in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.paper.contenders import FEDAVG, PAPER, PRODUCT, SEQUENTIAL, SPLIT, Contender
from benchmarks.paper.results import Results
from benchmarks.paper.scene import BUDGETS_MBPS, MODELS
from benchmarks.paper.timing import Timing

STATIC = Contender("optimal", "fp32", "static")
TARGETS = {"vgg16": 0.75, "resnet18": 0.75}
ABLATION: Sequence[tuple[str, Contender]] = (
    ("the paper: alternating, static shares, fp32", PAPER),
    ("... cuts and shares chosen together", STATIC),
    ("... shares lent while idle", SPLIT),
    ("... int8 both ways, planned anew", PRODUCT),
)
_RIVALS = (
    PAPER,
    Contender("common-cut", "fp32", "static"),
    Contender("unpaced", "int8", "unpaced"),
    FEDAVG,
    SEQUENTIAL,
)
_BUDGETS = tuple(f"{budget:g} Mbit/s" for budget in BUDGETS_MBPS)


def tables(results: Results) -> dict[str, str]:
    """Returns every table by its name in the page."""
    named = {"headline": _headline(results), "proof": _proof(results), "steps": _steps(results)}
    for model in MODELS:
        named[f"cycles-{model}"] = _cycles(results, model)
        named[f"ablation-{model}"] = _ablation(results, model)
        named[f"accuracy-{model}"] = _accuracy(results, model)
        named[f"cuts-{model}"] = _cuts(results, model)
    named["prediction"] = _prediction(results)
    return named


def _cycles(results: Results, model: str) -> str:
    heads = ("planner", "codec", "shares", *_BUDGETS, *(f"x at {b:g}" for b in BUDGETS_MBPS))
    rows = []
    for one in results.contenders(model):
        times = [results.timing(model, budget, one).cycles.later_s for budget in BUDGETS_MBPS]
        best = [results.timing(model, budget, PRODUCT).cycles.later_s for budget in BUDGETS_MBPS]
        ratios = (f"{time / own:.2f}" for time, own in zip(times, best, strict=True))
        rows.append((*_named(one), *(f"{time:.1f}" for time in times), *ratios))
    return _table(heads, rows)


def _ablation(results: Results, model: str) -> str:
    rows: list[tuple[str, ...]] = []
    before: Contender | None = None
    for words, one in ABLATION:
        cells = []
        for budget in BUDGETS_MBPS:
            time_s = results.timing(model, budget, one).cycles.later_s
            gain = ""
            if before is not None:
                gain = f" ({results.timing(model, budget, before).cycles.later_s / time_s:.2f}x)"
            cells.append(f"{time_s:.1f}{gain}")
        rows.append((words, *cells))
        before = one
    whole = (
        results.timing(model, budget, PAPER).cycles.later_s
        / results.timing(model, budget, PRODUCT).cycles.later_s
        for budget in BUDGETS_MBPS
    )
    rows.append(("all together", *(f"**{ratio:.2f}x**" for ratio in whole)))
    return _table(("cycle, s", *_BUDGETS), rows)


def _accuracy(results: Results, model: str) -> str:
    target = TARGETS[model]
    heads = ("planner", "codec", "shares", f"cycles to {target:.0%}", *_BUDGETS)
    rows = []
    for one in results.contenders(model):
        cycles = results.curve(model, one).cycles_to(target)
        timings = [results.timing(model, budget, one) for budget in BUDGETS_MBPS]
        times = (_duration(results.seconds_to(timing, target)) for timing in timings)
        rows.append((*_named(one), "never" if cycles is None else f"{cycles}", *times))
    return _table(heads, rows)


def _cuts(results: Results, model: str) -> str:
    rows = []
    for one in (PRODUCT, STATIC, PAPER, SEQUENTIAL):
        for budget in BUDGETS_MBPS:
            timing = results.timing(model, budget, one)
            traffic = f"{timing.bytes_up / 1e6:.0f} / {timing.bytes_down / 1e6:.0f}"
            cuts = ", ".join(f"{cut}" for cut in timing.cuts)
            rows.append((one.name, f"{budget:g} Mbit/s", cuts, traffic))
    return _table(("contender", "link", "cut of a board of each kind", "MB up / down"), rows)


def _prediction(results: Results) -> str:
    heads = ("model", "link", "contender", "planned s", "simulated s", "no schedule beats, s")
    rows = []
    for model in MODELS:
        for budget in BUDGETS_MBPS:
            for one in (STATIC, SPLIT, PRODUCT):
                timing = results.timing(model, budget, one)
                rows.append((model, f"{budget:g} Mbit/s", one.name, *_foretold(timing)))
    return _table(heads, rows)


def _foretold(timing: Timing) -> tuple[str, str, str]:
    simulated = f"{timing.cycles.later_s:.1f}"
    return f"{timing.planned_s:.1f}", simulated, f"{timing.bound_s:.1f}"


def _headline(results: Results) -> str:
    rows = []
    for model in MODELS:
        for one in _RIVALS:
            ratios = [_cycle_ratio(results, model, b, one) for b in BUDGETS_MBPS]
            reached = [_target_ratio(results, model, b, one) for b in BUDGETS_MBPS]
            rows.append((model, one.name, _span(ratios), _span(reached)))
    return _table(("model", "against", "a cycle is shorter by", "target reached sooner by"), rows)


def _cycle_ratio(results: Results, model: str, budget: float, one: Contender) -> float:
    own = results.timing(model, budget, PRODUCT).cycles.later_s
    return results.timing(model, budget, one).cycles.later_s / own


def _target_ratio(results: Results, model: str, budget: float, one: Contender) -> float | None:
    target = TARGETS[model]
    own = results.seconds_to(results.timing(model, budget, PRODUCT), target)
    other = results.seconds_to(results.timing(model, budget, one), target)
    return None if own is None or other is None else other / own


def _span(ratios: Sequence[float | None]) -> str:
    known = [ratio for ratio in ratios if ratio is not None]
    if len(known) < len(ratios):
        return "-"
    return f"{min(known):.2f} to {max(known):.2f}x"


def _proof(results: Results) -> str:
    heads = (
        "complete run",
        "link",
        "cycles",
        "gap in accuracy",
        "in the first cycle's time",
        "in later ones'",
    )
    rows = [
        (
            f"{one.model}: {one.contender.name}",
            f"{one.budget_mbps:g} Mbit/s",
            f"{one.cycles}",
            f"{100 * one.accuracy_gap:.2f} points",
            f"{one.first_gap:.2%}",
            f"{one.later_gap:.2%}",
        )
        for one in results.proofs
    ]
    return _table(heads, rows)


def _steps(results: Results) -> str:
    counts = sorted({one.local_steps for one in results.steps})
    times = {(s.model, s.contender, s.local_steps): s.cycle_s for s in results.steps}
    rows = [
        (model, contender.name, *(f"{times[model, contender, n] / n:.2f}" for n in counts))
        for model in MODELS
        for contender in (PRODUCT, SPLIT, FEDAVG)
        if (model, contender, counts[0]) in times
    ]
    return _table(("model", "contender", *(f"{n} steps a cycle" for n in counts)), rows)


def _named(one: Contender) -> Iterator[str]:
    yield from (one.solver, one.codec, one.shares)


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "never"
    return f"{seconds / 60:.1f} min" if seconds < 3 * 3600 else f"{seconds / 3600:.1f} h"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
