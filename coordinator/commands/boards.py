"""`edgesplit boards`: what is known of each kind of board, with its sources."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from coordinator.record.text_table import text_table
from firmware_profiles.card import BoardCard
from firmware_profiles.card_file import read_card
from firmware_profiles.errors import CardError
from firmware_profiles.figure import Figure
from firmware_profiles.shelf import Shelf, load_shelf
from runtime.errors import ConfigError, Problem
from runtime.exits import Exit, exit_table

T = TypeVar("T")

HEADINGS = ("id", "name", "status", "CPU", "to measure", "RAM MiB", "fp32 GFLOPS", "Mbit/s")
NOTE = (
    "fp32 GFLOPS are priors, right to a factor of two at best; '<' marks an upper bound (twice\n"
    "HPL in fp64). Mbit/s are measured; in brackets nominal."
)
_STATUSES = ("supported", "community", "eol")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    _add_folder(_action(actions, "list", "one line for every board", _list))
    show = _action(actions, "show", "every figure of one board, with its source", _show)
    show.add_argument("board", metavar="ID", help="as in the list, rpi-4b for instance")
    _add_folder(show)
    check = _action(actions, "check", "check a card of your own", _check)
    check.add_argument("file", type=Path, metavar="FILE", help="called after the id of its board")


def run(args: argparse.Namespace) -> Exit:
    """Prints what was asked for. Raises ConfigError for wrong cards and unknown boards."""
    action: Callable[[argparse.Namespace], str] = args.action
    sys.stdout.write(action(args) + "\n")
    return Exit.OK


def load_cards(folder: Path | None = None) -> Shelf:
    """Loads all cards, those in `folder` in front. Raises ConfigError with every problem."""
    return _settled(lambda: load_shelf(folder))


def render_list(shelf: Shelf) -> str:
    """Returns the table of all boards, the supported ones first."""
    cards = sorted(shelf, key=lambda card: (_STATUSES.index(card.status), card.id))
    return "\n".join([text_table(HEADINGS, [_row(card) for card in cards], left=5), "", NOTE])


def render_card(card: BoardCard) -> str:
    """Returns everything that the card says, and what it does not know."""
    known = [(key, figure) for key, figure in card.figures() if figure is not None]
    absent = [key for key, figure in card.figures() if figure is None]
    lines = [f"{card.id}: {card.name} ({card.status})", *_words(card), ""]
    width = max((len(key) for key, _ in known), default=0)
    for key, figure in known:
        lines += [f"{key:<{width}}  {figure}, {figure.kind}", f"    {_provenance(figure)}"]
    lines += ["", "priors for a planner:", *_priors(card)]
    return "\n".join([*lines, "", f"not known: {', '.join(absent) or 'nothing'}"])


def _list(args: argparse.Namespace) -> str:
    return render_list(load_cards(args.boards))


def _show(args: argparse.Namespace) -> str:
    shelf = load_cards(args.boards)
    return render_card(_settled(lambda: shelf.card(args.board)))


def _check(args: argparse.Namespace) -> str:
    card = _settled(lambda: read_card(args.file))
    count = sum(figure is not None for _, figure in card.figures())
    to_measure = ", ".join(card.gaps()) or "nothing"
    return f"{args.file}: the card of {card.name} with {count} figures; to measure: {to_measure}"


def _settled(read: Callable[[], T]) -> T:
    try:
        return read()
    except CardError as error:
        found = [Problem(one.file, one.key, one.message, one.fix) for one in error.problems]
        raise ConfigError(found) from None


def _row(card: BoardCard) -> tuple[str, ...]:
    return (
        card.id,
        card.name,
        card.status,
        _cores(card),
        ", ".join(card.gaps()) or "-",
        _span(card.memory.total_mib),
        _rate(card),
        _link(card),
    )


def _cores(card: BoardCard) -> str:
    return " + ".join(f"{one.count}x {one.core}" for one in card.cpu.clusters)


def _span(figure: Figure | None) -> str:
    if figure is None:
        return "-"
    high = "" if figure.high is None else f"-{figure.high:g}"
    return f"{figure.value:g}{high}"


def _rate(card: BoardCard) -> str:
    prior = card.fp32_prior_gflops()
    bound = "<" if prior and card.compute.fp32_effective_gflops is None else ""
    return bound + _span(prior)


def _link(card: BoardCard) -> str:
    link = _span(card.link_mbps())
    return f"({link})" if link != "-" and "link rate" in card.gaps() else link


def _words(card: BoardCard) -> list[str]:
    """Returns what a card says without numbers."""
    said = [f"cpu: {card.cpu.arch}, {_cores(card)} [{card.cpu.source}, {card.cpu.date}]"]
    if card.compatible:
        said.append(f"device tree: {', '.join(card.compatible)}")
    if card.accelerator:
        part = "" if card.accelerator.trains else ", takes no part in training"
        said.append(f"accelerator: {card.accelerator.kind} ({card.accelerator.runtime}){part}")
    for link in card.network:
        details = [link.standard, link.bottleneck and f"held back by {link.bottleneck}"]
        said.append(": ".join([f"network: {link.kind}", *filter(None, details)]))
    said += [f"system: {one.image}, python {one.python_tag}" for one in card.os]
    if card.onnxruntime:
        said.append(f"onnxruntime: {card.onnxruntime.requires}")
        said += [
            f"    ran {', '.join(one.versions)} on {one.on}"
            for one in card.onnxruntime.smoke_tested
        ]
    return said


def _provenance(figure: Figure) -> str:
    details = [figure.how, figure.source, str(figure.date)]
    if figure.software:
        details.append(figure.software)
    if figure.threads:
        details.append(f"{figure.threads} thread{'s' if figure.threads > 1 else ''}")
    if figure.clock_mhz:
        details.append(f"at {figure.clock_mhz:g} MHz")
    return " | ".join(details)


def _priors(card: BoardCard) -> list[str]:
    priors = {
        "fp32 rate": card.fp32_prior_gflops(),
        "usable memory": card.usable_memory_bytes(),
        "link rate": card.link_mbps(),
    }
    return [
        f"    {need}: {f'{figure} ({figure.how})' if figure else 'not known'}"
        for need, figure in priors.items()
    ]


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    text: str,
    action: Callable[[argparse.Namespace], str],
) -> argparse.ArgumentParser:
    parser = actions.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=exit_table(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(action=action)
    return parser


def _add_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--boards", type=Path, metavar="DIR", help="a folder of your own cards; they go first"
    )
