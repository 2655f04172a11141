"""A board behind a router that loses packets: network namespaces, made and removed by root."""

from __future__ import annotations

import contextlib
import os
import subprocess
from types import TracebackType

# 198.18.0.0/15 is for tests of networks (RFC 2544).
HOST = "198.18.0.1"
_TO_HOST, _TO_BOARD, _BOARD = "198.18.0.2", "198.18.0.5", "198.18.0.6"
_BOARDS = "198.18.0.4/30"


class NoNamespacesError(Exception):
    """The machine allows none of this."""


class LossyAir:
    """Between this host and a namespace for a board, while its context is entered.

    The uplink is `up_kbit_per_s`, and of all packets, either way, `lost_percent` vanish. `words`
    in front of a command run it on the board's side, from where this host is HOST.
    """

    def __init__(self, *, up_kbit_per_s: int, lost_percent: int) -> None:
        self._board, self._air = f"es-board-{os.getpid()}", f"es-air-{os.getpid()}"
        self._host_end = f"es{os.getpid()}"
        self._up_kbit_per_s = up_kbit_per_s
        self._lost_percent = lost_percent

    @property
    def words(self) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self._board)

    def stall(self) -> None:
        """Lets nothing pass; nobody is told."""
        self._rule("drop")

    def resume(self) -> None:
        """Ends a `stall`."""
        self._rule(f"numgen random mod 100 < {self._lost_percent} drop")

    def __enter__(self) -> LossyAir:
        try:
            self._build()
        except (OSError, subprocess.CalledProcessError) as error:
            self._remove()
            raise NoNamespacesError(str(error)) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._remove()

    def _build(self) -> None:
        air, board, end = self._air, self._board, self._host_end
        for command in (
            f"ip netns add {air}",
            f"ip netns add {board}",
            f"ip link add {end} type veth peer name host netns {air}",
            f"ip -n {air} link add board type veth peer name eth0 netns {board}",
            f"ip addr add {HOST}/30 dev {end}",
            f"ip -n {air} addr add {_TO_HOST}/30 dev host",
            f"ip -n {air} addr add {_TO_BOARD}/30 dev board",
            f"ip -n {board} addr add {_BOARD}/30 dev eth0",
            # Packets as they would be on a cable, so that one that is lost is one.
            f"ip -n {board} link set eth0 gso_max_segs 1",
            f"ip link set {end} gso_max_segs 1",
            f"ip link set {end} up",
            f"ip -n {air} link set host up",
            f"ip -n {air} link set board up",
            f"ip -n {board} link set eth0 up",
            # The MQTT client wakes its own thread by a connection to itself.
            f"ip -n {board} link set lo up",
            f"ip -n {board} route add default via {_TO_BOARD}",
            f"ip route add {_BOARDS} via {_TO_HOST}",
            f"ip netns exec {air} sysctl -qw net.ipv4.ip_forward=1",
            f"ip netns exec {air} tc qdisc add dev host root tbf "
            f"rate {self._up_kbit_per_s}kbit burst 16kb latency 400ms",
            f"ip netns exec {air} nft add table inet air",
            f"ip netns exec {air} nft add chain inet air way "
            "{ type filter hook forward priority 0 ; }",
        ):
            _run(command)
        self.resume()

    def _rule(self, rule: str) -> None:
        _run(f"ip netns exec {self._air} nft flush chain inet air way")
        _run(f"ip netns exec {self._air} nft add rule inet air way {rule}")

    def _remove(self) -> None:
        """The route goes with the link; all but the link goes with the namespaces."""
        ends = ["link", "del", self._host_end]
        for words in (ends, ["netns", "del", self._board], ["netns", "del", self._air]):
            with contextlib.suppress(OSError):
                subprocess.run(["ip", *words], stderr=subprocess.DEVNULL, check=False)


def _run(command: str) -> None:
    subprocess.run(command.split(), check=True, capture_output=True)
