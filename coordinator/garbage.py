"""When Python looks for garbage in a coordinator: rarely, since hardly any is left to be found."""

from __future__ import annotations

import gc

_YOUNG_OBJECTS = 200_000
"""So many more than before are made until Python looks: more than a round of 1,000 boards has at
a time. 700 unless told, a few boards' letters."""


def look_rarely() -> None:
    """Leaves all that is loaded alone for good, and looks through the rest seldom.

    Looking took a fifth of the control work of 1,000 boards. Only cycles of objects wait for it;
    what a run makes has none, to which `tests/learning/test_garbage.py` holds it.
    """
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 10, 10)
