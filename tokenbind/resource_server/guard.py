"""`ResourceServer`: every decision between a request and a `BoundToken`, free of frameworks.

`prepare` (pure) -> `Verifier.verify`, or ``await`` `Verifier.verify_async` -> `finish` (pure), so that sync and async,
and every adapter, share each decision. The adapters know how to read a request and how to send an answer, no more.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
import logging
import re
from typing import Any, TypeAlias, TypedDict

from ..binding import PeerCertificate
from ..errors import (
    ConfigurationError,
    InsufficientScope,
    InvalidRequest,
    InvalidToken,
    Reason,
    TooEarly,
    Unavailable,
)
from ..monitoring import Monitor, Refused, emit
from ..peer import PeerSource, SSLObject, TLSConnection
from ..peer.fields import Names
from ..tokens import BoundToken, Verifier
from .challenge import Challenge, Refusal


__all__ = ["GuardOptions", "RequestError", "ResourceServer"]

#: What a request can fail with.
RequestError: TypeAlias = InvalidRequest | InvalidToken | InsufficientScope | Unavailable

_log = logging.getLogger("tokenbind")

# RFC 6750 §2.1: b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
_B64TOKEN = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/="

# A parameter of this name, each character of which may be percent-encoded. Taking the query apart would cost a stranger
# nothing, and us milliseconds.
_has_access_token = re.compile(
    b"(?:^|[&;])" + b"".join(b"(?:%c|%%(?i:%02x))" % (c, c) for c in b"access_token") + b"(?:[=&;]|$)"
).search

WEBSOCKET = "WEBSOCKET"  # stands for the method of a websocket handshake in `exempt=`


class GuardOptions(TypedDict, total=False):
    """The keywords of `ResourceServer`, for those who make one."""

    realm: str
    required_scopes: Collection[str]
    exempt: Collection[tuple[str, str]]
    mount: str
    monitor: Monitor | None


class ResourceServer:
    """Authenticates requests with certificate-bound access tokens (RFC 8705 §3, RFC 6750).

    Exactly one ``Authorization`` header is read; a token in the query is refused; bodies are never read. It does NOT
    decide what the token's holder may do, beyond *required_scopes*.

    Args:
        verifier: Judges tokens, such as a `TokenVerifier`.
        peer_source: Where the peer certificate comes from; default: `TLSConnection`, TLS ends in this server.
        realm: The realm of the challenge.
        required_scopes: Scopes that every request needs.
        exempt: Pairs of method and full path, such as ``{("GET", "/health")}``, that need no token. Both are compared
            exactly; the path as decoded, mount point included. A websocket handshake's method is ``"WEBSOCKET"``.
        mount: Where this application is mounted (``root_path``, ``SCRIPT_NAME``), such as ``"/api"``. Under any other
            mount point nothing is exempt: some servers let the client choose it with a header.
        monitor: Told of the refusals that no verifier sees; default: the verifier's own.

    Raises:
        ConfigurationError: if an argument cannot be right.
    """

    def __init__(
        self,
        verifier: Verifier,
        peer_source: PeerSource | None = None,
        *,
        realm: str = "api",
        required_scopes: Collection[str] = (),
        exempt: Collection[tuple[str, str]] = (),
        mount: str = "",
        monitor: Monitor | None = None,
    ) -> None:
        if isinstance(verifier, type) or not callable(getattr(verifier, "verify", None)):
            raise ConfigurationError("the verifier must be a TokenVerifier")
        if isinstance(peer_source, type) or not (peer_source is None or hasattr(peer_source, "from_scope")):
            raise ConfigurationError("peer_source= must be a peer source, such as TLSConnection()")
        if isinstance(required_scopes, str):
            raise ConfigurationError('required_scopes= takes a collection, such as ("invoices:read",)')
        for pair in exempt:
            if not isinstance(pair, tuple) or len(pair) != 2 or not all(isinstance(part, str) for part in pair):
                raise ConfigurationError('exempt= takes pairs of method and path, such as {("GET", "/health")}')
            if pair[0] != pair[0].upper() or pair[1][:1] != "/":
                raise ConfigurationError('exempt= takes pairs of METHOD and /path, such as {("GET", "/health")}')
            if "*" in "".join(pair):
                raise ConfigurationError("exempt= is compared exactly; there are no wildcards")
        if not isinstance(mount, str) or mount[:1] not in ("", "/"):
            raise ConfigurationError('mount= must be the path of a mount point, such as "/api"')
        self.verifier = verifier
        self.peer_source: PeerSource = TLSConnection() if peer_source is None else peer_source
        #: What a proxy says to us alone, such as its secret: adapters take it out before the application sees it.
        self.hidden_headers: Names = Names(getattr(peer_source, "hidden_headers", ()))
        schemes = [scheme.encode() for scheme in verifier.schemes]
        self._schemes = frozenset([*schemes, *map(bytes.title, schemes)])  # as it is usually written
        self._required_scopes = tuple(required_scopes)
        self._challenge = Challenge(realm, self._required_scopes)
        self._exempt = frozenset(exempt)
        self._mount = _stripped(mount)
        self._monitor = verifier.monitor if monitor is None else monitor
        self._source_missing_logged = False

    def authenticate(
        self,
        method: str | None,
        path: str,
        headers: Iterable[tuple[bytes, bytes]],
        *,
        query: bytes = b"",
        socket_peer: object = None,
        socket_name: object = None,
        tls_peer: SSLObject | None = None,
    ) -> BoundToken | None:
        """The whole way for a request of any framework; in an event loop, use `authenticate_async`.

        Args:
            method: As sent, or None for a websocket handshake.
            path: Decoded, with the mount point.
            headers: Names and values as they came, all of them.
            query: The query string, still encoded.
            socket_peer, socket_name, tls_peer: For the peer source: see `PeerSource.from_request`.

        Returns:
            The token, or None if the request is exempt.

        Raises:
            InvalidRequest, InvalidToken, InsufficientScope, Unavailable: `refusal` turns each into the answer.
        """
        told = {"socket_peer": socket_peer, "socket_name": socket_name, "tls_peer": tls_peer}
        presented = self._prepare_request(method, path, headers, query, told)
        return None if presented is None else self.finish(self.verifier.verify(*presented))

    async def authenticate_async(
        self,
        method: str | None,
        path: str,
        headers: Iterable[tuple[bytes, bytes]],
        *,
        query: bytes = b"",
        socket_peer: object = None,
        socket_name: object = None,
        tls_peer: SSLObject | None = None,
    ) -> BoundToken | None:
        """As `authenticate`, for asyncio and trio."""
        told = {"socket_peer": socket_peer, "socket_name": socket_name, "tls_peer": tls_peer}
        presented = self._prepare_request(method, path, headers, query, told)
        return None if presented is None else self.finish(await self.verifier.verify_async(*presented))

    def prepare(
        self,
        method: str | None,
        mount: str,
        path: str,
        query: bytes,
        headers: Iterable[tuple[bytes, bytes]],
        peer_of: Callable[[Any], PeerCertificate | None],
        request: Any,
    ) -> tuple[bytes, PeerCertificate | None] | None:
        """For adapters: the token and the certificate that a request presents, or None if it is exempt.

        Args:
            method, path, query: As for `authenticate`.
            mount: The mount point, as the server says; *path* has it in front.
            headers: Names and values as they came; only Authorization and Early-Data are looked at.
            peer_of, request: How the peer source is asked, and about what.

        Raises:
            InvalidRequest, InvalidToken, Unavailable: see `authenticate`.
        """
        # A request can have the method WEBSOCKET; it must not pass for a handshake.
        if self._exempt and (
            method != WEBSOCKET and (method or WEBSOCKET, path) in self._exempt and _stripped(mount) == self._mount
        ):
            return None
        authorization: list[bytes] = []
        try:
            for name, value in headers:
                # By its length first, because this is asked of every header of every request.
                if len(name) == 13 and name.lower() == b"authorization":
                    authorization.append(value)
                elif len(name) == 10 and name.lower() == b"early-data":
                    # RFC 8470 §5.2: early data can be replayed by whoever recorded it, and proves no key.
                    raise TooEarly(Reason.EARLY_DATA, "the request came as TLS early data; proxies must keep 0-RTT off")
            certificate = peer_of(request)
            if query:
                _refuse_token_in_query(query)
            if len(authorization) > 1:
                raise InvalidRequest(Reason.AUTHORIZATION_REPEATED, "there is more than one Authorization header")
            # RFC 6750 §2.1: credentials = "Bearer" 1*SP b64token; the scheme in any case (RFC 9110 §11.1).
            scheme, space, token = authorization[0].partition(b" ") if authorization else (b"", b"", b"")
            if scheme not in self._schemes and scheme.lower() not in self._schemes:
                raise InvalidToken(Reason.TOKEN_MISSING, "there is no Authorization header with the scheme Bearer")
            token = token.strip(b" ")
            if not space or not token or token.translate(None, _B64TOKEN):
                raise InvalidRequest(
                    Reason.AUTHORIZATION_MALFORMED,
                    "what follows the scheme in Authorization is no token (RFC 6750 §2.1)",
                )
            return token, certificate
        except (InvalidRequest, InvalidToken, Unavailable) as error:
            self.report(error)
            raise

    def finish(self, token: BoundToken) -> BoundToken:
        """For adapters: what is left to decide once a token is verified.

        Raises:
            InsufficientScope: if it lacks one of the scopes that every request needs.
        """
        if self._required_scopes:
            try:
                token.require_scope(*self._required_scopes)
            except InsufficientScope as error:
                self.report(error, token)
                raise
        return token

    def report(self, error: RequestError, token: BoundToken | None = None) -> None:
        """For adapters: tell the monitor of a refusal that no verifier saw, such as `require_scope` in a view."""
        if self._monitor is None:
            return
        event = Refused(error.reason, str(error), error.reference, error.status)
        if token is not None:
            event = event._replace(
                issuer=token.issuer, client_id=token.client_id, subject=token.subject, token_id=token.token_id
            )
        emit(self._monitor, event)

    def refusal(self, error: RequestError) -> Refusal:
        """The answer to a request that failed with *error*, and one line in the log under the same reference.

        The log line names the reason; the answer does not (see `tokenbind.resource_server.challenge`).
        """
        loud = error.reason is Reason.CERTIFICATE_SOURCE_MISSING and not self._source_missing_logged
        self._source_missing_logged |= loud
        absence = getattr(self.peer_source, "absence", "") if error.reason is Reason.CERTIFICATE_MISSING else ""
        _log.log(
            logging.ERROR if loud else logging.WARNING,
            "%s with %d, %s: %s%s (reference %s)",
            "EVERY request like it is refused" if loud else "refused",
            error.status,
            error.reason,
            error,
            absence and f": {absence}",
            error.reference,
        )
        return self._challenge.refusal(error)

    def _prepare_request(
        self,
        method: str | None,
        path: str,
        headers: Iterable[tuple[bytes, bytes]],
        query: bytes,
        told: Mapping[str, Any],
    ) -> tuple[bytes, PeerCertificate | None] | None:
        fields, ask = list(headers), partial(self.peer_source.from_request, **told)
        return self.prepare(method, self._mount, path, query, fields, ask, fields)


def _stripped(mount: str) -> str:
    return mount.rstrip("/")


def _refuse_token_in_query(query: bytes) -> None:
    # RFC 9700 §4.3.2, FAPI 2.0 §5.3.4: a token in a URL is in logs and histories already.
    if _has_access_token(query):
        raise InvalidRequest(Reason.TOKEN_IN_QUERY, "there is an access_token in the query")
