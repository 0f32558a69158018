"""What gRPC tells of a call, and what a guard tells it; free of grpcio, which only the module `grpc` knows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
import json
import re
from typing import Any
from urllib.parse import unquote

from ..binding import PeerCertificate
from ..binding.pem import malformed, read_certificates
from ..errors import ConfigurationError, InvalidToken, Reason, Unavailable
from ..peer import PeerSource, TLSConnection
from ..peer.fields import Names
from ..tokens import BoundToken
from .challenge import Refusal
from .guard import ResourceServer
from .lifetime import Sleep, TokenEnded
from .views import token_in


__all__ = ["Call", "WatchedCall", "bound_token", "challenge", "details", "presented", "require_told"]

_KEY = "token"
_SECRET = "have the proxy send a Trust.secret_header, only where it sets the header of the certificate"
_NOT_TOLD = {
    "host": f"hosts= cannot be kept to under gRPC, which does not tell the :authority of a call: {_SECRET}",
    # Its peer is the name that the client has given to its own end of the socket.
    "socket_name": f"Trust.unix_socket cannot be kept to under gRPC, which does not tell on which one: {_SECRET}",
}
_is_ip_address = re.compile(r"ipv[46]:\[?(.+?)\]?:(\d+)").fullmatch


class Call:
    """The context that a servicer is given: gRPC's own, which knows the token, too.

    Not a context variable: it is the context that a servicer takes along, into generators and threads of its own.
    """

    def __init__(self, context: Any, token: BoundToken | None, hidden: Names) -> None:
        self.tokenbind: dict[str, BoundToken | None] = {_KEY: token}
        self._context = context
        self._hidden = hidden

    def invocation_metadata(self) -> Any:
        """gRPC's, without what a proxy says to us alone."""
        metadata = self._context.invocation_metadata()
        if not self._hidden:
            return metadata
        return tuple(field for field in metadata or () if not self._hidden.hides(field[0].encode()))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)


class WatchedCall(Call):
    """One that can be cancelled at any moment.

    If the first thing that a call sends is cancelled, grpcio does not know that the initial metadata is on its way. It
    would send it again with the status, which fails, and the client would wait for ever.
    """

    _first: asyncio.Future[None] | None = None
    _ended = False

    def __init__(
        self,
        context: Any,
        token: BoundToken | None,
        hidden: Names,
        end: Callable[[Sleep], Coroutine[Any, Any, InvalidToken | Unavailable]],
    ) -> None:
        super().__init__(context, token, hidden)
        self._end = end

    async def watch(self, sleep: Sleep) -> None:
        """Raises `TokenEnded` when the token does not stand any more."""
        try:
            raise TokenEnded(await self._end(sleep))
        finally:
            self._ended = True

    async def read(self) -> Any:
        self._check()
        return await self._context.read()

    async def write(self, message: Any) -> None:
        self._check()
        await self._send(self._context.write(message))

    async def send_initial_metadata(self, metadata: Any) -> None:
        self._check()
        await self._send(self._context.send_initial_metadata(metadata))

    async def settled(self) -> None:
        """Until a status can be sent."""
        if self._first is not None:
            await asyncio.wait([self._first])

    def _check(self) -> None:
        if self._ended:  # it was cancelled, and goes on
            raise OSError("the call was ended, because its token does not stand any more")

    async def _send(self, sending: Coroutine[Any, Any, None]) -> None:
        if self._first is None:
            self._first = asyncio.ensure_future(sending)
            await asyncio.shield(self._first)
        else:
            await sending


def bound_token(context: Any) -> BoundToken:
    """The `BoundToken` of a call, by the *context* that the servicer is given; a call of an exempt method is refused.

    Raises:
        ConfigurationError: if no interceptor of tokenbind guards the server.
    """
    # Interceptors that stand between have a context of their own, which hands on what it does not know.
    guarded = getattr(context, "tokenbind", {})
    return token_in(guarded, _KEY, "make the server with interceptors=[BoundTokenInterceptor(verifier)]")


def require_told(source: PeerSource | None) -> None:
    """Pass if gRPC tells all that *source* needs.

    Raises:
        ConfigurationError: if it does not, so that every call would be refused.
    """
    for what, why in _NOT_TOLD.items():
        if what in getattr(source, "needs", ()):
            raise ConfigurationError(why)


def presented(guard: ResourceServer, context: Any, method: str) -> tuple[bytes, PeerCertificate | None] | None:
    """What `ResourceServer.prepare` makes of a call of *method*, such as ``/package.Service/Method``."""
    fields = [
        (name.encode(), value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape"))
        for name, value in context.invocation_metadata() or ()
    ]
    return guard.prepare(
        "POST", "", method, b"", fields, lambda fields: _peer(guard.peer_source, context, fields), fields
    )


def details(refusal: Refusal) -> str:
    """The words of the answer."""
    members = json.loads(refusal.body)
    return f"{members['error_description']} (reference {members['reference']})"


def challenge(refusal: Refusal) -> tuple[tuple[str, str], ...]:
    """The challenge of the answer, as trailing metadata."""
    return tuple(field for field in refusal.headers if field[0] == "www-authenticate")


class _Connection:
    """As much of a TLS object as says who is at the other end."""

    def __init__(self, certificates: Sequence[bytes]) -> None:
        ders = [der for pem in certificates for der in read_certificates(pem.decode("latin-1"))]
        if len(ders) != 1:
            raise malformed("gRPC gives more than one certificate where one belongs")
        self._der = ders[0]

    def getpeercert(self, binary_form: bool = False, /) -> bytes:
        return self._der


def _peer(source: PeerSource, context: Any, fields: list[tuple[bytes, bytes]]) -> PeerCertificate | None:
    certificates = context.auth_context().get("x509_pem_cert")
    if not certificates and isinstance(source, TLSConnection):
        raise Unavailable(
            Reason.CERTIFICATE_SOURCE_MISSING,
            "no information about the peer certificate: the port is insecure, or never asks for certificates: add it "
            "with grpc.ssl_server_credentials(..., require_client_auth=True)",
        )
    return source.from_request(
        fields,
        socket_peer=_socket_peer(context.peer()),
        tls_peer=_Connection(certificates) if certificates else None,
    )


def _socket_peer(peer: str) -> object:
    """As `socket.socket.getpeername` gives it; gRPC says ``ipv4:127.0.0.1:4711`` or ``ipv6:%5B::1%5D:4711``."""
    address = _is_ip_address(unquote(peer))
    return None if address is None else (address[1], int(address[2]))
