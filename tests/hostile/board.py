"""A board's executor in a process of its own, under its own limits, with hostile programs.

python -m tests.hostile.board FOLDER     tells, for every case, in a line of JSON, what came
"""

from __future__ import annotations

import json
import queue
import sys
from pathlib import Path
from typing import Any

import numpy as np

from device_agent.memory import limit_memory, peak_rss_bytes
from device_agent.process import _FROM_THE_COORDINATOR
from device_agent.program_cache import ProgramCache
from device_agent.tasks import Backward, Begin, Finish, Forward, StoreProgram
from device_agent.training import DeviceExecutor
from runtime.dataset import Dataset
from runtime.events import Failed, Finished
from runtime.executor import ThreadWorker
from runtime.guarded import Guarded
from runtime.ids import DeviceId
from runtime.letters import AttemptKey, RoundOrder
from runtime.presence import Limits
from runtime.program import SegmentProgram
from runtime.tensors import pack
from tests.hostile.programs import GOOD, HOSTILE, ORDERS, G, order

LIMITS = Limits(transfer_bytes=16_000_000, program_bytes=1_000_000, memory_bytes=64_000_000)
KEY = AttemptKey(1, 1)


class Board:
    """Runs tasks one after the other until one fails."""

    def __init__(self, folder: Path) -> None:
        dataset = Dataset("tests", np.ones((8, 3), np.float32), np.zeros(8, np.int64), "float32")
        executor = DeviceExecutor(DeviceId("board"), dataset, ProgramCache(folder, LIMITS))
        self._told: queue.SimpleQueue[Any] = queue.SimpleQueue()
        guarded = Guarded(executor, _FROM_THE_COORDINATOR)
        self._worker = ThreadWorker(guarded, self._told.put, self._told.put)

    def train(self, program: SegmentProgram, order: RoundOrder) -> str:
        gradient = {"gradient": pack(np.ones(G, np.float32))}
        for task in (
            StoreProgram(program.digest, program.encode()),
            Begin(order),
            Forward(KEY, 0, 0),
            Backward(KEY, 0, 0, gradient),
            Finish(KEY),
        ):
            self._worker.submit(task)
            match self._told.get(timeout=30):
                case Finished():
                    continue
                case Failed(_, reason):
                    return f"refused: {reason}"
                case defect:
                    return f"DEFECT: {defect!r}"
        return "trained"


def main() -> None:
    board = Board(Path(sys.argv[1]))
    first = board.train(GOOD, order(GOOD))
    assert first == "trained", first
    limit_memory(LIMITS)
    cases = {name: (program, order(program)) for name, program in HOSTILE.items()}
    cases |= {name: (GOOD, asked) for name, asked in ORDERS.items()}
    for name, (program, asked) in cases.items():
        came = board.train(program, asked)
        after = board.train(GOOD, order(GOOD))
        facts = {"case": name, "came": came, "after": after, "peak_bytes": peak_rss_bytes()}
        print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    main()
