"""The setups: which proxies are run, from which files of examples/proxies, changed as their pages say.

It imports nothing but the standard library, so that it can be read without the programs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


__all__ = ["COLUMNS", "SERVERS", "Change", "Proxy", "Reach", "Setup"]

#: Of the table; a setup knows its cells in all but ``version``.
COLUMNS = ("proxy", "version", "client certificates", "service", "reached over", "trusted by", "outcome")


class Change(NamedTuple):
    """A text that stands once in a file, and what it is replaced by."""

    file: str
    old: str
    new: str


class Proxy(NamedTuple):
    """A program.

    Attributes:
        name, folder: What it is called, and where its files are; check.py knows it by the folder.
        distribution: That its version is of; none of Debian's Apache.
        command: It is started with; ``$PWD`` is the folder of the copy.
        header: That it sends.
        local: What tests replace in the copy, for ``$PORT`` of loopback and ``$PWD``.
        required, any_certificate: Changes that let nobody in without a certificate, and any certificate.
        reaches: By the name of a `Reach`, the changes for it; the files are as for ``home``.
        home: The reach that the files are written for.
        open: Changes that a careless operator makes, after which clients choose their certificate.
        forgetful: Changes that add a second virtual host, other.example, which knows nothing of the header.
        files: Further ones that its test needs.
        without: Status for a client without a certificate where it is required; None if TLS refuses it.
    """

    name: str
    folder: str
    distribution: str | None
    command: tuple[str, ...]
    header: str
    local: tuple[tuple[str, str], ...]
    required: tuple[Change, ...]
    any_certificate: tuple[Change, ...]
    reaches: Mapping[str, tuple[Change, ...]]
    open: tuple[Change, ...]
    forgetful: tuple[Change, ...]
    home: str = "socket"
    files: Mapping[str, str] = {}
    without: int | None = None


class Reach(NamedTuple):
    """How the service is reached, and how it knows the proxy.

    Attributes:
        over, trusted: For the table.
        socket: Whether it is a unix socket.
        arguments: Of uvicorn, besides.
    """

    over: str
    trusted: str
    socket: bool = False
    arguments: tuple[str, ...] = ()


class Setup(NamedTuple):
    """A proxy in one of its ways.

    Attributes:
        proxy, reach: Which.
        certificates: ``optional``, ``required``, or ``any`` (optional, and of any issuer).
        more: Further changes.
        server: Of the service; see `SERVERS`.
        variant: Tells it from others, if nothing else does.
        kind: ``usual``; or one of few checks, such as ``open``, whose operator was careless: these show that the
            attacks are real.
    """

    proxy: Proxy
    reach_name: str
    certificates: str = "optional"
    more: tuple[Change, ...] = ()
    variant: str = ""
    kind: str = "usual"
    server: str = "uvicorn"

    @property
    def reach(self) -> Reach:
        return REACHES[self.reach_name]

    @property
    def name(self) -> str:
        server = "" if self.server == "uvicorn" else self.server
        parts = (self.proxy.name, f"certificates {self.certificates}", self.reach_name, server, self.variant)
        return ", ".join(part for part in parts if part)

    @property
    def changes(self) -> tuple[Change, ...]:
        """All that are made to its files."""
        of_mode = {"required": self.proxy.required, "any": self.proxy.any_certificate}.get(self.certificates, ())
        return (*of_mode, *self.proxy.reaches[self.reach_name], *self.more)

    def cells(self, version: str = "") -> tuple[str, ...]:
        """One for each of `COLUMNS`."""
        certificates = {"any": "optional, of any issuer"}.get(self.certificates, self.certificates)
        if self.variant:
            certificates += f"; {self.variant}"
        return (self.proxy.name, version, certificates, self.server, self.reach.over, self.reach.trusted, self._outcome)

    @property
    def _outcome(self) -> str:
        if self.kind in _OUTCOMES:
            return _OUTCOMES[self.kind]
        if self.certificates != "required":
            return "without one: 401"
        return "without one: " + (
            "refused by TLS" if self.proxy.without is None else f"{self.proxy.without}, of the proxy"
        )


_OUTCOMES = {
    "open": "an attacker gets in: 200",
    "twins": "its twin and Connection: 401",
    "copied": "an attacker gets in: 200",
    "forgetful": "for the other host: 400",
    "forgetful everywhere": "for the other host: 400",
    "early data": "a request in early data: 425",
    "details": "names that could be misread: 400",
    "no room": "a long request: 500, of the proxy",
}

_MTLS = (
    *("--ssl-keyfile", "server.key", "--ssl-certfile", "server.pem"),
    *("--ssl-ca-certs", "ca.pem", "--ssl-cert-reqs", "2"),
)

_WSGIREF = """\
import sys
from wsgiref.simple_server import make_server
from wsgi_service import app
make_server("127.0.0.1", int(sys.argv[1]), app).serve_forever()
"""

_UVICORN = ("uvicorn", "service:app", "--http", "tokenbind.servers.uvicorn:HTTP", "--timeout-keep-alive", "75")

#: What a service is started with, up to the address. Its idle connections must outlive the proxy's.
SERVERS = {
    "uvicorn": (*_UVICORN, "--log-level", "warning"),
    "gunicorn, WSGI": (
        *("gunicorn", "wsgi_service:app", "--worker-class", "gthread", "--threads", "4"),
        *("--keep-alive", "75"),
    ),
    "wsgiref": ("python", "-c", _WSGIREF),
}

REACHES = {
    "socket": Reach("unix socket", "`Trust.unix_socket`", socket=True),
    "address": Reach("TCP", "`Trust.addresses`"),
    "secret": Reach("TCP", "`Trust.secret_header`"),
    "mutual TLS": Reach("mutual TLS", "`Trust.peer_certificates`", arguments=_MTLS),
}
