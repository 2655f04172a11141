"""How long a letter takes from one party to another over a real broker on this machine."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from statistics import quantiles

from coordinator.broker import EmbeddedBroker
from coordinator.broker.embedded import Kind
from runtime.broker_url import BrokerUrl
from runtime.errors import BrokerError
from runtime.ids import COORDINATOR, DeviceId
from runtime.letters import ProgramDelivery
from tests.broker.correspondents import Correspondent

KINDS: tuple[Kind, ...] = ("iotcore", "mosquitto")
SIZES_BYTES = (1_000, 50_000, 400_000)
WARM_UP = 10
BOARD = DeviceId("board")


def main(arguments: list[str] | None = None) -> None:
    """Prints median and 90th percentile for each broker and size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--letters", type=int, default=60)
    options = parser.parse_args(arguments)
    print("| broker | letter bytes | p50 ms | p90 ms |")
    print("|---|---|---|---|")
    for kind in KINDS:
        try:
            EmbeddedBroker.require(kind)
        except BrokerError as error:
            print(f"| {kind} | {error} | | |")
            continue
        with tempfile.TemporaryDirectory() as folder, EmbeddedBroker(kind, Path(folder)) as broker:
            measure(kind, BrokerUrl.parse(broker.url), options.letters)


def measure(kind: Kind, url: BrokerUrl, letters: int) -> None:
    """Prints the rows of one broker."""
    with Correspondent(url, COORDINATOR) as coordinator, Correspondent(url, BOARD) as board:
        for size_bytes in SIZES_BYTES:
            body = os.urandom(size_bytes)
            times_s = [one_letter(board, coordinator, body) for _ in range(WARM_UP + letters)]
            deciles = quantiles(times_s[WARM_UP:], n=10)
            p50_ms, p90_ms = deciles[4] * 1e3, deciles[8] * 1e3
            print(f"| {kind} | {size_bytes:,} | {p50_ms:.1f} | {p90_ms:.1f} |", flush=True)


def one_letter(sender: Correspondent, receiver: Correspondent, body: bytes) -> float:
    """Returns the seconds from writing to arriving, offer, credit and chunks included."""
    expected = len(receiver.arrived) + 1
    began_s = time.monotonic()
    while not sender.party._courier.knows(COORDINATOR):
        time.sleep(0.01)
        began_s = time.monotonic()
    sender.write(COORDINATOR, ProgramDelivery("letter", body))
    receiver.wait_for(expected, 10.0)
    return time.monotonic() - began_s


if __name__ == "__main__":
    main()
