from __future__ import annotations

from pathlib import Path

import pytest

from runtime.broker_url import BrokerUrl


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mqtt://broker", BrokerUrl("mqtt", "broker", 1883)),
        ("mqtt://10.0.0.1:1884/", BrokerUrl("mqtt", "10.0.0.1", 1884)),
        ("mqtt://ann@broker", BrokerUrl("mqtt", "broker", 1883, "ann")),
        ("mqtt://ann:a%40b%23@broker", BrokerUrl("mqtt", "broker", 1883, "ann", "a@b#")),
        ("mqtts://broker", BrokerUrl("mqtts", "broker", 8883)),
        ("mqtt://[::1]:99", BrokerUrl("mqtt", "::1", 99)),
        ("unix:///run/b%20c.sock", BrokerUrl("unix", "/run/b c.sock")),
        ("unix:///run/b.sock?user=ann", BrokerUrl("unix", "/run/b.sock", 0, "ann")),
    ],
)
def test_what_is_understood(text: str, expected: BrokerUrl) -> None:
    assert BrokerUrl.parse(text) == expected
    assert expected.tls == text.startswith("mqtts")


def test_certificates_are_files(tmp_path: Path) -> None:
    for name in ("ca", "cert", "key"):
        (tmp_path / name).touch()
    query = "&".join(f"{name}={tmp_path / name}" for name in ("ca", "cert", "key"))
    url = BrokerUrl.parse(f"mqtts://broker?{query}")
    assert (url.ca, url.cert, url.key) == (tmp_path / "ca", tmp_path / "cert", tmp_path / "key")


def test_a_password_file_keeps_the_password_out_of_the_url(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("pass word\n")
    assert BrokerUrl.parse(f"mqtt://ann@b?password_file={tmp_path}/secret").password == "pass word"


def test_the_password_is_never_shown() -> None:
    url = BrokerUrl.parse("mqtt://ann:hunter2@broker:1884")
    assert str(url) == "mqtt://ann@broker:1884"
    assert "hunter2" not in repr(url)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("broker:1883", "starts with"),
        ("http://broker", "starts with"),
        ("mqtt://", "no valid host"),
        ("mqtt://a..b", "no valid host"),
        ("mqtt://broker:0", "port"),
        ("mqtt://broker:70000", "port"),
        ("mqtt://broker:hunter2", "port"),
        ("mqtt://broker/path", "no path"),
        ("mqtt://broker?ca=/x", "does not take ca"),
        ("mqtt://broker#x", "%23"),
        ("mqtt://:hunter2@broker", "no user"),
        ("mqtt://[::1", "not a URL"),
        ("mqtts://broker?ca=/nowhere", "names no file"),
        ("mqtts://broker?ca=/nowhere&ca=/nowhere", "twice"),
        ("mqtt://ann@broker?password_file=/nowhere", "names no file"),
        (f"mqtt://ann:hunter2@broker?password_file={__file__}", "not both"),
        (f"mqtts://broker?cert={__file__}", "belong together"),
        ("unix://run/broker.sock", "three slashes"),
        ("unix:///", "three slashes"),
    ],
)
def test_what_is_refused_and_why(text: str, word: str) -> None:
    with pytest.raises(ValueError, match=word) as raised:
        BrokerUrl.parse(text)
    assert "hunter2" not in str(raised.value)
