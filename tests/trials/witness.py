"""Somebody at the broker who hears what devices send, and when."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as mqtt
from attrs import frozen
from paho.mqtt.enums import CallbackAPIVersion

from runtime import wire
from runtime.broker_url import BrokerUrl
from runtime.errors import WireError
from runtime.frames import Offer, Session
from runtime.ids import COORDINATOR, DeviceId
from runtime.topics import FRAMES, Fleet

PATIENCE_S = 60.0


@frozen
class Heard:
    """A letter that a device offered; `at_s` is the time of day."""

    at_s: float
    device: str
    kind: str
    size_bytes: int
    lives: Session

    def incarnation(self, party: str) -> int:
        """Returns that of the coordinator or of a device, 0 where the letter does not tell it."""
        if party == COORDINATOR:
            return self.lives.coordinator
        return self.lives.device if party == self.device else 0


class Witness:
    """Listens to the offers of a fleet's devices from entry to exit of its context."""

    def __init__(self, url: BrokerUrl, fleet: Fleet) -> None:
        self._heard: list[Heard] = []
        self._changed = threading.Condition()
        self._fleet = fleet
        self._filter = fleet.frame(FRAMES["up"]["offer"], DeviceId("+"))
        self._url = url
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, "witness", protocol=mqtt.MQTTv5)
        self._client.username_pw_set(url.user, url.password)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = self._subscribe
        self._client.on_message = self._hear

    def __enter__(self) -> Witness:
        self._client.connect_async(self._url.host, self._url.port)
        self._client.loop_start()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def heard(self) -> list[Heard]:
        """All that was heard until now."""
        with self._changed:
            return list(self._heard)

    def newest(self, party: str) -> int:
        """Returns the newest incarnation of the coordinator or a device, 0 before any letter."""
        return max((one.incarnation(party) for one in self.heard), default=0)

    def await_step(self) -> Heard:
        """Waits for the next step letter of whomever."""
        return self._await(lambda one: one.kind == "step")

    def await_step_of(self, device: str, least_bytes: int = 0) -> Heard:
        """Waits for the next step letter of a device that has so many bytes."""
        return self._await(
            lambda one: (
                one.kind == "step" and one.device == device and one.size_bytes >= least_bytes
            )
        )

    def await_step_with(self, party: str, after: int) -> Heard:
        """Waits for the next step letter that takes a later incarnation of a party."""
        return self._await(lambda one: one.kind == "step" and one.incarnation(party) > after)

    def _await(self, wanted: Callable[[Heard], bool]) -> Heard:
        began = len(self.heard)

        def found() -> Heard | None:
            return next((one for one in self._heard[began:] if wanted(one)), None)

        with self._changed:
            one = self._changed.wait_for(found, PATIENCE_S)
        assert one is not None, "nobody sent such a step"
        return one

    def _subscribe(self, client: mqtt.Client, *_: Any) -> None:
        client.subscribe(self._filter, qos=1)

    def _hear(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        place = self._fleet.parse(message.topic)
        try:
            offer = wire.decode(Offer, bytes(message.payload)).value
        except WireError:
            return
        assert place is not None and place[1] is not None
        one = Heard(time.time(), place[1], offer.kind, offer.size, offer.session)
        with self._changed:
            self._heard.append(one)
            self._changed.notify_all()
