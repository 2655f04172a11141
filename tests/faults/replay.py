"""Plays one schedule again, and prints what happens: python -m tests.faults.replay SEED|JSON"""

from __future__ import annotations

import sys

from tests.faults.play import play
from tests.faults.schedule import Schedule


def main() -> int:
    schedule = Schedule.read(sys.argv[1])
    print(schedule)
    verdict = play(schedule)
    for what, count in sorted(verdict.tally.items()):
        print(f"{count:8,} {what}")
    print(f"{verdict.took_s:.1f} s of virtual time, print {verdict.print}")
    print(verdict.fault or "all is well")
    return 1 if verdict.fault else 0


if __name__ == "__main__":
    sys.exit(main())
