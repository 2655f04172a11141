"""Where the broker is: one URL, parsed once, for both sides.

    mqtt://[user[:password]@]host[:port][?password_file=PATH]
    mqtts://...[?ca=PATH&cert=PATH&key=PATH]
    unix:///path/to/broker.sock[?user=NAME&password_file=PATH]

A password in a URL shows in the process list; `password_file` keeps it out of there.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from attrs import field, frozen

_PORTS = {"mqtt": 1883, "mqtts": 8883}
_LOGIN = frozenset({"password_file"})
_OPTIONS = {
    "mqtt": _LOGIN,
    "mqtts": _LOGIN | {"ca", "cert", "key"},
    "unix": _LOGIN | {"user"},
}


@frozen
class BrokerUrl:
    """A broker's address and how to log in. `str()` leaves the password out.

    `host` is the socket's path where `scheme` is "unix"; `port` is 0 there. `ca`, `cert` and `key`
    are PEM files; without `ca`, mqtts trusts what the system trusts.
    """

    scheme: str
    host: str
    port: int = 0
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    @classmethod
    def parse(cls, text: str, base: Path | None = None) -> BrokerUrl:
        """The URL in `text`, with a `password_file` already read.

        Relative paths start at the folder `base`, or at the working directory.

        Raises ValueError with a sentence for the user, never with a password in it.
        """
        parts = _split(text)
        options = _options(parts, base or Path())
        user = unquote(parts.username) if parts.username else options.get("user")
        password = _password(parts, options)
        if password is not None and not user:
            raise ValueError("the URL has a password but no user; write user:password@host")
        if parts.scheme == "unix":
            return cls("unix", _socket_path(parts), user=user, password=password)
        files = {name: _readable(name, options.get(name)) for name in ("ca", "cert", "key")}
        if (files["cert"] is None) != (files["key"] is None):
            raise ValueError("cert and key belong together; give both or neither")
        return cls(parts.scheme, _host(parts), _port(parts), user, password, **files)

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.scheme == "mqtts"

    def __str__(self) -> str:
        login = f"{quote(self.user, safe='')}@" if self.user else ""
        if self.scheme == "unix":
            return f"unix://{login}{self.host}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{login}{host}:{self.port}"


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text.strip())
    except ValueError as error:
        raise ValueError(f"not a URL: {error}") from None
    if parts.scheme not in _OPTIONS:
        raise ValueError("a broker URL starts with mqtt://, mqtts:// or unix:///")
    if parts.fragment:
        raise ValueError("a broker URL has no part after '#'; write a '#' of a password as %23")
    return parts


def _options(parts: SplitResult, base: Path) -> dict[str, str]:
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    allowed = _OPTIONS[parts.scheme]
    unknown = sorted({name for name, _ in pairs} - allowed)
    if unknown:
        known = ", ".join(sorted(allowed))
        raise ValueError(f"{parts.scheme}:// does not take {', '.join(unknown)}; it takes {known}")
    if len(dict(pairs)) < len(pairs):
        raise ValueError("an option is given twice after the '?'")
    return {name: str(base / text) if name != "user" else text for name, text in pairs}


def _password(parts: SplitResult, options: dict[str, str]) -> str | None:
    file = _readable("password_file", options.get("password_file"))
    if file is None:
        return None if parts.password is None else unquote(parts.password)
    if parts.password is not None:
        raise ValueError("give a password or a password_file, not both")
    try:
        return file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"password_file {file} cannot be read: {error}") from None


def _readable(name: str, path: str | None) -> Path | None:
    if path is None:
        return None
    try:
        found = Path(path).is_file()
    except OSError:  # a name that is too long for a file
        found = False
    if not found:
        raise ValueError(f"{name} names no file: {path!r}")
    return Path(path)


def _socket_path(parts: SplitResult) -> str:
    if parts.netloc or not parts.path.startswith("/") or parts.path == "/":
        raise ValueError("a socket is written unix:///path/to/broker.sock, with three slashes")
    return unquote(parts.path)


def _host(parts: SplitResult) -> str:
    if parts.path not in ("", "/"):
        raise ValueError(f"a broker URL has no path, but this one has {parts.path!r}")
    host = parts.hostname or ""
    try:
        host.encode("idna")
    except UnicodeError:
        host = ""
    if not host:
        raise ValueError("the URL names no valid host; write mqtt://host:port")
    return host


def _port(parts: SplitResult) -> int:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port is None:
        return _PORTS[parts.scheme]
    if port == 0:
        raise ValueError("the port is a number from 1 to 65535")
    return port
