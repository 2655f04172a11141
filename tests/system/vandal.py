"""A client that is let in and writes garbage on every topic."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Iterator

import msgpack
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from runtime.broker_url import BrokerUrl
from runtime.frames import Chunk, Offer, Session
from runtime.ids import DeviceId
from runtime.presence import DevicePresence
from runtime.topics import FRAMES, Fleet
from runtime.wire import encode, encode_json

_PAUSE_S = 0.002


class Vandal:
    """Publishes from entry to exit of its context; `published` counts.

    A pass is every kind of garbage on every topic and a mark, in the name of a device of its own
    for each pass; `passes` counts those that the broker has acknowledged.
    """

    def __init__(self, url: BrokerUrl, fleet: Fleet, devices: tuple[str, ...]) -> None:
        self.published = 0
        self.passes = 0
        self._url = url
        self._fleet = fleet
        self._devices = tuple(DeviceId(device) for device in (*devices, "ghost"))
        self._random = random.Random(0)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Vandal:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @staticmethod
    def mark(number: int) -> DeviceId:
        """Returns who the garbage at the end of a pass is from; the first pass is 1."""
        return DeviceId(f"pass-{number}")

    def _run(self) -> None:
        client = mqtt.Client(CallbackAPIVersion.VERSION2, "vandal", protocol=mqtt.MQTTv5)
        client.username_pw_set(self._url.user, self._url.password)
        client.connect(self._url.host, self._url.port)
        client.loop_start()
        garbage = list(zip(self._topics(), self._payloads(), strict=False))
        while self._pass(client, [*garbage, *self._marks()]):
            self.passes += 1
        client.disconnect()
        client.loop_stop()

    def _pass(self, client: mqtt.Client, garbage: list[tuple[str, bytes]]) -> bool:
        """Publishes all of it and awaits the broker's word; False where it is over before."""
        for topic, payload in garbage:
            if self._over.wait(_PAUSE_S):
                return False
            last = client.publish(topic, payload, qos=1)
            self.published += 1
        last.wait_for_publish()
        return True

    def _marks(self) -> Iterator[tuple[str, bytes]]:
        """Garbage that a broker delivers after all of its pass: order holds for each filter."""
        device = self.mark(self.passes + 1)
        yield self._fleet.device_state(device), b"not JSON"
        yield self._fleet.frame(FRAMES["up"]["offer"], device), b"not msgpack"

    def _topics(self) -> Iterator[str]:
        """Every topic of the fleet and some that are none, each often enough for each payload."""
        fleet = self._fleet
        known = [fleet.coordinator_state(), *map(fleet.device_state, self._devices)]
        for way in FRAMES.values():
            known += [fleet.frame(row, device) for row in way.values() for device in self._devices]
        foreign = [f"{fleet.frame(FRAMES['up']['offer'], self._devices[0])}/deeper"]
        return iter([*known, *foreign] * 13)

    def _payloads(self) -> Iterator[bytes]:
        """Cycles through kinds of garbage; their number has no factor common with the topics."""
        for number in itertools.count():
            yield self._garbage(number % 11)

    def _garbage(self, kind: int) -> bytes:
        offer = Offer(Session(1, 1), 1, "step", 10, b"d" * 32, b"0123456789")
        good = encode(offer)
        match kind:
            case 0:
                return self._random.randbytes(200)
            case 1:
                return good[: self._random.randrange(len(good))]
            case 2:
                return self._random.randbytes(400_000)
            case 3:
                return bytes(msgpack.packb([1, 2, 3]))
            case 4:
                return bytes(msgpack.packb({"session": "x", "id": -1, "kind": 7, "size": None}))
            case 5:
                return good
            case 6:
                return encode(Chunk(Session(2**60, 0), 2**60, -5, 0, b"x" * 100))
            case 7:
                ghost = DeviceId("ghost")
                return encode_json(DevicePresence(ghost, 2**53 - 1, "online", samples=9))
            case 8:
                return b"[" * 100_000
            case 9:
                return b'{"device": 3, "incarnation": "now", "status": []}'
            case _:
                return b"\xc1" + self._random.randbytes(5000)
