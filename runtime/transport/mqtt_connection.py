"""One MQTT connection from CONNECT to its end; never reconnected, so that nothing is resent.

paho resends after a reconnect whatever was not acknowledged. Transfers own retransmission here,
so each connection gets a paho client of its own, and what the client still held dies with it.
"""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import paho.mqtt.client as paho
from attrs import frozen
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from runtime.broker_url import BrokerUrl
from runtime.transport.base import Arrived, Will
from runtime.transport.tls import TidyTlsSocket, Trouble, explain

_log = logging.getLogger(__name__)
_CONNECT_TIMEOUT_S = 5.0
_SUBSCRIBE_QOS = 1
# paho waits in select(), which cannot see a descriptor from here on and would hang in silence.
_SELECT_LIMIT = 1024
_TCP_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)  # Linux alone has it
_SO_MAX_PACING_RATE = 47
_MOST_PACED_BYTES_PER_S = 2**31 - 1
_TCP_USER_TIMEOUT = 18


@frozen
class Dial:
    """What every connection of one party starts from."""

    url: BrokerUrl
    client_id: str
    keepalive_s: int
    uplink_limit_bytes_per_s: float | None
    tls: ssl.SSLContext | None
    subscriptions: tuple[str, ...]
    will: Will


@frozen(eq=False)
class Subscribed:
    """The broker has confirmed every subscription."""

    source: Connection
    max_packet_bytes: int | None


@frozen(eq=False)
class Received:
    """A payload came in."""

    source: Connection
    event: Arrived


@frozen(eq=False)
class Taken:
    """The broker has acknowledged a packet (QoS 1), or the kernel has it (QoS 0)."""

    source: Connection
    packet_id: int


@frozen(eq=False)
class Ended:
    """The connection is over, or never came about. Told once, as the last of its signals."""

    source: Connection
    reason: str
    hopeless: bool = False
    """Our files or the URL are wrong: the next connection will end alike."""


Signal = Subscribed | Received | Taken | Ended


class Connection:
    """Dials once and tells `report`, from paho's thread, what happens until `Ended`."""

    def __init__(self, dial: Dial, report: Callable[[Signal], None]) -> None:
        self.callback_errors = 0
        self._dial = dial
        self._report = report
        self._reason: str | None = None
        self._answered = False
        self._abandoned = False
        self._max_packet_bytes: int | None = None
        self._socket: object = None
        self._over = threading.Event()
        self._client: _OneShotClient | None = self._new_client()

    def start(self) -> None:
        """Connects in paho's thread, or ends where no file or thread is to be had for it."""
        if self._client is None:
            return
        try:
            self._client.loop_start()
        except (OSError, RuntimeError) as error:
            self._client = None
            self._end(error)

    def publish(
        self, topic: str, payload: bytes, *, qos: int, retain: bool, expiry_s: int | None
    ) -> int | None:
        """Hands a payload to paho; returns its packet id, or None when it was not taken."""
        client = self._client
        if client is None:
            return None
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if expiry_s is not None:
            properties.MessageExpiryInterval = expiry_s
        info = client.publish(topic, payload, qos, retain, properties)
        return info.mid if info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS else None

    def disconnect(self) -> None:
        """Says goodbye after what was handed over, so that the will is not published."""
        if self._client is not None:
            self._client.disconnect()

    def abort(self) -> None:
        """Cuts the connection, whatever state it is in."""
        self._abandoned = True
        live = self._client.socket() if self._client is not None else None
        if isinstance(live, socket.socket):
            with suppress(OSError):
                live.shutdown(socket.SHUT_RDWR)

    def release(self, timeout_s: float) -> None:
        """Joins paho's thread and lets its client go; a thread stuck in a name lookup is left."""
        client, self._client = self._client, None
        if client is not None and self._over.wait(timeout_s):
            client.loop_stop()

    def _new_client(self) -> _OneShotClient:
        dial = self._dial
        unix = dial.url.scheme == "unix"
        client = _OneShotClient(dial.client_id, "unix" if unix else "tcp", self._end)
        client.connect_timeout = _CONNECT_TIMEOUT_S
        client.on_socket_open = self._guarded(self._socket_open)
        client.on_connect = self._guarded(self._connected)
        client.on_subscribe = self._guarded(self._subscribed)
        client.on_message = self._guarded(self._message)
        client.on_publish = self._guarded(self._published)
        client.on_disconnect = self._guarded(self._disconnected)
        client.will_set(dial.will.topic, dial.will.payload, qos=1, retain=True)
        if dial.url.user is not None:
            client.username_pw_set(dial.url.user, dial.url.password)
        if dial.tls is not None:
            client.tls_set_context(dial.tls)
        port = dial.url.port or 1
        client.connect_async(dial.url.host, port, dial.keepalive_s, clean_start=True)
        return client

    def _guarded(self, callback: Callable[..., None]) -> Callable[..., None]:
        """An exception in a callback would end paho's thread; only OSError is meant to."""

        def guarded(client: paho.Client, _userdata: object, *arguments: Any) -> None:
            try:
                callback(client, *arguments)
            except OSError:
                raise
            except Exception:
                self.callback_errors += 1
                _log.exception("paho's callback %s failed", callback.__name__)

        return guarded

    def _socket_open(self, _client: paho.Client, opened: Any) -> None:
        self._socket = opened
        if self._abandoned:
            raise OSError("given up")
        if opened.fileno() >= _SELECT_LIMIT:
            opened.close()
            raise OSError(f"more than {_SELECT_LIMIT} files are open in this process")
        if opened.family == socket.AF_UNIX:
            return
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            timeout_ms = 2_000 * self._dial.keepalive_s
            opened.setsockopt(socket.IPPROTO_TCP, _TCP_USER_TIMEOUT, timeout_ms)
        if self._dial.uplink_limit_bytes_per_s is not None:
            limit = min(int(self._dial.uplink_limit_bytes_per_s), _MOST_PACED_BYTES_PER_S)
            opened.setsockopt(socket.SOL_SOCKET, _SO_MAX_PACING_RATE, limit)

    def _connected(
        self,
        client: paho.Client,
        _flags: paho.ConnectFlags,
        code: ReasonCode,
        properties: Properties | None,
    ) -> None:
        self._answered = True
        if code.is_failure:
            self._reason = f"the broker refused us: {code}"
            return
        self._max_packet_bytes = getattr(properties, "MaximumPacketSize", None)
        options = SubscribeOptions(qos=_SUBSCRIBE_QOS)
        if self._dial.subscriptions:
            client.subscribe([(topic, options) for topic in self._dial.subscriptions])
        else:
            self._report(Subscribed(self, self._max_packet_bytes))

    def _subscribed(
        self,
        client: paho.Client,
        _packet_id: int,
        codes: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        for topic, code in zip(self._dial.subscriptions, codes, strict=True):
            if code.is_failure:
                self._reason = f"the broker refused the subscription to {topic}: {code}"
                client.disconnect()
                return
        self._report(Subscribed(self, self._max_packet_bytes))

    def _message(self, _client: paho.Client, message: paho.MQTTMessage) -> None:
        event = Arrived(message.topic, bytes(message.payload), bool(message.retain))
        self._report(Received(self, event))

    def _published(
        self, client: paho.Client, packet_id: int, _code: ReasonCode, _properties: Properties
    ) -> None:
        _acknowledge_at_once(client.socket())
        self._report(Taken(self, packet_id))

    def _disconnected(
        self,
        _client: paho.Client,
        _flags: paho.DisconnectFlags,
        code: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if self._answered:
            self._reason = self._reason or f"the connection ended: {code}"

    def _end(self, error: Exception | None) -> None:
        trouble = self._trouble(error)
        if trouble is None and error is not None:
            words = str(error) or type(error).__name__
            self._reason = self._reason or f"{self._dial.url}: {words}"
        reason = trouble.sentence if trouble else self._reason or self._silence()
        self._report(Ended(self, reason, trouble is not None and trouble.hopeless))
        self._over.set()

    def _trouble(self, error: Exception | None) -> Trouble | None:
        if self._answered:
            return None
        if error is None and isinstance(self._socket, TidyTlsSocket):
            error = self._socket.broken_by
        return None if error is None else explain(error, self._dial.url)

    def _silence(self) -> str:
        # Some brokers close on a wrong password without a word, and some on a certificate.
        url = self._dial.url
        cert = f", or certificate {url.cert}," if url.cert else ""
        return f"{url} closed before it answered: user and password{cert} may be wrong"


def _acknowledge_at_once(live: object) -> None:
    """Sends the TCP acknowledgement that the kernel would hold back for 40 ms.

    A PUBACK is small and gets no answer. A broker that does not set TCP_NODELAY (mosquitto by
    default, rumqttd always) keeps the next message until the last small one is acknowledged; a
    step that takes four messages then waits for 160 ms. Linux forgets the option soon, so it is
    set again each time.
    """
    if _TCP_QUICKACK is None or not isinstance(live, socket.socket):
        return
    if live.family != socket.AF_UNIX:
        with suppress(OSError):
            live.setsockopt(socket.IPPROTO_TCP, _TCP_QUICKACK, 1)


class _OneShotClient(paho.Client):
    """paho's client, whose thread ends with its first connection and says so, however it ends."""

    def __init__(
        self, client_id: str, transport: Any, ended: Callable[[Exception | None], None]
    ) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id,
            protocol=paho.MQTTv5,
            transport=transport,
            reconnect_on_failure=False,
        )
        self._ended = ended

    def loop_forever(
        self, timeout: float = 1.0, retry_first_connection: bool = False
    ) -> MQTTErrorCode:
        """What `loop_start` runs in paho's thread."""
        error: Exception | None = None
        try:
            return super().loop_forever(timeout, retry_first_connection=False)
        except Exception as caught:
            error = caught
            return MQTTErrorCode.MQTT_ERR_UNKNOWN
        finally:
            live = self.socket()
            if live is not None:
                live.close()
            self._ended(error)

    def _create_unix_socket_connection(self) -> socket.socket:
        # As paho's own, but closed when nobody listens.
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made.settimeout(_CONNECT_TIMEOUT_S)
            made.connect(self.host)
        except BaseException:
            made.close()
            raise
        return made
