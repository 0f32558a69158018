"""Certificate-bound tokens for `httpx`: transports, and clients that do nothing else; for threads, asyncio and trio.

The transport chooses identity, connection and token together, at the moment of sending, and the token goes onto a copy
of the request. An `httpx.Auth` would choose before, write on the caller's request, and could be used without the
transport. So redirects, event hooks and the caller's own `httpx.Auth` never see the token, and cannot replace it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, contextmanager, suppress
from functools import partial
from typing import Any, Generic, TypeVar, Unpack

import httpx

from ..errors import ClientError, ConfigurationError, OriginRefused
from ..transport import IdentitySource
from ..transport.tls_context import Trust, client_context
from ..transport.trust_anchors import TrustSource
from .both import as_both
from .credentials import MAX_REFUSAL_BYTES, CredentialChooser, Credentials, Options
from .generations import Generations
from .token_cache import Tokens


__all__ = [
    "AsyncBoundTokenClient",
    "AsyncBoundTokenTransport",
    "BoundTokenClient",
    "BoundTokenTransport",
    "ClientOptions",
]

_LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20)  # httpx's own
Pool = TypeVar("Pool", httpx.HTTPTransport, httpx.AsyncHTTPTransport)
Proxy = httpx.Proxy | httpx.URL | str | None
_OURS = Options.__optional_keys__ | {"ca", "proxy", "proxy_ca", "retries", "limits"}


class ClientOptions(Options, total=False):
    """What the clients take besides: what the transports do, and this of `httpx.Client`."""

    ca: Trust | TrustSource
    proxy: Proxy
    proxy_ca: Trust
    retries: int
    limits: httpx.Limits
    base_url: httpx.URL | str
    cookies: Any
    default_encoding: str | Callable[[bytes], str]
    event_hooks: Mapping[str, list[Callable[..., Any]]] | None
    follow_redirects: bool
    headers: Any
    max_redirects: int
    params: Any
    timeout: Any


class _Transport(Generic[Pool]):  # is not pickled, nor is what holds it, since a CredentialChooser is not
    _open: type[Pool]

    def __init__(
        self,
        identity: IdentitySource,
        tokens: Tokens,
        *,
        origin: str,
        ca: Trust | TrustSource = None,
        proxy: Proxy = None,
        proxy_ca: Trust = None,
        retries: int = 0,
        limits: httpx.Limits = _LIMITS,
        **options: Unpack[Options],
    ) -> None:
        self._chooser = CredentialChooser(identity, tokens, origin=origin, ca=ca, **options)
        through = _read_proxy(proxy, proxy_ca)
        self._generations: Generations[Pool] = Generations(
            partial(self._open, trust_env=False, limits=limits, proxy=through, retries=retries)
        )


class BoundTokenTransport(_Transport[httpx.HTTPTransport], httpx.BaseTransport):
    """Sends requests to one origin, over mutual TLS, with a token that is bound to the certificate presented.

    When the certificate is renewed, the next request has the new one, a token for it, and a connection of its own;
    answers that are being read are not disturbed. A request that the API refuses with 401 is sent once more, if there
    is another token, and its body is there to be sent again: bytes, text, a form or JSON, but no file and no generator.

    Give it as ``transport=``, or mount it on ``https://``, rather than on the origin's URL, to have requests to
    anywhere else refused. HTTP/2 is not spoken. The timeouts of httpx do not count for the fetching of a token.

    Args:
        identity: The client's certificate and key.
        tokens: A grant, such as `ClientCredentials`; a function that returns the token to send; or a `TokenCache`.
        origin: The only scheme, host and port that the token and the certificate are shown to.
        ca: Which CA vouches for that server: a PEM file, PEM bytes, or None for the system's, as OpenSSL finds them.
        proxy: As for `httpx.HTTPTransport`; it sees neither token nor certificate.
        proxy_ca: The same as *ca*, for an https proxy.
        retries: As for `httpx.HTTPTransport`; and *limits*, for the connections of one certificate.
        options: See `Options`.

    Raises:
        ConfigurationError: if an argument cannot be right.
        IdentityError: if there is no identity.
    """

    _open = httpx.HTTPTransport

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a copy of *request* that carries the token; called by `httpx`.

        Raises:
            OriginRefused, ClientError: before anything is sent; an `httpx.TransportError` too.
        """
        with _choosing(request):
            credentials = self._chooser.choose(str(request.url), request.headers.get("Host"))
        response = self._send(request, credentials)
        if response.status_code != 401:
            return response
        with ExitStack() as stack:
            stack.callback(response.close)
            another = self._chooser.another(credentials, **_refusal(request, response))
            if another is None:
                stack.pop_all()
                return response
            with suppress(httpx.TransportError):
                next(response.iter_raw(MAX_REFUSAL_BYTES), b"")  # all of it, most often: its connection is used again
        return self._send(request, another)

    def close(self) -> None:
        """Close the connections."""
        _close(self._generations.drop_all())

    def _send(self, request: httpx.Request, credentials: Credentials) -> httpx.Response:
        pool = self._generations.take(credentials)
        give_back = partial(self._generations.give_back, credentials, pool)
        try:
            response = pool.handle_request(_bound(request, credentials))
        except BaseException:
            _close(give_back())
            raise
        response.stream = _Body(response.stream, give_back)
        return response


class AsyncBoundTokenTransport(_Transport[httpx.AsyncHTTPTransport], httpx.AsyncBaseTransport):
    """`BoundTokenTransport` for asyncio and trio, with the same arguments; for one event loop, as all of httpx is.

    Tasks that need a token wait for the same one; a task that is cancelled leaves it to the others.
    """

    _open = httpx.AsyncHTTPTransport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """As `BoundTokenTransport.handle_request`; called by `httpx`."""
        with _choosing(request):
            credentials = await self._chooser.choose_async(str(request.url), request.headers.get("Host"))
        response = await self._send(request, credentials)
        if response.status_code != 401:
            return response
        async with AsyncExitStack() as stack:
            stack.push_async_callback(response.aclose)
            another = await self._chooser.another_async(credentials, **_refusal(request, response))
            if another is None:
                stack.pop_all()
                return response
            pieces: Any = response.aiter_raw(MAX_REFUSAL_BYTES)
            stack.push_async_callback(pieces.aclose)
            with suppress(httpx.TransportError):
                await anext(pieces, b"")
        return await self._send(request, another)

    async def aclose(self) -> None:
        """Close the connections."""
        await _aclose(self._generations.drop_all())

    async def _send(self, request: httpx.Request, credentials: Credentials) -> httpx.Response:
        pool = self._generations.take(credentials)
        give_back = partial(self._generations.give_back, credentials, pool)
        try:
            response = await pool.handle_async_request(_bound(request, credentials))
        except BaseException:
            await _aclose(give_back())
            raise
        response.stream = _Body(response.stream, give_back)
        return response


class BoundTokenClient(httpx.Client):
    """An `httpx.Client` whose every request goes to *origin*, with certificate and token, or is refused.

    The environment has no influence (on which CAs the system has, it may, without a *ca*). The arguments are those of
    `BoundTokenTransport`, and those of `httpx.Client` that do not concern certificates, authentication or connections.
    """

    def __init__(
        self, identity: IdentitySource, tokens: Tokens, *, origin: str, **options: Unpack[ClientOptions]
    ) -> None:
        ours, theirs = _split(options, origin)
        super().__init__(transport=BoundTokenTransport(identity, tokens, origin=origin, **ours), **theirs)


class AsyncBoundTokenClient(httpx.AsyncClient):
    """`BoundTokenClient` for asyncio and trio."""

    def __init__(
        self, identity: IdentitySource, tokens: Tokens, *, origin: str, **options: Unpack[ClientOptions]
    ) -> None:
        ours, theirs = _split(options, origin)
        super().__init__(transport=AsyncBoundTokenTransport(identity, tokens, origin=origin, **ours), **theirs)


class _Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    """Of an answer: the connections of its generation are kept for it until it is closed."""

    def __init__(self, stream: Any, give_back: Callable[[], list[Any]]) -> None:
        self._stream = stream
        self._give_back = give_back

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._stream)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._stream)

    def close(self) -> None:
        give_back, self._give_back = self._give_back, list  # once, however often it is closed
        try:
            self._stream.close()
        finally:
            _close(give_back())

    async def aclose(self) -> None:
        give_back, self._give_back = self._give_back, list
        try:
            await self._stream.aclose()
        finally:
            await _aclose(give_back())


def _close(pools: list[httpx.HTTPTransport]) -> None:
    for pool in pools:
        with suppress(Exception):  # a request that has its answer must not fail for it
            pool.close()


async def _aclose(pools: list[httpx.AsyncHTTPTransport]) -> None:
    for pool in pools:
        with suppress(Exception):
            await pool.aclose()  # shielded from cancellation by httpcore


@contextmanager
def _choosing(request: httpx.Request) -> Generator[None]:
    try:
        # TLS would take a server of that name for the origin, for this and for every later request on the connection.
        # A target that is a URL is stronger than the Host header (RFC 9112 §3.2.2), and a proxy would be led by it.
        if "sni_hostname" in (asked := request.extensions) or asked.get("target", b"/")[:1] not in {b"/", b"*"}:
            raise OriginRefused("sni_hostname, or a target without a path, names another server; nothing was sent")
        yield
    except ClientError as error:
        raise as_both(error, httpx.TransportError, request=request) from None


def _bound(request: httpx.Request, credentials: Credentials) -> httpx.Request:
    headers = request.headers.copy()
    headers["Authorization"] = f"Bearer {credentials.token}"
    stream, extensions = request.stream, request.extensions
    return httpx.Request(request.method, request.url, headers=headers, stream=stream, extensions=extensions)


def _refusal(request: httpx.Request, response: httpx.Response) -> dict[str, Any]:
    # The body of a generator is not there to be sent again, nor, it may be, that of a file.
    replayable = isinstance(request.stream, httpx.ByteStream)
    return {"challenge": response.headers.get("www-authenticate"), "replayable": replayable}


def _read_proxy(given: Proxy, ca: Trust) -> httpx.Proxy | None:
    if given is None:
        return None
    try:
        proxy = given if isinstance(given, httpx.Proxy) else httpx.Proxy(given)
    except (TypeError, ValueError, httpx.InvalidURL):  # without showing it: a password may be in it
        raise ConfigurationError("proxy= must be a URL, such as 'http://proxy.example:3128'") from None
    if proxy.url.scheme != "https" or proxy.ssl_context is not None:
        return proxy
    context = client_context(ca).freeze()  # TLS to the proxy is its own: without our certificate
    return httpx.Proxy(proxy.url, ssl_context=context, auth=proxy.auth, headers=proxy.headers)


def _split(options: ClientOptions, origin: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Those of the transport, and those of the client."""
    if foreign := sorted(options.keys() - ClientOptions.__optional_keys__):
        raise ConfigurationError(
            f"{foreign[0]}= is none of the arguments: identity, tokens, ca= and proxy= settle how we send"
        )
    ours = {name: options.pop(name) for name in _OURS & options.keys()}  # type: ignore[misc]
    return ours, {"base_url": origin, **options, "trust_env": False}
