"""The command `edgesplit`."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence
from types import ModuleType

from coordinator.commands import boards, coordinate, cuts, data, plan, rehearse, simulate
from runtime.errors import EdgeSplitError
from runtime.exits import Exit, exit_for, exit_table

_COMMANDS: tuple[tuple[str, ModuleType, str], ...] = (
    ("rehearse", rehearse, "train with a whole fleet emulated on this machine"),
    ("simulate", simulate, "run a job on modelled boards and links, in virtual time"),
    ("plan", plan, "show what a planner would decide, and how long a round would take"),
    ("coordinator", coordinate, "train with the boards at a broker"),
    ("cuts", cuts, "show where a model can be cut and what each cut costs"),
    ("data", data, "deal a data set out to devices"),
    ("boards", boards, "show what is known of each kind of board"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a sub-command and returns the exit code; a user's mistake is told in sentences."""
    args = _parser().parse_args(arguments)
    try:
        return int(args.run(args))
    except EdgeSplitError as error:
        print(error, file=sys.stderr)
        return exit_for(error)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return Exit.INTERRUPTED
    except Exception:
        traceback.print_exc()
        print("this is a defect of EdgeSplit: please report it", file=sys.stderr)
        return Exit.INTERNAL


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgesplit",
        description="Trains models too big for the boards that hold the data: split over MQTT.",
        epilog=exit_table(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, module, help_text in _COMMANDS:
        command = commands.add_parser(
            name,
            help=help_text,
            description=f"{help_text[0].upper()}{help_text[1:]}.",
            epilog=exit_table(),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
