"""TLS with a real broker and real certificates: who gets in, and what the others are told."""

from __future__ import annotations

import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from attrs import evolve

from runtime.broker_url import BrokerUrl
from runtime.errors import BrokerError
from runtime.transport.base import Down
from runtime.transport.mqtt import MqttTransport
from runtime.transport.tls import explain, tls_context
from tests.broker.authority import Authority, SecuredBroker
from tests.contract.networks import Party

pytestmark = pytest.mark.broker
STATE = "edgesplit/v1/home/devices/board-a/state"


def _wait_until(predicate: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 15
    while not predicate():
        assert time.monotonic() < deadline_s, "it has not come about"
        time.sleep(0.002)


@contextmanager
def _party(url: BrokerUrl) -> Iterator[Party]:
    party = Party("board-a", MqttTransport(url, "board-a"))
    party.start(STATE)
    try:
        yield party
    finally:
        party.stop()


def _told(party: Party, word: str) -> Down:
    """Waits for a Down with this word. A refusal may be overtaken by the end of its connection."""

    def matching() -> list[Down]:
        return [one for one in party.events if isinstance(one, Down) and word in one.reason]

    _wait_until(lambda: bool(matching()))
    return matching()[0]


def test_with_a_certificate_one_gets_in(secured: SecuredBroker, authority: Authority) -> None:
    with _party(authority.url(secured.port, "board-a")) as party:
        _wait_until(lambda: party.ups == 1)
        party.publish(STATE, bytes(100_000))
        _wait_until(lambda: party.payloads == [bytes(100_000)])
    assert "u'board-a'" in secured.log()


def test_older_tls_is_not_spoken(authority: Authority) -> None:
    context = tls_context(authority.url(1, "board-a"))
    assert context is not None
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)


def test_without_a_certificate_nobody_gets_in(secured: SecuredBroker, authority: Authority) -> None:
    bare = evolve(authority.url(secured.port, "board-a"), cert=None, key=None)
    with _party(bare) as party:
        down = _told(party, "refuses us without a certificate: the broker wants one")
        assert down.hopeless
        assert party.ups == 0


def test_a_stranger_s_certificate_is_refused(
    secured: SecuredBroker, authority: Authority, tmp_path: Path
) -> None:
    stranger = Authority.make(tmp_path / "strange")
    theirs = stranger.url(secured.port, "board-a")
    with _party(evolve(theirs, ca=authority.folder / "ca.pem")) as party:
        down = _told(party, f"refuses our certificate {theirs.cert}")
        assert "have it signed by the CA of the broker" in down.reason
        assert down.hopeless
    with _party(evolve(authority.url(secured.port, "board-a"), ca=theirs.ca)) as party:
        down = _told(party, f"is not signed by ca {theirs.ca}")
        assert down.hopeless


@pytest.mark.parametrize(
    ("section", "days", "word"),
    [("client", "-1", "it has expired; issue a new one"), ("broker", "1", "extendedKeyUsage")],
)
def test_a_certificate_that_will_not_do_is_named(
    authority: Authority, tmp_path: Path, section: str, days: str, word: str
) -> None:
    own = authority.copy(tmp_path / "ca")
    own.issue("late", section=section, days=days)
    with (
        SecuredBroker(tmp_path / "broker", own) as broker,
        _party(own.url(broker.port, "late")) as party,
    ):
        down = _told(party, word)
        assert str(own.folder / "late.pem") in down.reason
        assert down.hopeless


def test_a_revoked_certificate_is_refused(authority: Authority, tmp_path: Path) -> None:
    own = authority.copy(tmp_path / "ca")
    own.revoke_board_b()
    with SecuredBroker(tmp_path / "broker", own) as broker:
        with _party(own.url(broker.port, "board-b")) as party:
            assert _told(party, "it is revoked").hopeless
        with _party(own.url(broker.port, "board-a")) as party:
            _wait_until(lambda: party.ups == 1)


@pytest.mark.parametrize(
    ("section", "days", "word", "hopeless"),
    [
        ("broker", "-1", "has expired; renew it on the broker", False),
        ("client", "1", "is none of a server", True),
    ],
)
def test_the_broker_s_certificate_is_checked(
    authority: Authority, tmp_path: Path, section: str, days: str, word: str, hopeless: bool
) -> None:
    own = authority.copy(tmp_path / "ca")
    own.issue("posing", section=section, days=days)
    with (
        SecuredBroker(tmp_path / "broker", own, server="posing") as broker,
        _party(own.url(broker.port, "board-a")) as party,
    ):
        assert _told(party, word).hopeless is hopeless


def test_another_host_s_certificate_is_refused(
    secured: SecuredBroker, authority: Authority
) -> None:
    url = evolve(authority.url(secured.port, "board-a"), host="127.0.0.1")
    with _party(url) as party:
        assert _told(party, "does not name 127.0.0.1").hopeless


def test_a_port_without_tls_is_named(authority: Authority) -> None:
    error = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number")
    error.reason = "WRONG_VERSION_NUMBER"
    trouble = explain(error, authority.url(1883, "board-a"))
    assert trouble is not None
    assert "does not speak TLS" in trouble.sentence
    assert explain(ConnectionRefusedError(), authority.url(1883, "board-a")) is None


def test_whoever_was_in_does_not_give_up_for_an_impostor(
    authority: Authority, tmp_path: Path
) -> None:
    real = SecuredBroker(tmp_path / "real", authority)
    own = authority.copy(tmp_path / "ca")
    own.issue("posing", section="client")
    impostor = SecuredBroker(tmp_path / "impostor", own, server="posing", port=real.port)
    with _party(authority.url(real.port, "board-a")) as party:
        with real:
            _wait_until(lambda: party.ups == 1)
        with impostor:
            assert not _told(party, "is none of a server").hopeless
        with real:
            _wait_until(lambda: party.ups == 2)


def _lock(folder: Path) -> None:
    command = "openssl pkey -aes256 -passout pass:secret -in board-a.key -out locked.key"
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)


@pytest.mark.parametrize(
    ("cert", "key", "ca", "words"),
    [
        ("board-a", "board-b", "ca", "board-b.key does not belong to cert"),
        ("junk", "board-a", "ca", "junk.pem holds no cert in PEM form"),
        ("board-a", "junk", "ca", "junk.key holds no key in PEM form"),
        ("board-a", "board-a", "junk", "junk.pem holds no certificate"),
        ("board-a", "locked", "ca", "locked.key is encrypted"),
    ],
)
def test_files_that_do_not_fit_are_refused_at_once(
    authority: Authority, tmp_path: Path, cert: str, key: str, ca: str, words: str
) -> None:
    own = authority.copy(tmp_path / "ca")
    for name in ("junk.pem", "junk.key"):
        (own.folder / name).write_text("not PEM at all")
    _lock(own.folder)
    with pytest.raises(BrokerError, match=words):
        MqttTransport(own.url(1, cert, key=key, ca=ca), "board-a")
