"""The slow line that a rehearsal puts between broker and coordinator."""

from __future__ import annotations

import socket
import threading

import pytest

from coordinator.fleet import SharedLink
from coordinator.rehearsal.shared_link import shared_link
from runtime.broker_url import BrokerUrl
from runtime.errors import BrokerError


def test_without_a_link_the_coordinator_goes_straight_to_the_broker() -> None:
    url = "mqtt://user@127.0.0.1:1883?password_file=p"
    with shared_link(SharedLink(), url) as reached:
        assert reached == url


def test_the_way_leads_to_the_broker_and_the_login_stays() -> None:
    with socket.create_server(("127.0.0.1", 0)) as broker:
        port = broker.getsockname()[1]
        link = SharedLink(uplink_mbps=50)
        with shared_link(link, f"mqtt://user:secret@127.0.0.1:{port}") as reached:
            url = BrokerUrl.parse(reached)
            assert (url.user, url.password) == ("user", "secret")
            assert url.port != port
            heard: list[bytes] = []

            def listen() -> None:
                connection, _ = broker.accept()
                with connection:
                    heard.append(connection.recv(5))

            listener = threading.Thread(target=listen)
            listener.start()
            with socket.create_connection((url.host, url.port)) as client:
                client.sendall(b"hello")
                listener.join(10)
            assert heard == [b"hello"]


def test_a_broker_that_no_proxy_can_stand_before_is_refused() -> None:
    with (
        pytest.raises(BrokerError, match="needs an mqtt:// broker"),
        shared_link(SharedLink(delay_ms=1), "unix:///tmp/broker.sock"),
    ):
        raise AssertionError("there is no such link")
