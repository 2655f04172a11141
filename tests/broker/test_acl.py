"""The access list of docs/broker with a real mosquitto: a board sees and writes its own branch."""

from __future__ import annotations

import queue
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from runtime.transport.tls import tls_context
from tests.broker.authority import Authority, SecuredBroker

pytestmark = pytest.mark.broker
HOME = "edgesplit/v1/home"
A, B, COORDINATOR = "board-a", "board-b", "coordinator"
_PATIENCE_S = 10.0
Join = Callable[..., "Client"]


class Client:
    """Somebody with a certificate who may try anything. Every call waits for its answer."""

    def __init__(self, context: ssl.SSLContext, port: int, name: str, will: str = "") -> None:
        self.arrived: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._paho = paho.Client(CallbackAPIVersion.VERSION2, name, protocol=paho.MQTTv5)
        self._paho.tls_set_context(context)
        if will:
            self._paho.will_set(will, b"a will", qos=1, retain=True)
        self._paho.on_connect = lambda *given: self._answers.put(given[3])
        self._paho.on_subscribe = lambda *given: self._answers.put(given[3])
        self._paho.on_publish = lambda *given: self._answers.put(given[3])
        self._paho.on_message = self._heard
        self._paho.connect("localhost", port)
        self._paho.loop_start()
        self._answers.get(timeout=_PATIENCE_S)

    def subscribe(self, *filters: str) -> None:
        self._paho.subscribe([(one, 1) for one in filters])
        self._answers.get(timeout=_PATIENCE_S)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> str:
        """Returns the broker's word for it."""
        self._paho.publish(topic, payload, qos=1, retain=retain)
        return str(self._answers.get(timeout=_PATIENCE_S))

    def heard_until(self, payload: bytes) -> list[tuple[str, bytes]]:
        """Returns what arrived before `payload`, which comes by the same connection."""
        heard = []
        while (one := self.arrived.get(timeout=_PATIENCE_S))[1] != payload:
            heard.append(one)
        return heard

    def vanish(self) -> None:
        """Ends without a farewell, so that the broker publishes the will."""
        live = self._paho.socket()
        assert isinstance(live, ssl.SSLSocket)
        gone = threading.Event()
        self._paho.on_disconnect = lambda *_: gone.set()
        live.shutdown(2)
        assert gone.wait(_PATIENCE_S)

    def leave(self) -> None:
        self._paho.disconnect()
        self._paho.loop_stop()

    def _heard(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        self.arrived.put((message.topic, bytes(message.payload)))


@pytest.fixture
def join(secured: SecuredBroker, authority: Authority) -> Iterator[Join]:
    """Lets somebody in by the certificate of `name`."""
    with ExitStack() as stack:

        def enter(name: str, will: str = "", client_id: str = "") -> Client:
            context = tls_context(authority.url(secured.port, name))
            assert context is not None
            client = Client(context, secured.port, client_id or name, will)
            stack.callback(client.leave)
            return client

        yield enter


FOREIGN_TO_A = [
    f"{HOME}/coordinator/state",
    f"{HOME}/devices/{B}/state",
    f"{HOME}/devices/{B}/up/offer",
    f"{HOME}/devices/{B}/up/chunk",
    f"{HOME}/devices/{B}/down/offer",
    f"{HOME}/devices/{A}/down/offer",
    f"{HOME}/devices/{COORDINATOR}/state",
    f"{HOME}/anything",
    f"edgesplit/v1/other/devices/{A}/up/offer",
    "elsewhere",
]


@pytest.mark.parametrize("topic", FOREIGN_TO_A)
def test_a_board_writes_nowhere_else(join: Join, topic: str) -> None:
    other, board, coordinator = join(B), join(A), join(COORDINATOR)
    watched = (f"{HOME}/#", "edgesplit/#", "#")
    coordinator.subscribe(*watched)
    other.subscribe(*watched)
    assert board.publish(topic, b"forged") == "Not authorized"
    assert board.publish(topic, b"forged, to stay", retain=True) == "Not authorized"
    assert coordinator.publish(f"{HOME}/coordinator/state", b"last", retain=True) == "Success"
    payloads = {payload for _, payload in other.heard_until(b"last")}
    payloads |= {payload for _, payload in coordinator.heard_until(b"last")}
    assert not any(payload.startswith(b"forged") for payload in payloads)


@pytest.mark.parametrize(
    "filters",
    [
        ("#",),
        ("+/+/+/devices/#",),
        (f"{HOME}/#",),
        (f"{HOME}/devices/+/up/#", f"{HOME}/devices/+/down/#", f"{HOME}/devices/+/state"),
        (f"{HOME}/devices/{B}/#",),
        (f"$share/spies/{HOME}/devices/{B}/#",),
    ],
    ids=lambda filters: filters[0],
)
def test_a_board_reads_nothing_else(join: Join, filters: tuple[str, ...]) -> None:
    """The broker grants any filter, and holds back what one may not read."""
    other, coordinator, spy = join(B), join(COORDINATOR), join(A)
    other.publish(f"{HOME}/devices/{B}/state", b"retained", retain=True)
    spy.subscribe(*filters)
    spy.subscribe(f"{HOME}/devices/{A}/down/#")
    for leaf in ("offer", "grant", "chunk", "receipt"):
        assert other.publish(f"{HOME}/devices/{B}/up/{leaf}", b"secret") != "Not authorized"
        assert coordinator.publish(f"{HOME}/devices/{B}/down/{leaf}", b"secret") != "Not authorized"
    coordinator.publish(f"{HOME}/devices/{A}/down/offer", b"for a")
    assert all(topic.startswith(f"{HOME}/devices/{A}/") for topic, _ in spy.heard_until(b"for a"))


def test_a_board_reads_and_writes_what_it_needs(join: Join) -> None:
    board, coordinator = join(A), join(COORDINATOR)
    coordinator.publish(f"{HOME}/coordinator/state", b"birth", retain=True)
    coordinator.subscribe(f"{HOME}/devices/+/state", f"{HOME}/devices/+/up/#")
    board.subscribe(f"{HOME}/coordinator/state", f"{HOME}/devices/{A}/down/#")
    assert board.arrived.get(timeout=_PATIENCE_S)[1] == b"birth"
    for topic in (f"{HOME}/devices/{A}/state", f"{HOME}/devices/{A}/up/chunk"):
        assert board.publish(topic, b"mine") == "Success"
        assert coordinator.arrived.get(timeout=_PATIENCE_S) == (topic, b"mine")
    assert coordinator.publish(f"{HOME}/devices/{A}/down/chunk", b"yours") == "Success"
    assert board.arrived.get(timeout=_PATIENCE_S)[1] == b"yours"


@pytest.mark.parametrize("topic", [f"{HOME}/devices/{B}/state", f"{HOME}/coordinator/state"])
def test_a_will_reaches_nobody_else(join: Join, topic: str) -> None:
    watcher = join(COORDINATOR)
    watcher.subscribe(f"{HOME}/devices/+/state", f"{HOME}/coordinator/state")
    forger = join(A, will=topic)
    honest = join(A, will=f"{HOME}/devices/{A}/state", client_id="another")
    forger.vanish()
    honest.vanish()
    assert watcher.heard_until(b"a will") == []
    latecomer = join(COORDINATOR, client_id="late")
    latecomer.subscribe(topic)
    latecomer.subscribe(f"{HOME}/devices/{A}/state")
    (first, *_) = [latecomer.arrived.get(timeout=_PATIENCE_S)]
    assert first[0] == f"{HOME}/devices/{A}/state"


def test_the_client_s_name_gives_no_rights(join: Join) -> None:
    board = join(A, client_id=f"edgesplit-home-{B}")
    assert board.publish(f"{HOME}/devices/{B}/up/offer", b"forged") == "Not authorized"
    assert board.publish(f"{HOME}/devices/{A}/up/offer", b"mine") != "Not authorized"
