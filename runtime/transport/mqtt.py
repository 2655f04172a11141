"""The Transport of the product: MQTT 5 over paho, one thread of ours beside paho's.

That thread owns the link: it dials, pauses between attempts, and is the only one that calls the
listener. paho's callbacks and the owner's `publish` only put signals into its queue.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue

from attrs import frozen

from runtime.broker_url import BrokerUrl
from runtime.transport.base import Arrived, Down, Flushed, Listener, TransportEvent, Up, Will
from runtime.transport.mqtt_connection import (
    Connection,
    Dial,
    Ended,
    Received,
    Signal,
    Subscribed,
    Taken,
)
from runtime.transport.tls import tls_context

_log = logging.getLogger(__name__)

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 10.0
# From dialling to the last SUBACK; a broker that takes longer is as good as none.
_HANDSHAKE_S = 30.0
_FLUSH_S = 1.0
_CLOSE_S = 1.0
# Fixed header, topic length, packet id and the expiry property (MQTT 5, section 3.3), rounded up.
_PUBLISH_OVERHEAD_BYTES = 24


@frozen(eq=False)
class _Handed:
    """The owner has published; `source` is None where nothing took the payload."""

    source: Connection | None
    packet_id: int
    size_bytes: int


@frozen
class _Stop:
    """The owner wants an end."""


class MqttTransport:
    """One party's MQTT connection; see `runtime.transport.base.Transport` for its promises.

    `client_id` must be the party's own: brokers throw the older of two namesakes off.
    `uplink_limit_bytes_per_s` is a hard cap kept by the kernel. A payload above what the broker
    announced as its limit is dropped, because sending it would cost the connection; `oversized`
    counts these, and `callback_errors` the exceptions of the listener and of finished connections.
    `max_packet_bytes` is that limit, None until a broker has announced one.
    Raises BrokerError where the URL's certificates cannot be loaded.
    """

    def __init__(
        self,
        url: BrokerUrl,
        client_id: str,
        *,
        keepalive_s: int = 10,
        uplink_limit_bytes_per_s: float | None = None,
    ) -> None:
        self.callback_errors = 0
        self.oversized = 0
        self.max_packet_bytes: int | None = None
        self._url = url
        self._client_id = client_id
        self._keepalive_s = keepalive_s
        self._uplink_limit_bytes_per_s = uplink_limit_bytes_per_s
        self._tls = tls_context(url)
        self._inbox: SimpleQueue[Signal | _Handed | _Stop] = SimpleQueue()
        self._live: Connection | None = None
        self._thread: threading.Thread | None = None

    def start(self, listener: Listener, subscriptions: tuple[str, ...], will: Will) -> None:
        """Connects, and keeps connecting for ever; `listener` is called in a thread of ours."""
        if self._thread is not None:
            raise RuntimeError("a transport starts once")
        dial = Dial(
            self._url,
            self._client_id,
            self._keepalive_s,
            self._uplink_limit_bytes_per_s,
            self._tls,
            subscriptions,
            will,
        )
        link = _Link(self, dial, listener, self._inbox)
        name = f"edgesplit-mqtt-{self._client_id}"
        self._thread = threading.Thread(target=link.run, name=name, daemon=True)
        self._thread.start()

    def publish(
        self, topic: str, payload: bytes, *, qos: int, retain: bool, expiry_s: int | None
    ) -> None:
        """Hands a payload over; while down, or too big for the broker, it is dropped."""
        source, packet_id = self._live, None
        if source is not None and self._fits(topic, payload):
            packet_id = source.publish(topic, payload, qos=qos, retain=retain, expiry_s=expiry_s)
        if packet_id is None:
            self._inbox.put(_Handed(None, 0, len(payload)))
        else:
            self._inbox.put(_Handed(source, packet_id, len(payload)))

    def stop(self) -> None:
        """Sends what was handed over, for a second at most, and says goodbye. Idempotent."""
        thread = self._thread
        if thread is None:
            return
        self._inbox.put(_Stop())
        if thread is not threading.current_thread():
            thread.join(_FLUSH_S + 4 * _CLOSE_S)

    def _fits(self, topic: str, payload: bytes) -> bool:
        if self.max_packet_bytes is None:
            return True
        size_bytes = len(payload) + len(topic.encode()) + _PUBLISH_OVERHEAD_BYTES
        if size_bytes <= self.max_packet_bytes:
            return True
        self.oversized += 1
        return False


class _Link:
    """The thread's work: connection after connection, and every word to the listener."""

    def __init__(
        self,
        owner: MqttTransport,
        dial: Dial,
        listener: Listener,
        inbox: SimpleQueue[Signal | _Handed | _Stop],
    ) -> None:
        self._owner = owner
        self._dial = dial
        self._listener = listener
        self._inbox = inbox
        self._connection: Connection | None = None
        self._ended: Ended | None = None
        self._was_up = False
        self._told_reason: str | None = None
        self._up = False
        self._stopping = False
        self._early: deque[Arrived] = deque()
        self._outstanding_bytes: dict[int, int] = {}
        self._taken_early: set[int] = set()

    def run(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self._stopping:
            began_s = time.monotonic()
            self._serve_one()
            if time.monotonic() - began_s > _LONGEST_PAUSE_S:
                pause_s = _FIRST_PAUSE_S
            self._pump(pause_s * random.uniform(0.5, 1.5), lambda: self._stopping)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        self._pump(0.0, lambda: False)

    def _serve_one(self) -> None:
        """One connection from dialling to its end."""
        connection = Connection(self._dial, self._inbox.put)
        self._connection, self._ended = connection, None
        connection.start()
        self._pump(_HANDSHAKE_S, lambda: self._up or self._over())
        if self._up:
            self._pump(None, self._over)
        if self._stopping and self._ended is None:
            self._say_goodbye(connection)
        if self._ended is None:
            connection.abort()
            self._pump(_CLOSE_S, lambda: self._ended is not None)
        self._lay_down(connection)

    def _say_goodbye(self, connection: Connection) -> None:
        self._pump(_FLUSH_S, lambda: not self._outstanding_bytes or self._ended is not None)
        connection.disconnect()
        self._pump(_CLOSE_S, lambda: self._ended is not None)

    def _lay_down(self, connection: Connection) -> None:
        self._connection = self._owner._live = None
        connection.release(_CLOSE_S)
        self._owner.callback_errors += connection.callback_errors
        reason = self._ended.reason if self._ended else f"{self._dial.url} did not answer in time"
        if not self._stopping and (self._up or reason != self._told_reason):
            self._told_reason = reason
            # Once up, our files were right: an impostor in the network must not end a fleet.
            hopeless = self._ended is not None and self._ended.hopeless and not self._was_up
            self._tell(Down(reason, hopeless))
        self._up = False
        lost, self._outstanding_bytes = self._outstanding_bytes, {}
        self._taken_early.clear()
        self._early.clear()
        for size_bytes in lost.values():
            self._tell(Flushed(size_bytes))

    def _over(self) -> bool:
        return self._stopping or self._ended is not None

    def _pump(self, timeout_s: float | None, done: Callable[[], bool]) -> None:
        """Handles signals until `done`, or until `timeout_s` has passed."""
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        while not done():
            left_s = None if deadline_s is None else max(0.0, deadline_s - time.monotonic())
            try:
                self._handle(self._inbox.get(timeout=left_s))
            except Empty:
                return

    def _handle(self, signal: Signal | _Handed | _Stop) -> None:
        match signal:
            case _Stop():
                self._stopping = True
            case _Handed(source, packet_id, size_bytes):
                self._handed(source, packet_id, size_bytes)
            case Subscribed(source, limit_bytes) if source is self._connection:
                self._went_up(source, limit_bytes)
            case Received(source, event) if source is self._connection:
                self._received(event)
            case Taken(source, packet_id) if source is self._connection:
                self._taken(packet_id)
            case Ended(source) if source is self._connection:
                # From here on nobody publishes into the dead connection.
                self._owner._live = None
                self._ended = signal
            case _:
                pass  # the last words of a connection that was given up

    def _went_up(self, connection: Connection, limit_bytes: int | None) -> None:
        self._up, self._was_up, self._told_reason = True, True, None
        self._owner.max_packet_bytes = limit_bytes
        self._owner._live = connection
        self._tell(Up())
        while self._early:
            self._tell(self._early.popleft())

    def _received(self, event: Arrived) -> None:
        # A broker may send retained payloads before it confirms the subscription.
        if self._up:
            self._tell(event)
        else:
            self._early.append(event)

    def _handed(self, source: Connection | None, packet_id: int, size_bytes: int) -> None:
        if source is None or source is not self._connection:
            self._tell(Flushed(size_bytes))
        elif packet_id in self._taken_early:
            self._taken_early.remove(packet_id)
            self._tell(Flushed(size_bytes))
        else:
            self._outstanding_bytes[packet_id] = size_bytes

    def _taken(self, packet_id: int) -> None:
        # paho may acknowledge before `publish` has returned to tell us of the packet.
        size_bytes = self._outstanding_bytes.pop(packet_id, None)
        if size_bytes is None:
            self._taken_early.add(packet_id)
        else:
            self._tell(Flushed(size_bytes))

    def _tell(self, event: TransportEvent) -> None:
        try:
            self._listener(event)
        except Exception:
            self._owner.callback_errors += 1
            _log.exception("the listener failed on %s", type(event).__name__)
