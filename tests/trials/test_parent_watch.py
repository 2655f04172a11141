"""What a parent says on the pipe that it holds, and what happens when it goes."""

from __future__ import annotations

import subprocess
import sys

from runtime.parent_watch import Words

CHILD = """
import threading
from runtime.parent_watch import end_with_parent
gone = threading.Event()
end_with_parent(gone.set, lambda word: print(word, flush=True))
print("ready", flush=True)
assert gone.wait(30.0)
print("alone", flush=True)
"""


def test_lines_are_put_together_and_others_dropped() -> None:
    words = Words()
    assert list(words.after(b'{"slow"')) == []
    assert list(words.after(b': 4}\nnonsense\n[1]\n{"slow": 1}\n{')) == [{"slow": 4}, {"slow": 1}]
    assert list(words.after(b"}\n")) == [{}]


def test_a_line_without_end_is_forgotten() -> None:
    words = Words()
    assert list(words.after(b"x" * 100_000)) == []
    assert list(words.after(b'\n{"a": 1}\n')) == [{"a": 1}]


def test_a_child_hears_and_notices_the_end() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with child:
        assert child.stdin and child.stdout
        assert child.stdout.readline() == b"ready\n"
        child.stdin.write(b'{"slow": 4}\n')
        child.stdin.flush()
        assert child.stdout.readline() == b"{'slow': 4}\n"
        child.stdin.close()
        assert child.stdout.readline() == b"alone\n"
        assert child.wait(10.0) == 0
