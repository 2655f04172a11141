"""Runs the benchmarks that take minutes at most; `make bench` calls it."""

from __future__ import annotations

from benchmarks import board_step, control_work, round_trip, virtual_world
from benchmarks.arbiter.__main__ import briefly


def main() -> None:
    """Prints every table under its heading."""
    for title, benchmark in (
        ("A board's training step (batch 16, 32x32, one thread)", board_step.main),
        ("A letter from party to party over a broker on this machine", round_trip.main),
        ("How the arbiter shares a real link, in short", briefly),
        ("The virtual world (null executors, 200 rounds of 2 local steps)", virtual_world.main),
        ("What a round costs the coordinator beside learning", control_work.main),
    ):
        print(f"\n## {title}\n", flush=True)
        benchmark([])


if __name__ == "__main__":
    main()
