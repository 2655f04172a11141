"""TLS: what is loaded for it, and what a user is told when it fails.

An error names the file that is wrong and what to do about it. Some failures only a person can
mend, because our own files or the URL are wrong; others pass: a broker's certificate is renewed,
a board's clock is set.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any, NoReturn

from attrs import frozen

from runtime.broker_url import BrokerUrl
from runtime.errors import BrokerError

# OpenSSL's codes of X509_verify_cert_error_string(3), where they are worth a sentence of ours.
_NOT_YET_VALID, _EXPIRED = 9, 10
_UNKNOWN_SIGNER = frozenset({2, 18, 19, 20, 21, 24})
_WRONG_PURPOSE = 26
_WRONG_NAME = frozenset({62, 64})

_REFUSALS = {
    "CERTIFICATE_EXPIRED": "it has expired; issue a new one",
    "CERTIFICATE_REVOKED": "it is revoked; issue a new one if that was a mistake",
    "UNKNOWN_CA": "the broker does not trust its signer; have it signed by the CA of the broker",
    "CERTIFICATE_REQUIRED": "the broker wants one; add cert and key to the URL",
    "HANDSHAKE_FAILURE": "the broker may want one; add cert and key to the URL",
    "BAD_CERTIFICATE": "the broker cannot use it; issue a new one",
    "CERTIFICATE_UNKNOWN": "the broker cannot use it; issue a new one",
    "UNSUPPORTED_CERTIFICATE": "it is none of a client; issue one with extendedKeyUsage clientAuth",
}
"""Alerts of RFC 8446, section 6.2, by the end of OpenSSL's name for them."""


@frozen
class Trouble:
    """Why no connection came about, in a sentence; `hopeless` where trying again cannot help."""

    sentence: str
    hopeless: bool


class TidyTlsSocket(ssl.SSLSocket):
    """Closes itself when the handshake fails; paho would leave it open.

    `broken_by` is the error that ended it. With TLS 1.3 a broker refuses a certificate after the
    handshake, and paho keeps such an error to itself.
    """

    broken_by: ssl.SSLError | None = None

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        try:
            return super().recv(buflen, flags)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            self.broken_by = error
            raise


def tls_context(url: BrokerUrl) -> ssl.SSLContext | None:
    """Returns what mqtts needs, None for other schemes.

    TLS 1.2 at least; the broker's certificate must be signed by `ca` (or by what the system
    trusts) and name the host of the URL. Raises BrokerError, naming the file and the fix.
    """
    if not url.tls:
        return None
    context = ssl.create_default_context(cafile=_checked_ca(url.ca))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = TidyTlsSocket
    if url.cert is not None and url.key is not None:
        _load_own(context, url.cert, url.key)
    return context


def explain(error: BaseException, url: BrokerUrl) -> Trouble | None:
    """Returns what a failed connection to `url` means, None where TLS is not to blame."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _of_their_certificate(error, url)
    if not isinstance(error, ssl.SSLError):
        return None
    reason = error.reason or ""
    for alert, meaning in _REFUSALS.items():
        if reason.endswith(f"ALERT_{alert}"):
            ours = f"our certificate {url.cert}" if url.cert else "us without a certificate"
            return Trouble(f"{url} refuses {ours}: {meaning}", hopeless=True)
    if reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"):
        text = f"{url} does not speak TLS on this port; mend the port, or write mqtt://"
        return Trouble(text, hopeless=True)
    return Trouble(f"{url}: TLS failed: {reason or error}", hopeless=False)


def _of_their_certificate(error: ssl.SSLCertVerificationError, url: BrokerUrl) -> Trouble:
    code, theirs = error.verify_code, f"the certificate of {url}"
    if code == _EXPIRED:
        return Trouble(f"{theirs} has expired; renew it on the broker", hopeless=False)
    if code == _NOT_YET_VALID:
        return Trouble(f"{theirs} is not valid yet; check the clock of this machine", False)
    if code in _UNKNOWN_SIGNER:
        trusted = f"ca {url.ca}" if url.ca else "any CA of this system"
        fix = "name the file of the CA that signed it with ca="
        return Trouble(f"{theirs} is not signed by {trusted}; {fix}", hopeless=True)
    if code in _WRONG_NAME:
        fix = "write a name of the certificate into the URL, or issue one with subjectAltName"
        return Trouble(f"{theirs} does not name {url.host}; {fix}", hopeless=True)
    if code == _WRONG_PURPOSE:
        fix = "issue one with extendedKeyUsage serverAuth"
        return Trouble(f"{theirs} is none of a server; {fix}", hopeless=True)
    return Trouble(f"{theirs} is not accepted: {error.verify_message}", hopeless=True)


def _checked_ca(ca: Path | None) -> Path | None:
    if ca is None:
        return None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(ca)
    except OSError as error:  # SSLError is one
        fix = "give the PEM file of the CA that signed the broker's certificate"
        raise BrokerError(f"ca {ca} holds no certificate ({_words(error)}); {fix}") from None
    return ca


def _load_own(context: ssl.SSLContext, cert: Path, key: Path) -> None:
    try:
        context.load_cert_chain(cert, key, password=_refuse_password)
    except _Encrypted:
        text = f"key {key} is encrypted; decrypt it with openssl pkey -in {key} -out PLAIN"
        raise BrokerError(text) from None
    except OSError as error:
        raise BrokerError(_unloadable(cert, key, error)) from None


class _Encrypted(Exception):
    """A key that asks for a password, where nobody sits at a terminal."""


def _refuse_password() -> NoReturn:
    raise _Encrypted


def _unloadable(cert: Path, key: Path, error: OSError) -> str:
    reason: Any = getattr(error, "reason", None)
    if reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH"):
        return (
            f"key {key} does not belong to cert {cert}; give the key that its request was made with"
        )
    for name, path, mark in (
        ("cert", cert, b"CERTIFICATE-----"),
        ("key", key, b"PRIVATE KEY-----"),
    ):
        try:
            if mark not in path.read_bytes():
                return (
                    f"{name} {path} holds no {name} in PEM form; give the file that openssl wrote"
                )
        except OSError as unread:
            return f"{name} {path} cannot be read: {unread.strerror}; check its permissions"
    return f"cert {cert} and key {key} cannot be loaded: {_words(error)}; issue new ones"


def _words(error: OSError) -> str:
    return str(getattr(error, "reason", None) or error.strerror or error)
