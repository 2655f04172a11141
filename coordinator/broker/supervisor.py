"""The process between us and a broker: it ends the broker when we end, however we end.

Run by path, as `python -P supervisor.py KIND CONFIG PARENT_PID`, with a pipe as stdin that the
parent never writes to. The end of that pipe, or a new parent, ends the broker; the second is
needed because a forked child of the parent holds the pipe open. Only the standard library is
imported, so that it starts at once.
"""

from __future__ import annotations

import ctypes
import logging
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

_POLL_S = 0.5
_TERM_S = 2.0
_PR_SET_PDEATHSIG = 1


def main(kind: str, config: str, parent_pid: int) -> int:
    """Runs a broker until it ends or the parent is gone; returns the exit status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if kind == "iotcore":
        return _run_iotcore(config, parent_pid)
    return _run_mosquitto(kind, config, parent_pid)


def _run_mosquitto(executable: str, config: str, parent_pid: int) -> int:
    # The kernel's death signal follows the thread that forked: this must be the main thread.
    child = subprocess.Popen(
        [executable, "-c", config],
        stdin=subprocess.DEVNULL,
        preexec_fn=_die_with_parent if sys.platform == "linux" else None,
    )
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    _watch(parent_pid, lambda: _end(child))
    return child.wait()


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(_TERM_S)
    except subprocess.TimeoutExpired:
        child.kill()


def _run_iotcore(config: str, parent_pid: int) -> int:
    from iotcore.iotcore import IotCoreBroker

    # rumqttd writes a record for every message that it routes, as an error.
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("rumqttd").setLevel(logging.CRITICAL)
    _watch(parent_pid, lambda: os._exit(0))
    IotCoreBroker(config_path=config).run_forever()
    return 1


def _watch(parent_pid: int, end: Callable[[], None]) -> None:
    def watch() -> None:
        while os.getppid() == parent_pid and not _stdin_closed(_POLL_S):
            pass
        end()

    threading.Thread(target=watch, daemon=True).start()


def _stdin_closed(timeout_s: float) -> bool:
    readable, _, _ = select.select([0], [], [], timeout_s)
    return bool(readable) and os.read(0, 1) == b""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
