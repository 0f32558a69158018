"""`Trust`: from whom a forwarded certificate is believed.

RFC 9440 §4: a backend must take the header from its own TLS-terminating reverse proxy only, for a header that anybody
can send proves nothing. So every preset of `tokenbind.peer.forwarded` wants a `Trust`, and it is decided before the
header is looked at.
"""

from __future__ import annotations

from collections.abc import Collection
import os
from pathlib import Path
from typing import Protocol

from ..binding import parse_thumbprint
from ..errors import ConfigurationError, InvalidRequest
from .incoming import Incoming
from .trusted_addresses import TrustedAddresses, untrusted
from .trusted_secret import TrustedSecret


__all__ = ["Trust"]


class Rule(Protocol):
    """One condition.

    Attributes:
        secret_header: The canonical name of a header that no application may see, or None.
        thumbprints: The certificates of proxies that it names.
    """

    @property
    def secret_header(self) -> bytes | None: ...

    @property
    def thumbprints(self) -> frozenset[str]: ...

    def check(self, incoming: Incoming, /) -> None:
        """Pass if *incoming* was sent by the proxy.

        Raises:
            InvalidRequest: ``proxy_untrusted``, if it was sent by somebody else.
            Unavailable: ``certificate_source_missing``, if there is no knowing.
        """


class Trust:
    """Who the trusted proxy is; two of them joined with ``&`` must both hold.

    Made by one of the class methods. What has been sent by anybody else is refused with ``proxy_untrusted`` (400),
    whether it has the header or not: whoever goes around the proxy has no certificate that we know of, and nothing
    else takes its place. Where the server does not tell what is needed, every request is refused with
    ``certificate_source_missing`` (503), and the log names the remedy.

    It does NOT know what the proxy does: that it removes the header that its own clients send, is the proxy's business.
    """

    def __init__(self, *rules: Rule) -> None:
        """Not public: use the class methods."""
        if not rules or not all(hasattr(rule, "check") for rule in rules):
            raise ConfigurationError('a Trust is made by its methods, such as Trust.addresses("10.0.3.7")')
        self._rules = rules

    @classmethod
    def addresses(cls, *networks: str) -> Trust:
        """The proxy connects from one of these addresses or networks, such as ``"10.0.3.7"`` or ``"10.0.0.0/8"``.

        Looks at the address at the other end of the socket alone: what the shims of `tokenbind.servers` record, the
        socket that gunicorn, Werkzeug, gevent and, over TLS, wsgiref (with our handlers) give to WSGI applications, or
        ``socket_peer=``, which aiohttp and gRPC tell. It does NOT look at X-Forwarded-For, ``scope["client"]`` or
        ``REMOTE_ADDR``, which can have been written by a client, nor at what the PROXY protocol says. An IPv4 address
        in IPv6 form is that address.

        A network with this service's own addresses in it is warned of, once: whatever runs here, and whoever can make
        it send a request, could speak as the proxy.

        Raises:
            ConfigurationError: if one is no address or network, or together they are everybody.
        """
        return cls(TrustedAddresses(networks))

    @classmethod
    def unix_socket(cls, path: str | os.PathLike[str]) -> Trust:
        """The proxy connects to the Unix socket at *path*, whose directory nobody else can enter.

        The server must tell that this is the socket: its shim records it, or it gives its socket to WSGI applications,
        or ``socket_name=``; aiohttp tells it, gRPC does not. That there is no address of a peer is no evidence. It does
        NOT check the permissions of the socket.

        Raises:
            ConfigurationError: if *path* is no absolute path; abstract sockets are open to everybody.
        """
        return cls(_UnixSocket(path))

    @classmethod
    def peer_certificates(cls, *thumbprints: str, names: Collection[str] = ()) -> Trust:
        """The proxy connects over TLS with a client certificate of its own.

        That certificate is read as `TLSConnection` does, and is never taken for a client's.

        Args:
            thumbprints: ``x5t#S256`` of the proxy's certificate; several for a renewal.
            names: DNS names or URIs, one of which its subjectAltName must have, exactly and without wildcards. Only for
                a chain that the TLS layer of this server has verified: its CA must be one that certifies proxies.

        Raises:
            ConfigurationError: if neither is given, or one cannot be right.
        """
        return cls(_PeerCertificates(thumbprints, names))

    @classmethod
    def secret_header(cls, name: str, *, file: str | os.PathLike[str]) -> Trust:
        """The proxy sends a secret in the header *name*, replacing what clients send there.

        Needs nothing of the server. The link from the proxy must be private, for who reads it once can speak as the
        proxy. The header does not reach the application.

        Args:
            name: Of letters, digits and hyphens.
            file: Holds one value a line, of at least 32 visible ASCII characters (``openssl rand -hex 32``); two while
                it is changed: add the new one, change the proxy, remove the old one. Read again when it has changed;
                while it cannot be read, every request is refused.

        Raises:
            ConfigurationError: if *name* or *file* cannot be used.
        """
        return cls(TrustedSecret(name, Path(file)))

    @classmethod
    def unsafe_anyone(cls) -> Trust:
        """Anybody is the proxy, and can take any certificate for his own. For tests alone."""
        return cls(_Anyone())

    def __and__(self, other: Trust) -> Trust:
        if not isinstance(other, Trust):
            return NotImplemented
        return Trust(*self._rules, *other._rules)

    @property
    def secret_headers(self) -> frozenset[bytes]:
        """For sources: the canonical names of headers that no application may see."""
        return frozenset(rule.secret_header for rule in self._rules if rule.secret_header)

    @property
    def thumbprints(self) -> frozenset[str]:
        """For sources: certificates that are the proxy's own."""
        return frozenset[str]().union(*(rule.thumbprints for rule in self._rules))

    @property
    def needs(self) -> frozenset[str]:
        """For sources: as `forwarded.ForwardedSource.needs`."""
        return frozenset({"socket_name"} if any(isinstance(rule, _UnixSocket) for rule in self._rules) else ())

    def check(self, incoming: Incoming, /) -> None:
        """For sources: pass if *incoming* was sent by the proxy; see `Rule.check`."""
        for rule in self._rules:
            rule.check(incoming)


class _Anyone:
    secret_header = None
    thumbprints: frozenset[str] = frozenset()

    def check(self, incoming: Incoming) -> None:
        pass


class _UnixSocket:
    secret_header = None
    thumbprints: frozenset[str] = frozenset()

    def __init__(self, path: str | os.PathLike[str]) -> None:
        text = os.fspath(path)
        if type(text) is not str or not text or "\0" in text:
            raise ConfigurationError('Trust.unix_socket() takes the path of a socket, such as "/run/api.sock"')
        if not Path(text).is_absolute():  # of which directory, would be for whoever starts the server to say
            raise ConfigurationError(
                f"Trust.unix_socket() takes an absolute path, such as {str(Path(text).absolute())!a}"
            )
        self._path = text

    def check(self, incoming: Incoming) -> None:
        name = incoming.socket_name
        if name is None:
            raise incoming.no_evidence("the server does not tell on which socket the request came", "socket_name")
        if name == self._path or (type(name) is str and name and Path(name).absolute() == Path(self._path)):
            return
        raise untrusted(f"it did not come over the Unix socket {self._path!a}")


class _PeerCertificates:
    secret_header = None

    def __init__(self, thumbprints: tuple[str, ...], names: Collection[str]) -> None:
        if isinstance(names, str) or not (thumbprints or names):
            raise ConfigurationError("Trust.peer_certificates() takes thumbprints, or names=, a collection of names")
        try:
            self.thumbprints = frozenset(map(parse_thumbprint, thumbprints))
        except InvalidRequest as error:
            raise ConfigurationError(f"Trust.peer_certificates(): {error}") from None
        if not all(isinstance(name, str) and name and "*" not in name for name in names):
            raise ConfigurationError("names= takes DNS names and URIs, without wildcards")
        self._uris = frozenset(name for name in names if ":" in name)
        self._dns_names = frozenset(name.lower() for name in names if ":" not in name)

    def check(self, incoming: Incoming) -> None:
        certificate = incoming.ask_tls()
        if certificate is None:
            raise untrusted("it came over TLS without the client certificate of the proxy")
        if certificate.thumbprint in self.thumbprints:
            return
        if (self._uris or self._dns_names) and certificate.chain_verified is True:
            for name in _alternative_names(certificate.x509):
                kind, value = type(name).__name__, getattr(name, "value", None)
                if kind == "UniformResourceIdentifier" and value in self._uris:
                    return
                if kind == "DNSName" and str(value).lower() in self._dns_names:
                    return
        raise untrusted(f"the certificate {certificate.thumbprint} of its sender is not the proxy's")


def _alternative_names(certificate: object) -> list[object]:
    try:
        extensions = certificate.extensions  # type: ignore[attr-defined]
        return [name for each in extensions if each.oid.dotted_string == "2.5.29.17" for name in each.value]
    except Exception:  # noqa: BLE001 - documented as ValueError, but hostile DER has raised others
        return []
