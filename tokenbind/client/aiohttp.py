"""Certificate-bound tokens for `aiohttp`: a session that does nothing else.

Identity, connection and token are chosen together, for each hop of a redirect anew, by the innermost middleware. The
token stands in a request's headers only while they are written: no ``request_info`` and no exception carries it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
import ssl
from typing import Any, NoReturn, Protocol, Self, TypedDict, TypeVar, Unpack
from weakref import WeakSet

import aiohttp
from aiohttp.abc import AbstractCookieJar, AbstractResolver
from aiohttp.connector import Connection

from ..errors import ClientError, Reason
from ..transport import IdentitySource
from ..transport.proxy import require_proxy
from ..transport.tls_context import Trust
from ..transport.trust_anchors import TrustSource
from .both import as_both
from .credentials import MAX_REFUSAL_BYTES, CredentialChooser, Credentials, Options
from .generations import Generations
from .token_cache import Tokens


__all__ = ["AiohttpOptions", "BoundTokenSession", "ConnectorOptions", "Pending", "SessionOptions"]

Answer_co = TypeVar("Answer_co", covariant=True)


class ConnectorOptions(TypedDict, total=False):
    """What is passed on to `aiohttp.TCPConnector`, for the connections of one certificate."""

    family: int
    force_close: bool
    keepalive_timeout: float | None
    limit: int
    limit_per_host: int
    resolver: AbstractResolver | None


class AiohttpOptions(TypedDict, total=False):
    """What is passed on to `aiohttp.ClientSession`; `base_url` is the origin unless given."""

    auto_decompress: bool
    base_url: Any
    cookie_jar: AbstractCookieJar | None
    cookies: Any
    headers: Any
    json_serialize: Callable[[Any], str]
    max_field_size: int
    max_line_size: int
    middlewares: Sequence[aiohttp.ClientMiddlewareType]
    raise_for_status: bool | Callable[[aiohttp.ClientResponse], Awaitable[None]]
    read_bufsize: int
    timeout: aiohttp.ClientTimeout
    trace_configs: list[aiohttp.TraceConfig] | None


class SessionOptions(Options, ConnectorOptions, AiohttpOptions, total=False):
    """What a session takes besides."""


class Pending(Awaitable[Answer_co], AbstractAsyncContextManager[Answer_co], Protocol[Answer_co]):
    """A request that is sent when it is awaited, or entered by ``async with``, which releases its answer at the end."""


class BoundTokenSession:
    """Sends requests to one origin, over mutual TLS, with a token that is bound to the certificate presented.

    Used as an `aiohttp.ClientSession`: made in a running event loop, and closed. Requests and redirects to elsewhere
    are refused. ``Authorization`` and ``auth=`` of the caller are not sent; ``ssl=`` and ``server_hostname=`` are
    refused; the environment has no say.

    When the certificate is renewed, the next request has the new one, a token for it, and a connection of its own;
    answers that are being read, and websockets, are not disturbed. A request that the API refuses with 401 is sent once
    more, if there is another token, and its body is there to be sent again: bytes, text, JSON or a form without files.

    Args:
        identity: The client's certificate and key.
        tokens: A grant, such as `ClientCredentials`; a function that returns the token to send; or a `TokenCache`.
        origin: The only scheme, host and port that the token and the certificate are shown to.
        ca: Which CA vouches for that server: a PEM file, PEM bytes, or None for the system's.
        proxy: ``http://[user:password@]host:port``; it sees neither token nor certificate. An https proxy is refused:
            aiohttp would show it the certificate.
        options: See `Options`, `ConnectorOptions` and `AiohttpOptions`.

    Raises:
        ConfigurationError: if an argument cannot be right.
        IdentityError: if there is no identity.
    """

    def __init__(
        self,
        identity: IdentitySource,
        tokens: Tokens,
        *,
        origin: str,
        ca: Trust | TrustSource = None,
        proxy: str | None = None,
        **options: Unpack[SessionOptions],
    ) -> None:
        given: dict[str, Any] = {**options}
        connector = _take(given, ConnectorOptions)
        session = _take(given, AiohttpOptions)
        chooser = CredentialChooser(identity, tokens, origin=origin, ca=ca, **given)
        require_proxy(proxy)
        self._connections = _Connections(chooser, connector)
        session.setdefault("base_url", f"{origin.rstrip('/')}/")
        session["middlewares"] = (*(session.get("middlewares") or ()), self._connections.send)
        self._session = aiohttp.ClientSession(connector=self._connections, proxy=proxy, trust_env=False, **session)

    def request(self, method: str, url: Any, **options: Any) -> Pending[aiohttp.ClientResponse]:
        """Send a request; as `aiohttp.ClientSession.request`.

        Raises:
            OriginRefused, ClientError: before anything is sent; an `aiohttp.ClientError` too.
        """
        return self._session.request(method, url, **self._checked(options))

    def get(self, url: Any, **options: Any) -> Pending[aiohttp.ClientResponse]:
        """See `request`."""
        return self._session.get(url, **self._checked(options))

    def options(self, url: Any, **options: Any) -> Pending[aiohttp.ClientResponse]:
        """See `request`."""
        return self._session.options(url, **self._checked(options))

    def head(self, url: Any, **options: Any) -> Pending[aiohttp.ClientResponse]:
        """See `request`. Redirects are not followed, unless you say so, as in aiohttp."""
        return self._session.head(url, **self._checked(options))

    def post(self, url: Any, **options: Any) -> Pending[aiohttp.ClientResponse]:
        """See `request`."""
        return self._session.post(url, **self._checked(options))

    def put(self, url: Any, **options: Any) -> Pending[aiohttp.ClientResponse]:
        """See `request`."""
        return self._session.put(url, **self._checked(options))

    def patch(self, url: Any, **options: Any) -> Pending[aiohttp.ClientResponse]:
        """See `request`."""
        return self._session.patch(url, **self._checked(options))

    def delete(self, url: Any, **options: Any) -> Pending[aiohttp.ClientResponse]:
        """See `request`."""
        return self._session.delete(url, **self._checked(options))

    def ws_connect(self, url: Any, **options: Any) -> Pending[aiohttp.ClientWebSocketResponse]:
        """Open a websocket, at ``https://`` or ``wss://``; as `aiohttp.ClientSession.ws_connect`.

        It keeps the certificate and the token of its handshake; to open another one, after its end, is the caller's.

        Raises:
            OriginRefused, ClientError: before anything is sent; an `aiohttp.ClientError` too.
        """
        return self._session.ws_connect(url, **options)

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._session.closed

    async def close(self) -> None:
        """Close the connections, those that are in use too."""
        await self._session.close()
        await self._connections.close_all()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a BoundTokenSession holds a private key and connections, and is not pickled")

    def _checked(self, options: dict[str, Any]) -> dict[str, Any]:
        # Those of a request take the place of the session's, and must not take that of ours.
        if options.get("middlewares") is not None:
            options["middlewares"] = (*options["middlewares"], self._connections.send)
        return options


class _Connections(aiohttp.BaseConnector):
    """A middleware that chooses credentials, and a connector that has a pool for each generation of them."""

    def __init__(self, chooser: CredentialChooser, options: Mapping[str, Any]) -> None:
        super().__init__()
        self._home = asyncio.get_running_loop()
        self._chooser = chooser
        self._options = options
        self._generations = Generations(self._open)
        self._pools: set[aiohttp.TCPConnector] = set()
        self._chosen: dict[aiohttp.ClientRequest, Credentials] = {}
        self._closing: set[asyncio.Future[None]] = set()
        self._used: WeakSet[Any] = WeakSet()  # protocols

    async def send(self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        """The middleware: called by aiohttp for each hop."""
        try:
            _refuse_foreign_tls_settings(request)
            # RFC 6455 §3: wss is the same host and port, and the same TLS.
            url = request.url.with_scheme("https") if request.url.scheme == "wss" else request.url
            credentials = await self._chooser.choose_async(str(url), request.headers.get("Host"))
        except ClientError as error:
            raise as_both(error, aiohttp.ClientError) from None
        response = await self._send(request, handler, credentials)
        if response.status != 401:
            return response
        try:
            challenge = ", ".join(response.headers.getall("WWW-Authenticate", [])) or None
            replayable = isinstance(request.body, (bytes, aiohttp.BytesPayload))  # a file or a generator may be gone
            another = await self._chooser.another_async(credentials, challenge, replayable=replayable)
            if another is None:
                return response
            # To its end, so that its connection is used again.
            with suppress(asyncio.IncompleteReadError, aiohttp.ClientError):
                await response.content.readexactly(MAX_REFUSAL_BYTES)
        except BaseException:
            response.close()
            raise
        async with response:
            pass
        return await self._send(request, handler, another)

    async def _send(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType, credentials: Credentials
    ) -> aiohttp.ClientResponse:
        if self.closed:
            raise aiohttp.ClientConnectionError("the session was closed before the request was sent")
        self._chosen[request] = credentials
        request.headers["Authorization"] = f"Bearer {credentials.token}"
        try:
            return await handler(request)
        finally:
            # The answer's request_info, and that of an exception, is a view of these headers.
            request.headers.popall("Authorization", None)
            del self._chosen[request]

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - of aiohttp
    ) -> Connection:
        """Take a connection of the request's generation; called by aiohttp."""
        credentials = self._chosen.get(req)
        if credentials is None:
            raise aiohttp.ClientConnectionError("a middleware sent a request without that of tokenbind")
        pool = self._generations.take(credentials)
        give_back = partial(self._give_back, credentials, pool)
        try:
            connection = await pool.connect(req, traces, timeout)
        except BaseException:
            give_back()
            raise
        connection.add_callback(give_back)  # when the answer was read, or the websocket is closed
        self._used.add(connection.protocol)
        return connection

    def _open(self, context: ssl.SSLContext) -> aiohttp.TCPConnector:
        pool = aiohttp.TCPConnector(ssl=context, **self._options)
        self._pools.add(pool)  # or in a child process, which forgets the generations, it would end the parent's
        return pool

    def _give_back(self, credentials: Credentials, pool: aiohttp.TCPConnector) -> None:
        for superseded in self._generations.give_back(credentials, pool):
            self._pools.discard(superseded)
            closing = asyncio.ensure_future(superseded.close(), loop=self._home)
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def close_all(self) -> None:
        """Close the connections of all generations, and wait for those that were broken off: they outlive the loop."""
        closing = [pool.close() for pool in self._generations.drop_all()]
        await asyncio.gather(*closing, *self._closing, return_exceptions=True)
        ends = [end for one in [*self._used] if (end := getattr(one, "closed", None))]  # none in aiohttp 3.12.0
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*ends, return_exceptions=True), 2)  # how they end is of no interest


def _take(options: dict[str, Any], kind: type) -> dict[str, Any]:
    return {name: options.pop(name) for name in kind.__annotations__ if name in options}


def _refuse_foreign_tls_settings(request: aiohttp.ClientRequest) -> None:
    if request.ssl is not True or request.server_hostname is not None:
        raise ClientError(
            Reason.IDENTITY_UNUSABLE, "ssl= and server_hostname= are refused: give identity and ca= to tokenbind"
        )
    if request.proxy is not None and request.proxy.scheme != "http":
        raise ClientError(Reason.IDENTITY_UNUSABLE, "aiohttp would show the certificate to a proxy that is not http")
