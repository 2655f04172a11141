"""How long the protocol itself takes: whole runs in the virtual world, without learning."""

from __future__ import annotations

import argparse
import time
from statistics import median

from runtime.transport.memory import Weather
from tests.world import NullWorld

STORM = Weather(drop=0.1, duplicate=0.1, delay_s=(0.001, 0.2))


def main(arguments: list[str] | None = None) -> None:
    """Prints wall seconds, messages and microseconds per message, the median of a few runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args(arguments)
    print("| devices | rounds | weather | wall s | messages | us per message |")
    print("|---|---|---|---|---|---|")
    for devices, rounds, weather in (
        (8, 200, None),
        (8, 200, STORM),
        (100, 2, None),
        (1000, 2, None),
    ):
        runs = [_run(devices, rounds, weather, seed) for seed in range(options.runs)]
        wall_s = median(wall_s for wall_s, _ in runs)
        messages = median(messages for _, messages in runs)
        name = "storm" if weather else "calm"
        each_us = wall_s / messages * 1e6
        print(f"| {devices} | {rounds} | {name} | {wall_s:.2f} | {messages:.0f} | {each_us:.0f} |")


def _run(devices: int, rounds: int, weather: Weather | None, seed: int) -> tuple[float, int]:
    world = NullWorld(devices, rounds, weather=weather, seed=seed)
    began_s = time.perf_counter()
    world.start_all()
    world.run()
    return time.perf_counter() - began_s, world.broker.delivered


if __name__ == "__main__":
    main()
