"""The command `edgesplit-agent`."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from device_agent.config import AgentConfig
from runtime.config import load
from runtime.errors import EdgeSplitError
from runtime.exits import exit_for, exit_table


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the agent and returns the exit code; a user's mistake is told in sentences."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(
        level=logging.DEBUG if options.verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    try:
        config = load(options.config, AgentConfig)
        # Imported late: `--help` and a wrong file need no onnxruntime.
        from device_agent.process import run_agent

        return run_agent(config, with_parent=options.exit_with_parent)
    except EdgeSplitError as error:
        print(error, file=sys.stderr)
        return exit_for(error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgesplit-agent",
        description="Trains this board's part of a model: joins a fleet over MQTT and follows "
        "its coordinator, waiting for one for ever.",
        epilog=exit_table(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--config", type=Path, required=True, metavar="AGENT.toml", help="who this board is"
    )
    parser.add_argument("--verbose", action="store_true", help="log more")
    parser.add_argument(
        "--exit-with-parent", action="store_true", help="end when the parent process is gone"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
