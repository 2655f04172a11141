"""Those who play a rehearsal: processes that are started, ended and rescued, and their links.

The stage of a trial made of real processes. What was asked for is done and recorded; what dies by
itself is started again a few times, so that nothing is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attrs import define, field

from coordinator.broker import EmbeddedBroker
from coordinator.fleet import Fleet
from coordinator.rehearsal.crew import Child, Crew
from coordinator.rehearsal.link_proxy import LinkProxy
from coordinator.timeline import BROKER
from coordinator.trial import Standing, caps_mbps
from runtime.errors import BrokerError
from runtime.exits import Exit
from runtime.ids import COORDINATOR

RESCUES = 3
"""As often a process that died by itself is started again."""

_BYTES_PER_MEGABIT = 1e6 / 8


@define
class Role:
    """A process that can be started any number of times; `child` is the one that shall run."""

    name: str
    command: Callable[[], list[str]]
    log: Path | None = None
    threads: int = 1
    child: Child | None = None
    rescues: int = 0

    @property
    def is_over(self) -> bool:
        """Tells whether the process that shall run does not."""
        return self.child is not None and self.child.code is not None


@define
class Company:
    """The parties of a rehearsal. `roles` are by party, `links` and emulations by device."""

    _crew: Crew
    _fleet: Fleet
    _roles: Mapping[str, Role]
    links: Mapping[str, LinkProxy]
    _broker: EmbeddedBroker | None
    _broker_rescues: int = 0
    _broker_wanted: bool = True
    _slow: dict[str, float] = field(factory=dict)
    _untold: list[dict[str, Any]] = field(factory=list)
    """Waits for a coordinator that can put it on record."""

    def start(self, party: str) -> None:
        if party == BROKER:
            self._start_broker()
            return
        role = self._roles[party]
        role.child = self._crew.start(role.name, role.command(), log=role.log, threads=role.threads)
        if party in self._slow:
            role.child.tell({"slow": self._slow[party]})
        if party == COORDINATOR:
            self._tell_coordinator()

    def leave(self, party: str) -> None:
        if child := self._released(party):
            self._crew.dismiss(child)

    def kill(self, party: str) -> None:
        if party == BROKER:
            self._broker_wanted = False
            if self._broker is not None:
                self._broker.kill()
        elif child := self._released(party):
            self._crew.kill(child)

    def throttle(self, device: str, standing: Standing) -> None:
        link = self.links[device]
        up, down = caps_mbps(standing, self._fleet.device(device).emulate)
        link.up_bytes_per_s, link.down_bytes_per_s = _bytes_per_s(up), _bytes_per_s(down)

    def cut(self, device: str, silent: bool) -> None:
        if silent:
            self.links[device].stall()
        else:
            self.links[device].resume()

    def slow(self, device: str, times: float) -> None:
        self._slow[device] = times
        if child := self._roles[device].child:
            child.tell({"slow": times})

    def note(self, entry: Mapping[str, Any]) -> None:
        """Has the coordinator put an event on record, the next one if there is none now."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._untold.append({"at": now, **entry})
        self._tell_coordinator()

    def rescue(self) -> list[Child]:
        """Starts again what died by itself; returns whom that would not help.

        Raises BrokerError for a broker that does not stay.
        """
        self._rescue_broker()
        beyond_help = []
        for party, role in self._roles.items():
            child = role.child
            if child is None or not role.is_over or _has_ended(party, child):
                continue
            if not _has_crashed(child) or role.rescues >= RESCUES:
                beyond_help.append(child)
                continue
            role.rescues += 1
            self.note(_rescued(party, child.told, role.rescues))
            self.start(party)
        return beyond_help

    @property
    def coordinator(self) -> Child | None:
        """The coordinator that has come to its end by itself."""
        child = self._roles[COORDINATOR].child
        return child if child is not None and _has_ended(COORDINATOR, child) else None

    def _released(self, party: str) -> Child | None:
        """Returns the party's process, which from now on may end."""
        role = self._roles[party]
        child, role.child = role.child, None
        return child

    def _tell_coordinator(self) -> None:
        child = self._roles[COORDINATOR].child
        while self._untold and child is not None and child.tell(self._untold[0]):
            del self._untold[0]

    def _start_broker(self) -> None:
        self._broker_wanted = True
        if self._broker is not None:
            self._broker.start()

    def _rescue_broker(self) -> None:
        broker = self._broker
        if broker is None or not self._broker_wanted or broker.is_running:
            return
        if self._broker_rescues >= RESCUES:
            raise BrokerError(f"the broker does not stay; see {broker.log_path}")
        self._broker_rescues += 1
        self.note(_rescued(BROKER, "it died", self._broker_rescues))
        broker.kill()
        broker.start()


def _has_ended(party: str, child: Child) -> bool:
    """Tells whether a process has come to an end that is its own business: the coordinator's."""
    return party == COORDINATOR and child.code is not None and not _has_crashed(child)


def _has_crashed(child: Child) -> bool:
    """Tells whether a process ended in a way that another start may mend.

    An agent that ends in order, while its coordinator goes on, was sent away by somebody.
    """
    code = child.code
    if code is None or code == Exit.OK:
        return code is not None and child.log is not None
    return code == Exit.INTERNAL or code not in {int(one) for one in Exit}


def _rescued(party: str, reason: str, count: int) -> dict[str, Any]:
    known = {COORDINATOR: ("process", "coordinator"), BROKER: ("process", "broker")}
    who, name = known.get(party, ("device", party))
    return {"event": "restarted", who: name, "reason": reason, "count": count, "most": RESCUES}


def _bytes_per_s(rate_mbps: float | None) -> float | None:
    return None if rate_mbps is None else rate_mbps * _BYTES_PER_MEGABIT
