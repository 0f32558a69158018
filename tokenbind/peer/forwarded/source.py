"""`ForwardedSource`: what all presets are; the order of its steps is what keeps it from being fooled."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, MutableMapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from ...binding import PeerCertificate
from ...binding.pem import malformed
from ...binding.thumbprint import thumbprint_of_der
from ...errors import ConfigurationError, InvalidRequest, Unavailable
from ..fields import Fields, Names
from ..incoming import Incoming
from ..source import SSLObject
from ..trust import Trust
from ..trusted_addresses import untrusted
from . import byte_sequence
from .likeness import of_another_preset


__all__ = ["Dialect", "ForwardedSource", "Found"]

#: A chain, leaf first; or a thumbprint alone; or None, if the value says that there was no certificate.
Found: TypeAlias = tuple[bytes, ...] | str | None

_MAX_VALUE_BYTES = 65_536
_MAX_QUOTED = 80
_MAX_REMEMBERED_BYTES = 16_384
_REMEMBERED = 256


class Dialect(NamedTuple):
    """What a product writes.

    Attributes:
        name: Of the preset.
        header, chain_header, verify_header: Canonical names.
        read: Makes of the header's value what it says.
        absent: Values that the product writes without a certificate.
        verdicts: What *verify_header* says, and whether that is a verified chain; FAILED may go on with a colon.
        chain_verified: Without *verify_header*.
    """

    name: str
    header: bytes
    read: Callable[[bytes], Found]
    absent: frozenset[bytes] = frozenset({b""})
    chain_header: bytes | None = None
    verify_header: bytes | None = None
    verdicts: Mapping[bytes, bool] = MappingProxyType({})
    chain_verified: bool | None = None


class ForwardedSource:
    """A peer source that reads the certificate from a header of the trusted proxy; made by the presets.

    Values that were read are remembered, for this source; what was refused is not.
    """

    def __init__(self, dialect: Dialect, trusted_proxy: Trust, hosts: Collection[str] | None) -> None:
        """Not public: use the presets."""
        if not isinstance(trusted_proxy, Trust):
            raise ConfigurationError('trusted_proxy= takes a Trust, such as Trust.unix_socket("/run/api.sock")')
        if hosts is not None and (isinstance(hosts, str) or not hosts):
            raise ConfigurationError('hosts= takes a collection of hosts, such as ["api.example"]')
        for host in hosts or ():
            if not _is_host(host):
                raise ConfigurationError(
                    f'hosts= takes names of hosts alone, such as "api.example", with a port or without: not {host!a}'
                )
        own = [name for name in (dialect.header, dialect.chain_header, dialect.verify_header) if name]
        secrets = trusted_proxy.secret_headers
        if len({*own, *secrets}) != len(own) + len(secrets):
            raise ConfigurationError("two of the headers have the same name")
        self._dialect = dialect
        self._trust = trusted_proxy
        self._hosts = None if hosts is None else frozenset(host.lower().encode() for host in hosts)
        self._hidden = frozenset(own) | secrets
        self._proxies = trusted_proxy.thumbprints
        self._names = Names(self._hidden if hosts is None else [*self._hidden, b"host"])
        self._by_value = {verified: _Remembered(dialect, verified) for verified in (None, False, True)}

    @property
    def hidden_headers(self) -> frozenset[bytes]:
        """For middleware: the canonical names of headers that are the proxy's word to us, and no application's."""
        return self._hidden

    @property
    def absence(self) -> str:
        """For the log of an operator: what has led to the answer that there is no certificate."""
        return f"the trusted proxy sent no {self._dialect.header.decode()} header, or one that says so"

    @property
    def needs(self) -> frozenset[str]:
        """For middleware: what not every server tells, and nothing else can take the place of here.

        ``host``: the Host header; ``socket_name``: see `PeerSource.from_request`.
        """
        return self._trust.needs if self._hosts is None else self._trust.needs | {"host"}

    def from_scope(self, scope: MutableMapping[str, Any]) -> PeerCertificate | None:
        """As in `PeerSource.from_scope`; see `Trust` for what the server must tell."""
        return self._from(Incoming.of_scope(scope, self._names))

    def from_environ(self, environ: Mapping[str, Any]) -> PeerCertificate | None:
        """As in `PeerSource.from_environ`.

        The WSGI server has made one name of ``Client-Cert`` and ``Client_Cert``, so that nobody can tell them apart
        here: take a server that drops the second (gunicorn, waitress, Werkzeug), and a name that nobody can guess.
        """
        return self._from(Incoming.of_environ(environ, self._names))

    def from_request(
        self,
        headers: Iterable[tuple[bytes, bytes]],
        *,
        socket_peer: object = None,
        socket_name: object = None,
        tls_peer: SSLObject | None = None,
    ) -> PeerCertificate | None:
        """As in `PeerSource.from_request`."""
        return self._from(Incoming.of_request(headers, socket_peer, socket_name, tls_peer, self._names))

    def unsafe_parse(self, headers: Iterable[tuple[bytes, bytes]]) -> PeerCertificate | None:
        """The certificate that *headers* speak of, or None: the parsing step alone.

        It does NOT decide whether whoever sent them is trusted, nor for which host: a stranger can write any header.

        Raises:
            InvalidRequest: ``certificate_malformed``.
        """
        return self._read(self._names.among(headers))

    def _from(self, incoming: Incoming) -> PeerCertificate | None:
        try:
            self._trust.check(incoming)
            if self._hosts is not None:
                self._check_host(incoming.fields.get(b"host", []))
        except InvalidRequest as error:
            if self._dialect.header not in incoming.fields:
                raise
            what = "and yet it has the header of a client certificate"
            raise InvalidRequest(error.reason, f"{error}; {what}") from None
        certificate = self._read(incoming.fields)
        if certificate is not None and self._is_the_proxys(certificate, incoming):
            raise malformed("it is the proxy's own certificate, where the client's belongs")
        return certificate

    def _check_host(self, values: list[bytes | None]) -> None:
        host = ((values[0] if len(values) == 1 else None) or b"").lower()
        name, _, port = host.rpartition(b":")
        if host not in (hosts := self._hosts or ()) and not (port.isdigit() and name in hosts):
            said = host[:_MAX_QUOTED].decode("latin-1")
            raise untrusted(f"hosts= has not its host, {said!a}" if said else "it has not one Host")

    def _is_the_proxys(self, certificate: PeerCertificate, incoming: Incoming) -> bool:
        if certificate.thumbprint in self._proxies:
            return True
        if not incoming.has_tls:
            return False
        try:
            own = incoming.ask_tls()
        except (InvalidRequest, Unavailable):
            return False
        return own is not None and own.thumbprint == certificate.thumbprint

    def _read(self, fields: Fields) -> PeerCertificate | None:
        dialect = self._dialect
        values = fields.get(dialect.header)
        chain = _joined(dialect.chain_header, fields) if dialect.chain_header else b""
        if values is None:
            if chain:
                raise malformed("there is a chain without the client's certificate (RFC 9440 §2.3)")
            return None
        value = _only(dialect.header, values)
        if not chain and value in dialect.absent:
            return None
        verified = self._verified(fields) if dialect.verify_header else dialect.chain_verified
        return self._by_value[verified][(value, chain) if chain else value]

    def _verified(self, fields: Fields) -> bool:
        name = self._dialect.verify_header or b""
        value = _only(name, fields.get(name, []))
        verdict = b"FAILED" if value.startswith(b"FAILED:") else value
        if verdict not in self._dialect.verdicts:
            # nginx's NONE beside a certificate means that the certificate did not come from nginx.
            raise malformed(f"the header {name.decode()} does not say whether its chain was verified")
        return self._dialect.verdicts[verdict]


def _only(name: bytes, values: list[bytes | None]) -> bytes:
    """The one value of a header; it is not looked into before this has passed."""
    value = values[0] if len(values) == 1 else None
    if value is None:
        how_many = "more than one" if values else "no"
        raise malformed(f"there is {how_many} header {name.decode()}, or one that is spelled with an underscore")
    if len(value) > _MAX_VALUE_BYTES:
        raise malformed(f"the header {name.decode()} is too long")
    return value.strip(b" \t")  # RFC 9112 §5.1: not part of the value, but httptools leaves it at the end


def _joined(name: bytes, fields: Fields) -> bytes:
    """The value of a header that is a list, over however many lines (RFC 9110 §5.3); empty if there is none."""
    lines = [line for line in fields.get(name, ()) if line is not None]
    if len(lines) != len(fields.get(name, ())):
        raise malformed(f"there is a header that looks like {name.decode()}")
    return _only(name, [b",".join(line for line in lines if line)])


class _Remembered(dict[bytes | tuple[bytes, bytes], PeerCertificate | None]):
    """Certificates by the value that they were read from, or by it and the chain's; only the latest."""

    def __init__(self, dialect: Dialect, verified: bool | None) -> None:
        super().__init__()
        self._read = dialect.read
        self._name = dialect.name
        self._source = f"forwarded.{dialect.name}"
        self._verified = verified

    def __missing__(self, key: bytes | tuple[bytes, bytes]) -> PeerCertificate | None:
        value, chain = (key, b"") if isinstance(key, bytes) else key
        try:
            found = self._read(value)
        except InvalidRequest as error:
            raise InvalidRequest(error.reason, f"{error}{of_another_preset(self._name, value)}") from None
        if isinstance(found, tuple):
            ders = found + byte_sequence.read_list(chain) if chain else found
            certificate = PeerCertificate(thumbprint_of_der(ders[0]), ders, self._source, self._verified)
        elif found is None:
            return None
        else:
            certificate = PeerCertificate(found, (), self._source, self._verified)
        if len(value) + len(chain) <= _MAX_REMEMBERED_BYTES:
            if len(self) >= _REMEMBERED:
                self.clear()
            self[key] = certificate
        return certificate


def _is_host(host: object) -> bool:
    return type(host) is str and host.isascii() and bool(host.strip()) and not set(host) & set("*/ ")
