"""A board's training step: our segment program against torch doing the same step.

Both sides run in processes of their own that do nothing else, one thread each, turn by turn in
one run, so that a noisy machine is noisy to both. Prints the ratio of step times (median over
turns) and of peak resident memory, and the peak of the whole agent's code doing the same.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from attrs import define, frozen

BATCH, IMAGE, STEPS_A_TURN = 16, 32, 3


@frozen
class Front:
    """A model's front that a board trains."""

    factory: str
    cut: str


FRONTS = {
    "resnet18": Front("coordinator.zoo.resnet:resnet18", "layer2"),
    "mobilenetv2-short": Front("coordinator.zoo.mobilenet:mobilenet", "blocks.1"),
    "mobilenetv2": Front("coordinator.zoo.mobilenet:mobilenet", "blocks.2"),
}


def main(arguments: list[str] | None = None) -> None:
    """Measures every front and prints a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--part", choices=("torch", "segment", "agent"), help=argparse.SUPPRESS)
    parser.add_argument("--front", choices=FRONTS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.part:
        serve(options.part, FRONTS[options.front], options.folder)
        return
    print("| front | torch ms | ours ms | ratio | torch MB | ours MB | ratio | whole agent MB |")
    print("|---|---|---|---|---|---|---|---|")
    for name in FRONTS:
        print(measure(name, options.turns), flush=True)


def measure(name: str, turns: int) -> str:
    """Returns one row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        prepare(FRONTS[name], Path(folder))
        with Part("torch", name, folder) as theirs, Part("segment", name, folder) as ours:
            for part in (theirs, ours):
                part.turn()  # warms up
            pairs = [(theirs.turn(), ours.turn()) for _ in range(turns)]
            torch_mb, ours_mb = theirs.peak_mb(), ours.peak_mb()
        with Part("agent", name, folder) as agent:
            agent.turn()
            agent_mb = agent.peak_mb()
    torch_s, ours_s = (median(side) for side in zip(*pairs, strict=True))
    ratio = median(ours / theirs for theirs, ours in pairs)
    return (
        f"| {name} to {FRONTS[name].cut} | {torch_s * 1e3:.1f} | {ours_s * 1e3:.1f} | "
        f"{ratio:.2f} | {torch_mb:.0f} | {ours_mb:.0f} | {ours_mb / torch_mb:.2f} | "
        f"{agent_mb:.0f} |"
    )


@define(slots=False)
class Part:
    """A child process that makes steps when told."""

    part: str
    front: str
    folder: str

    def __enter__(self) -> Part:
        threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "benchmarks.board_step", "--part", self.part]
        self.child = subprocess.Popen(
            [*command, "--front", self.front, "--folder", self.folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **threads},
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self.child.stdin is not None
        self.child.stdin.close()
        self.child.wait()

    def turn(self) -> float:
        """Returns the seconds of one step, the best of a few in a row."""
        return float(self._ask("turn"))

    def peak_mb(self) -> float:
        """Returns the peak resident set of the child, in 1e6 bytes."""
        return float(self._ask("peak"))

    def _ask(self, word: str) -> str:
        assert self.child.stdin is not None and self.child.stdout is not None
        print(word, file=self.child.stdin, flush=True)
        return self.child.stdout.readline()


def prepare(front: Front, folder: Path) -> None:
    """Compiles the front and writes program, first state and data for the children."""
    import numpy as np
    import torch

    from coordinator.compiling.compiler import compile_segment
    from coordinator.cutting.model import build_model
    from coordinator.cutting.traced_model import trace
    from runtime.shard import write_shard

    model = build_model(front.factory, {"in_channels": 3}, 0, Path())
    example = torch.zeros(BATCH, 3, IMAGE, IMAGE)
    device = trace(model, (example[:2],)).split(front.cut).device.train()
    program = compile_segment(device, (example,), cut=front.cut, codec="fp32")
    (folder / "program").write_bytes(program.encode())
    state = {key: tensor.numpy() for key, tensor in device.state_dict().items()}
    np.savez(folder / "state.npz", **state)
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (64, 3, IMAGE, IMAGE)).astype(np.uint8)
    write_shard(folder / "data.npz", pixels, random.integers(0, 10, 64))


def serve(part: str, front: Front, folder: Path) -> None:
    """The child's side: obeys until its input ends."""
    import time

    from device_agent.memory import peak_rss_bytes

    step = {"torch": torch_step, "segment": segment_step, "agent": agent_step}[part](front, folder)
    for word in sys.stdin:
        if word.strip() == "peak":
            print(peak_rss_bytes() / 1e6, flush=True)
            continue
        times_s = []
        for _ in range(STEPS_A_TURN):
            began_s = time.perf_counter()
            step()
            times_s.append(time.perf_counter() - began_s)
        print(min(times_s), flush=True)


def torch_step(front: Front, folder: Path):  # type: ignore[no-untyped-def]
    """Forward, backward from a gradient at the cut, SGD with momentum: torch."""
    import torch

    from coordinator.cutting.model import build_model
    from coordinator.cutting.traced_model import trace

    torch.set_num_threads(1)
    model = build_model(front.factory, {"in_channels": 3}, 0, Path())
    device = trace(model, (torch.zeros(2, 3, IMAGE, IMAGE),)).split(front.cut).device.train()
    optimiser = torch.optim.SGD(device.parameters(), lr=0.01, momentum=0.9)
    x = torch.rand(BATCH, 3, IMAGE, IMAGE)
    gradient = torch.rand_like(device(x))

    def step() -> None:
        optimiser.zero_grad()
        device(x).backward(gradient)
        optimiser.step()

    return step


def segment_step(front: Front, folder: Path):  # type: ignore[no-untyped-def]
    """The same with the segment program and our optimiser."""
    import numpy as np

    from device_agent.segment import Segment
    from runtime.optimisers import Optimiser, OptimiserSpec
    from runtime.program import decode

    segment = Segment(decode((folder / "program").read_bytes()))
    with np.load(folder / "state.npz") as state:
        segment.load_state(dict(state))
    optimiser = Optimiser(OptimiserSpec("sgd", lr=0.01, momentum=0.9))
    slots = optimiser.slots_for(segment.parameters)
    random = np.random.default_rng(0)
    x = random.random((BATCH, 3, IMAGE, IMAGE), np.float32)
    gradient = random.random(segment.manifest.smashed.shape, np.float32)

    def step() -> None:
        segment.forward([x], {})
        optimiser.step(segment.parameters, segment.backward(gradient), slots, lr=0.01, t=1)

    return step


def agent_step(front: Front, folder: Path):  # type: ignore[no-untyped-def]
    """The same through everything that an agent process loads; gradients come as int8."""
    import hashlib

    import numpy as np

    import device_agent.process  # noqa: F401  (what it imports is what is measured)
    from device_agent.program_cache import ProgramCache
    from device_agent.tasks import Backward, Begin, Forward, StoreProgram
    from device_agent.training import DeviceExecutor
    from runtime.codecs import encode
    from runtime.dataset import open_source
    from runtime.ids import DeviceId
    from runtime.letters import AttemptKey, RoundOrder
    from runtime.optimisers import Optimiser, OptimiserSpec
    from runtime.presence import Limits
    from runtime.program import decode
    from runtime.recipe import Recipe
    from runtime.schedules import ScheduleSpec
    from runtime.tensors import pack_all

    limits = Limits(transfer_bytes=2**30, program_bytes=2**30, memory_bytes=2**34)
    cache = ProgramCache(folder / "cache", limits)
    executor = DeviceExecutor(DeviceId("board"), open_source("data.npz", folder), cache)
    body = (folder / "program").read_bytes()
    manifest = decode(body).manifest
    digest = hashlib.sha256(body).hexdigest()
    executor.run(StoreProgram(digest, body))
    spec = OptimiserSpec("sgd", lr=0.01, momentum=0.9)
    with np.load(folder / "state.npz") as file:
        state = dict(file)
    trained = {gradient.key: state[gradient.key] for gradient in manifest.gradients}
    state |= Optimiser(spec).slots_for(trained)
    recipe = Recipe(0, 1, 1000, spec, ScheduleSpec())
    key = AttemptKey(1, 1)
    executor.run(
        Begin(
            RoundOrder("run", key, digest, front.cut, BATCH, 1, 0, "fp32", "int8", recipe,
                       pack_all(state))
        )
    )  # fmt: skip
    gradient = np.random.default_rng(0).random(manifest.smashed.shape, np.float32)
    parts = {f"gradient{name}": a for name, a in encode("int8", gradient, noise=None).items()}

    def step() -> None:
        executor.run(Forward(key, 0, 0))
        executor.run(Backward(key, 0, 0, pack_all(parts)))

    return step


if __name__ == "__main__":
    main()
