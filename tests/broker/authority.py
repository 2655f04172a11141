"""A fleet's own CA, made by the commands of docs/operating.md, and the broker that trusts it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType

from attrs import frozen

from runtime.broker_url import BrokerUrl
from tests.docs.newcomer import Newcomer
from tests.docs.page import DOCS, blocks

MADE, REVOKED = (
    block for block in blocks(DOCS / "operating.md") if "openssl ca -config" in block.text
)
_ETC = "/etc/mosquitto/edgesplit"


@frozen
class Authority:
    """A folder with a CA and what it issued."""

    folder: Path

    @classmethod
    def make(cls, checkout: Path) -> Authority:
        """Follows the page, from a folder that has of a checkout what the commands need."""
        shutil.copytree(DOCS / "broker", checkout / "docs" / "broker")
        names = ("DNS:broker.example,IP:192.0.2.10", "DNS:localhost")
        with Newcomer(checkout, names) as newcomer:
            newcomer.follow(MADE)
            return cls(newcomer.folder)

    def copy(self, folder: Path) -> Authority:
        """Returns one of its own to a test that changes it."""
        return Authority(shutil.copytree(self.folder, folder))

    def revoke_board_b(self) -> None:
        with Newcomer(self.folder, ("", "")) as newcomer:
            newcomer.follow(REVOKED)

    def issue(self, name: str, *, section: str = "client", days: str = "1") -> None:
        """Issues one more certificate; `days` may be "-1", for one that has expired."""
        ending = time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + 86_400 * int(days)))
        request = (
            f"openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={name}"
        )
        self._run(
            f"{request} -addext subjectAltName=DNS:localhost -keyout {name}.key -out {name}.csr"
        )
        issue = f"openssl ca -config ca.cnf -batch -notext -extensions {section}"
        dates = f"-startdate 20200101000000Z -enddate {ending}"
        self._run(f"{issue} {dates} -in {name}.csr -out {name}.pem")

    def url(self, port: int, name: str, *, key: str = "", ca: str = "ca") -> BrokerUrl:
        """Returns the URL of a party that has the certificate of `name`."""
        query = f"ca={ca}.pem&cert={name}.pem&key={key or name}.key"
        return BrokerUrl.parse(f"mqtts://localhost:{port}?{query}", self.folder)

    def _run(self, command: str) -> None:
        subprocess.run(command.split(), cwd=self.folder, check=True, capture_output=True)


class SecuredBroker:
    """mosquitto with the files of docs/broker as they are, but for paths, user and port.

    `fleet` takes the place of the example's name in the access list.
    """

    def __init__(
        self,
        folder: Path,
        authority: Authority,
        *,
        fleet: str = "home",
        server: str = "broker",
        port: int | None = None,
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as chosen:
            self.port: int = port or chosen.getsockname()[1]
        self.log_path = folder / "mosquitto.log"
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("ca.pem", "revoked.pem"):
            shutil.copy(authority.folder / name, folder)
        for suffix in ("pem", "key"):
            shutil.copy(authority.folder / f"{server}.{suffix}", folder / f"broker.{suffix}")
        acl = (DOCS / "broker" / "acl").read_text()
        (folder / "acl").write_text(acl.replace("/home/", f"/{fleet}/"))
        self._config = folder / "mosquitto.conf"
        self._config.write_text(self._substituted())

    def __enter__(self) -> SecuredBroker:
        program = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin")
        assert program is not None
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen([program, "-c", str(self._config)], stderr=log)
        deadline_s = time.monotonic() + 10
        while not self._answers():
            assert time.monotonic() < deadline_s and self._process.poll() is None, self.log()
            time.sleep(0.01)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.wait()

    def log(self) -> str:
        return self.log_path.read_text()

    def _substituted(self) -> str:
        """Returns the configuration of the docs; each substitution must find its line."""
        text = (DOCS / "broker" / "mosquitto.conf").read_text()
        for line, ours in (
            ("user mosquitto\n", "user root\n"),
            ("listener 8883\n", f"listener {self.port} 127.0.0.1\n"),
            ("/var/lib/mosquitto/", f"{self._folder}/"),
            (f"{_ETC}/", f"{self._folder}/"),
        ):
            assert line in text
            text = text.replace(line, ours)
        return text

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True
