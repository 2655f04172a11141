"""What an operator sees while a run goes on: a live table, or plain lines where it is piped."""

from __future__ import annotations

import time
from collections.abc import Iterable
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from coordinator.record.progress import (
    DeviceRow,
    Progress,
    comparison,
    headline,
    news,
    outlook,
    traffic,
)
from coordinator.record.run_record import Entry
from coordinator.record.summary import duration, megabytes

_REFRESHES_PER_S = 2
_STATE_STYLES = {"lost": "red", "refused": "red", "left": "yellow", "training": "green"}
_COLUMNS = ("device", "state", "cut", "codec")
_NUMBERS = ("round s", "planned s", "step ms", "up MB", "down MB", "train loss")


class LiveTable:
    """Listens to a RunRecord while the context is entered.

    On a terminal a table is redrawn in place and the news scroll above it; otherwise every round
    and every piece of news is one line. `past` are the rounds of a run that is resumed.
    """

    def __init__(
        self,
        devices: Iterable[str],
        rounds: int,
        *,
        past: Iterable[Entry] = (),
        console: Console | None = None,
    ) -> None:
        self._progress = Progress.begin(devices, rounds, past)
        self._console = console or Console(highlight=False, soft_wrap=True)
        self._began_s = time.monotonic()
        self._live = Live(
            get_renderable=self._draw, console=self._console, refresh_per_second=_REFRESHES_PER_S
        )

    def __call__(self, stream: str, entry: Entry) -> None:
        """Takes a record, as `RunRecord.listen` gives them."""
        self._progress = self._progress.after(stream, entry)
        line = news(entry) if stream == "events" else None
        if stream == "rounds" and not self._console.is_terminal:
            parts = (headline, traffic, comparison, outlook)
            line = "  ".join(filter(None, (part(self._progress) for part in parts)))
        if line:
            self._console.print(line, markup=False)

    def __enter__(self) -> LiveTable:
        self._began_s = time.monotonic()
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def _draw(self) -> Group:
        progress = self._progress
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in _COLUMNS:
            table.add_column(name, no_wrap=True)
        for name in _NUMBERS:
            table.add_column(name, no_wrap=True, justify="right")
        for device, row in progress.rows.items():
            table.add_row(*_cells(device, row))
        elapsed = f"elapsed {duration(time.monotonic() - self._began_s)}"
        times = "  ".join(filter(None, (elapsed, comparison(progress), outlook(progress))))
        return Group("", table, "", headline(progress), times)


def _cells(device: str, row: DeviceRow) -> tuple[str, ...]:
    style = _STATE_STYLES.get(row.state)
    return (
        device,
        f"[{style}]{row.state}[/]" if style else row.state,
        escape(row.cut),
        row.codec,
        "" if row.round_s is None else f"{row.round_s:.2f}",
        "" if row.planned_s is None else f"{row.planned_s:.2f}",
        "" if row.step_s is None else f"{row.step_s * 1e3:.1f}",
        megabytes(row.up.total_bytes),
        megabytes(row.down.total_bytes),
        "" if row.train_loss is None else f"{row.train_loss:.4f}",
    )
