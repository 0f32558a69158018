"""`TLSConnection`: TLS ends in this server, so the peer certificate is the one of the connection itself.

The leaf is taken from ``getpeercert(True)`` at every request, and from nothing else:

* the chain methods of `ssl` are empty on resumed sessions;
* ids of connection objects are used again, and context variables leak from one connection to the next under uvloop,
  so nothing is cached for a connection. Reading costs less than two microseconds;
* a certificate may appear within a connection (TLS 1.3 post-handshake authentication).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping
from itertools import islice
from typing import Any, TypeAlias

from ..binding import PeerCertificate
from ..binding.peer_certificate import CertificatesByDER
from ..binding.pem import MAX_CHAIN_LENGTH, malformed, read_certificates, require_der
from ..binding.thumbprint import thumbprint_of_der
from ..errors import Reason, Unavailable
from . import remedies
from .source import SSLObject


__all__ = ["TLSConnection"]

SOURCE = "tls"

# Where WSGI servers keep the socket; the first is for servers that need a shim. Only an object that can be
# asked for its certificate counts, because some servers copy the process environment, all strings, into the environ.
_SOCKET_KEYS = ("tokenbind.socket", "gunicorn.socket", "werkzeug.socket")

_EnvironForm: TypeAlias = Callable[[Mapping[str, Any]], PeerCertificate | None]

_verified, _certificates = CertificatesByDER(SOURCE, chain_verified=True), CertificatesByDER(SOURCE)

_CERT_NONE = 0  # ssl.CERT_NONE, without the 6 ms of importing ssl


class TLSConnection:
    """The peer source for servers that end TLS themselves.

    On ASGI it reads the TLS extension (``scope["extensions"]["tls"]``), which few servers fill: see
    `tokenbind.servers`. On WSGI it reads the socket of gunicorn and Werkzeug; servers that put text into the environ
    have a constructor of their own, because only the operator can know that the text is the server's. Where a bridge
    stands between the server and the application (a2wsgi's, or that of `tokenbind.servers`), it reads what the server
    told the bridge.

    It does NOT trust any header, and does NOT verify chain or dates of the certificate:
    `PeerCertificate.chain_verified` says what the TLS layer did (the standard library's always verifies).

    Plain HTTP, or a server that does not say, is ``certificate_source_missing`` (503), never "no certificate".
    """

    def __init__(self) -> None:
        self._from_server: _EnvironForm = _from_sockets

    @classmethod
    def cheroot(cls) -> TLSConnection:
        """For cheroot and CherryPy with the built-in adapter: ``SSL_CLIENT_CERT`` (PEM) and ``SSL_CLIENT_VERIFY``."""
        return cls._of(_from_cheroot)

    @classmethod
    def mod_wsgi(cls) -> TLSConnection:
        """For Apache with mod_wsgi and ``SSLOptions +ExportCertData``: ``SSL_CLIENT_CERT``, empty without one."""
        return cls._of(_from_mod_wsgi)

    @classmethod
    def uwsgi(cls) -> TLSConnection:
        """For uWSGI's ``--https`` router: ``HTTPS_CLIENT_CERTIFICATE``, the DER as latin-1 text."""
        return cls._of(_from_uwsgi)

    @classmethod
    def _of(cls, form: _EnvironForm) -> TLSConnection:
        source = cls()
        source._from_server = form
        return source

    def from_scope(self, scope: MutableMapping[str, Any]) -> PeerCertificate | None:
        """As in `PeerSource.from_scope`.

        Reads the TLS extension in all its known shapes: a chain as any iterable of PEM texts or as one text, leaf
        first (ASGI TLS 0.2), and ``client_cert`` as DER. What tokenbind's own shims record goes before: the TLS object.
        """
        extensions = scope.get("extensions")
        if type(extensions) is not dict:
            extensions = dict(extensions) if isinstance(extensions, Mapping) else {}
        own = extensions.get("tokenbind")
        if own is not None:
            return _from_tls_object(own.get("ssl_object") if type(own) is dict else None, scope)
        tls = extensions.get("tls")
        if isinstance(tls, MutableMapping):
            return _from_extension(tls)
        environ = scope.get("wsgi_environ")
        if isinstance(environ, Mapping):  # a2wsgi's ASGIMiddleware: the server is a WSGI server
            return self._from_server(environ)
        raise _source_missing(remedies.not_told(scope))

    def from_environ(self, environ: Mapping[str, Any]) -> PeerCertificate | None:
        """As in `PeerSource.from_environ`."""
        scope = environ.get("asgi.scope")
        if (
            scope is not None
            and isinstance(scope, Mapping)  # text would be a variable of the process
            and self._from_server is _from_sockets
            and not any(key in environ and type(environ[key]) is not str for key in _SOCKET_KEYS)
        ):
            # a2wsgi's WSGIMiddleware, or our WsgiToAsgi: the server is an ASGI server. One bridge, and no further.
            return self.from_scope({**scope, "wsgi_environ": None})
        return self._from_server(environ)

    def from_request(
        self,
        headers: Iterable[tuple[bytes, bytes]] = (),
        *,
        socket_peer: object = None,
        socket_name: object = None,
        tls_peer: SSLObject | None = None,
    ) -> PeerCertificate | None:
        """As in `PeerSource.from_request`: *tls_peer* is asked, the other arguments are not looked at."""
        return _from_tls_object(tls_peer, {})


def _from_tls_object(tls: SSLObject | None, request: Mapping[str, Any]) -> PeerCertificate | None:
    if tls is None:
        raise _source_missing(remedies.plain_http(request))
    try:
        der = tls.getpeercert(True)
    except Exception:  # noqa: BLE001 - of any library's TLS object
        # The handshake is not done, the connection is closed, or it is no TLS object at all.
        raise _source_missing("the connection has no TLS object that can be asked for its certificate") from None
    if der:
        if type(der) is not bytes:
            require_der(der)
        # The standard library gives a server no certificate that it has not verified.
        return _verified[der] if type(tls).__module__ == "ssl" else _certificates[der]
    if getattr(getattr(tls, "context", None), "verify_mode", None) == _CERT_NONE:
        raise _source_missing(remedies.never_asks(request))
    return None


def _from_extension(tls: MutableMapping[str, Any]) -> PeerCertificate | None:
    chain = tls.get("client_cert_chain") or ()
    if isinstance(chain, str):
        ders = list(read_certificates(chain))
    elif isinstance(chain, Iterable):
        if not isinstance(chain, (list, tuple)):
            # An iterator can be read once, and others will want to.
            tls["client_cert_chain"] = chain = tuple(islice(chain, MAX_CHAIN_LENGTH + 1))
        ders = [_one(pem) for pem in chain]
    else:
        raise malformed("client_cert_chain of the TLS extension is no iterable of PEM texts")
    leaf = tls.get("client_cert")
    if leaf is not None:
        require_der(leaf)
        if ders and ders[0] != leaf:
            raise malformed("client_cert and client_cert_chain of the TLS extension differ")
        ders = ders or [leaf]
    if not ders:
        return None
    if len(ders) > MAX_CHAIN_LENGTH:
        raise malformed("the chain is too long")
    verified = not tls["client_cert_error"] if "client_cert_error" in tls else None
    return PeerCertificate(thumbprint_of_der(ders[0]), tuple(ders), SOURCE, verified)


def _from_sockets(environ: Mapping[str, Any]) -> PeerCertificate | None:
    for key in _SOCKET_KEYS:
        if hasattr(environ.get(key), "getpeercert"):
            return _from_tls_object(environ[key], environ)
    raise _source_missing(remedies.not_told(environ))


def _from_cheroot(environ: Mapping[str, Any]) -> PeerCertificate | None:
    if "SSL_CLIENT_VERIFY" not in environ:
        raise _source_missing("cheroot gives no SSL_CLIENT_VERIFY: is its built-in SSL adapter in use?")
    return _from_pem_text(environ, environ.get("SSL_CLIENT_CERT"))


def _from_mod_wsgi(environ: Mapping[str, Any]) -> PeerCertificate | None:
    if "SSL_CLIENT_CERT" not in environ:
        raise _source_missing("Apache gives no SSL_CLIENT_CERT: set SSLOptions +ExportCertData and SSLVerifyClient")
    return _from_pem_text(environ, environ["SSL_CLIENT_CERT"])


def _from_pem_text(environ: Mapping[str, Any], pem: object) -> PeerCertificate | None:
    if pem is None or pem == "":
        return None
    der = _one(pem)
    verified = environ.get("SSL_CLIENT_VERIFY")
    return PeerCertificate(thumbprint_of_der(der), (der,), SOURCE, None if verified is None else verified == "SUCCESS")


def _from_uwsgi(environ: Mapping[str, Any]) -> PeerCertificate | None:
    text = environ.get("HTTPS_CLIENT_CERTIFICATE")
    if text is None and environ.get("wsgi.url_scheme") == "https":
        return None
    if type(text) is not str:
        raise _source_missing("uWSGI serves plain HTTP, or its --https router is not in use")
    try:
        der = text.encode("latin-1")
    except UnicodeEncodeError:
        raise malformed("HTTPS_CLIENT_CERTIFICATE is not latin-1") from None
    require_der(der)
    return PeerCertificate(thumbprint_of_der(der), (der,), SOURCE)


def _one(pem: object) -> bytes:
    certificates = read_certificates(pem)
    if len(certificates) != 1:
        raise malformed("there is more than one certificate where one belongs")
    return certificates[0]


def _source_missing(why: str) -> Unavailable:
    return Unavailable(Reason.CERTIFICATE_SOURCE_MISSING, f"no information about the peer certificate: {why}")
