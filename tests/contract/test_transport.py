"""What every Transport promises: over memory, over iotcore and over mosquitto."""

from __future__ import annotations

import random

from runtime.transport.base import Up
from tests.contract.networks import Network, Party


def _up(network: Network, *parties: Party) -> None:
    network.wait_until(lambda: all(party.ups > 0 for party in parties))


def _two(network: Network, *subscriptions: str) -> tuple[Party, Party]:
    """A sender without subscriptions and a receiver with these, both up."""
    sender, receiver = network.party("sender"), network.party("receiver")
    sender.start()
    receiver.start(*subscriptions)
    _up(network, sender, receiver)
    return sender, receiver


class TestDelivery:
    def test_payloads_arrive_whole_and_in_order(self, network: Network) -> None:
        sender, receiver = _two(network, "box")
        sent = [random.Random(size).randbytes(size) for size in (0, 1, 127, 128, 16_384, 70_000)]
        for payload in sent:
            sender.publish("box", payload)
        network.wait_until(lambda: len(receiver.arrived) == len(sent))
        assert receiver.payloads == sent
        assert {event.topic for event in receiver.arrived} == {"box"}
        assert not any(event.retained for event in receiver.arrived)

    def test_a_payload_of_a_mebibyte_arrives_whole(self, network: Network) -> None:
        sender, receiver = _two(network, "box")
        payload = random.Random(7).randbytes(1 << 20)
        sender.publish("box", payload)
        network.wait_until(lambda: bool(receiver.arrived))
        assert receiver.payloads == [payload]

    def test_both_qualities_of_service_and_an_expiry_arrive(self, network: Network) -> None:
        sender, receiver = _two(network, "box")
        sender.publish("box", b"0", qos=0, expiry_s=60)
        sender.publish("box", b"1", qos=1, expiry_s=60)
        network.wait_until(lambda: len(receiver.arrived) == 2)
        assert sorted(receiver.payloads) == [b"0", b"1"]

    def test_wildcards_pick_their_topics_and_no_others(self, network: Network) -> None:
        sender, receiver = _two(network, "one/+/state", "all/down/#")
        other = ["one/a/b/state", "one/a", "all/up/x", "all", "end"]
        wanted = ["one/a/state", "one/b/state", "all/down/x", "all/down/x/y", "all/down"]
        for topic in [*other, *wanted]:
            sender.publish(topic, topic.encode())
        network.wait_until(lambda: len(receiver.arrived) >= len(wanted))
        sender.publish("one/last/state", b"last")
        network.wait_until(lambda: b"last" in receiver.payloads)
        assert [event.topic for event in receiver.arrived] == [*wanted, "one/last/state"]

    def test_no_event_from_inside_a_call_and_one_at_a_time(self, network: Network) -> None:
        sender, receiver = _two(network, "box")
        for number in range(200):
            sender.publish("box", b"%d" % number)
            receiver.publish("elsewhere", b"")
        network.wait_until(lambda: len(sender.flushed_bytes) == len(receiver.arrived) == 200)
        network.interrupt(sender)
        network.wait_until(lambda: bool(sender.downs))
        sender.publish("box", b"while down")
        sender.stop()
        for party in (sender, receiver):
            assert (party.inside_a_call, party.at_the_same_time) == (0, 0)


class TestRetained:
    def test_the_last_one_is_given_to_later_subscribers_and_flagged(self, network: Network) -> None:
        sender, early = _two(network, "notes/#")
        sender.publish("notes/a", b"old", retain=True)
        sender.publish("notes/a", b"new", retain=True)
        network.wait_until(lambda: len(early.arrived) == 2)
        late = network.party("late")
        late.start("notes/#")
        network.wait_until(lambda: bool(late.arrived))
        assert [(event.payload, event.retained) for event in late.arrived] == [(b"new", True)]
        assert isinstance(late.events[0], Up)
        assert [event.retained for event in early.arrived] == [False, False]

    def test_an_empty_payload_clears_it(self, network: Network) -> None:
        sender, early = _two(network, "notes/#")
        sender.publish("notes/a", b"text", retain=True)
        sender.publish("notes/a", b"", retain=True)
        sender.publish("notes/b", b"stays", retain=True)
        network.wait_until(lambda: len(early.arrived) == 3)
        late = network.party("late")
        late.start("notes/#")
        network.wait_until(lambda: bool(late.arrived))
        assert late.payloads == [b"stays"]


class TestWill:
    def test_it_is_published_retained_when_a_party_vanishes(self, network: Network) -> None:
        sender, watcher = _two(network, "wills/#")
        network.vanish(sender)
        network.wait_until(lambda: bool(watcher.arrived))
        assert watcher.arrived[0].topic == sender.will.topic
        assert watcher.payloads == [sender.will.payload]
        late = network.party("late")
        late.start("wills/#")
        network.wait_until(lambda: bool(late.arrived))
        assert [(event.payload, event.retained) for event in late.arrived] == [
            (sender.will.payload, True)
        ]

    def test_it_is_not_published_when_a_party_stops(self, network: Network) -> None:
        stopping, watcher = _two(network, "wills/#")
        other = network.party("other")
        other.start()
        _up(network, other)
        stopping.publish("wills/word", b"last word")
        stopping.stop()
        stopping.stop()
        network.wait_until(lambda: bool(watcher.arrived))
        network.vanish(other)
        network.wait_until(lambda: len(watcher.arrived) == 2)
        assert watcher.payloads == [b"last word", other.will.payload]


class TestFlushed:
    def test_once_for_each_payload(self, network: Network) -> None:
        sender, _ = _two(network, "box")
        sizes = list(range(1, 101))
        for size in sizes:
            sender.publish("box", bytes(size), qos=size % 2)
        network.wait_until(lambda: len(sender.flushed_bytes) >= len(sizes))
        sender.publish("box", bytes(1_000))
        network.wait_until(lambda: 1_000 in sender.flushed_bytes)
        assert sender.flushed_bytes == [*sizes, 1_000]

    def test_once_also_across_the_loss_of_the_connection(self, network: Network) -> None:
        sender, _ = _two(network, "box")
        sizes = list(range(1, 101))
        for size in sizes[:50]:
            sender.publish("box", bytes(size))
        network.interrupt(sender)
        for size in sizes[50:]:
            sender.publish("box", bytes(size))
        network.wait_until(lambda: sender.ups == 2)
        sender.publish("box", bytes(1_000))
        network.wait_until(lambda: 1_000 in sender.flushed_bytes)
        assert sender.flushed_bytes == [*sizes, 1_000]

    def test_also_while_down_where_the_payload_is_dropped(self, network: Network) -> None:
        sender, receiver = _two(network, "box")
        network.interrupt(sender)
        network.wait_until(lambda: bool(sender.downs))
        sender.publish("box", b"dropped")
        network.wait_until(lambda: sender.flushed_bytes == [7])
        network.wait_until(lambda: sender.ups == 2)
        sender.publish("box", b"kept")
        network.wait_until(lambda: bool(receiver.arrived))
        assert receiver.payloads == [b"kept"]


class TestComingBack:
    def test_subscriptions_are_in_place_after_every_up(self, network: Network) -> None:
        sender, receiver = _two(network, "box/+", "notes/#")
        sender.publish("notes/a", b"kept", retain=True)
        network.wait_until(lambda: b"kept" in receiver.payloads)
        for times in range(2, 5):
            network.interrupt(receiver)
            network.wait_until(lambda times=times: receiver.ups == times)  # type: ignore[misc]
            sender.publish("box/a", b"%d" % times)
            network.wait_until(lambda times=times: b"%d" % times in receiver.payloads)  # type: ignore[misc]
        assert len(receiver.downs) == 3
        assert all(receiver.downs)
        flags = [event.retained for event in receiver.arrived if event.topic == "notes/a"]
        assert flags == [False, True, True, True]
