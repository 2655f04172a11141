"""The link between broker and coordinator in a rehearsal, as slow as the fleet file says."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from coordinator.fleet import SharedLink
from coordinator.rehearsal.link_proxy import LinkProxy
from runtime.broker_url import BrokerUrl
from runtime.errors import BrokerError

_BYTES_PER_MEGABIT = 1e6 / 8


@contextlib.contextmanager
def shared_link(link: SharedLink, broker: str) -> Iterator[str]:
    """Yields the URL by which the coordinator reaches `broker`: through the link, if there is one.

    Raises BrokerError for a broker that no proxy can stand in front of.
    """
    if link == SharedLink():
        yield broker
        return
    url = BrokerUrl.parse(broker)
    if url.scheme != "mqtt":
        raise BrokerError(
            f"[shared] of the fleet file needs an mqtt:// broker, not {url.scheme}://"
        )
    with LinkProxy(
        url.port,
        target_host=url.host,
        # The coordinator is the proxy's client: what devices send comes down to it.
        up_bytes_per_s=_bytes_per_s(link.downlink_mbps),
        down_bytes_per_s=_bytes_per_s(link.uplink_mbps),
        delay_s=link.delay_ms / 1e3,
    ) as proxy:
        yield proxy.via(broker)


def _bytes_per_s(rate_mbps: float | None) -> float | None:
    return None if rate_mbps is None else rate_mbps * _BYTES_PER_MEGABIT
