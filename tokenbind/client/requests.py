"""Certificate-bound tokens for `requests`: an adapter, and a session that does nothing else.

Identity, connection and token are chosen together, at the moment of sending, and the token goes onto a copy of the
request: what `requests` builds redirects from never carries it, and netrc has no say.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from copy import copy
import ssl
from typing import Any, NoReturn, Unpack

import requests
from requests.adapters import DEFAULT_POOLSIZE, BaseAdapter, HTTPAdapter
from requests.exceptions import UnrewindableBodyError
from requests.utils import rewind_body
from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from ..errors import ClientError, Reason
from ..transport import IdentitySource
from ..transport.tls_context import Trust, client_context
from ..transport.trust_anchors import TrustSource
from .both import as_both
from .credentials import MAX_REFUSAL_BYTES, CredentialChooser, Credentials, Options
from .generations import Generations
from .token_cache import Tokens


__all__ = ["AdapterOptions", "BoundTokenAdapter", "BoundTokenSession"]

_MAX_RETRY_AFTER_SECONDS = 60


class AdapterOptions(Options, total=False):
    """What adapter and session take besides; see `BoundTokenAdapter`."""

    ca: Trust | TrustSource
    proxy_ca: Trust
    max_retries: Retry | int
    pool_maxsize: int
    pool_block: bool


class BoundTokenAdapter(BaseAdapter):
    """Sends requests to one origin, over mutual TLS, with a token that is bound to the certificate presented.

    When the certificate is renewed, the next request has the new one, a token for it, and a connection of its own;
    answers that are being read are not disturbed. A request that the API refuses with 401 is sent once more, if there
    is another token, and its body can be sent again.

    Mount it on ``https://``, rather than on the origin's URL, to have requests to anywhere else refused.

    Args:
        identity: The client's certificate and key.
        tokens: A grant, such as `ClientCredentials`; a function that returns the token to send; or a `TokenCache`.
        origin: The only scheme, host and port that the token and the certificate are shown to.
        ca: Which CA vouches for that server: a PEM file, PEM bytes, or None for the system's. ``verify=``, ``cert=``
            and the environment have no say; ``verify=False`` and ``cert=`` are refused.
        proxy_ca: The same for an https proxy in between.
        max_retries: As for `requests.adapters.HTTPAdapter`. No more than a minute is waited because of a Retry-After.
        pool_maxsize, pool_block: As for `requests.adapters.HTTPAdapter`, for the connections of one certificate. With
            more threads than connections that are kept, each new one is another handshake.
        options: See `Options`.

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
        proxy_ca: Trust = None,
        max_retries: Retry | int = 0,
        pool_maxsize: int = DEFAULT_POOLSIZE,
        pool_block: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__()
        self._chooser = CredentialChooser(identity, tokens, origin=origin, ca=ca, **options)
        # None is a context of urllib3's own, with the system's CAs.
        proxy_context = None if proxy_ca is None else client_context(proxy_ca).freeze()
        sizes = {"max_retries": _capped(max_retries), "pool_maxsize": pool_maxsize, "pool_block": pool_block}
        self._generations = Generations(lambda context: _Generation(context, proxy_context, sizes))

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send a copy of *request* that carries the token; called by `requests`.

        Raises:
            OriginRefused, ClientError: before anything is sent; a `requests.RequestException` too.
        """
        options = {"stream": stream, "timeout": timeout, "proxies": dict(proxies or {})}
        try:
            _refuse_foreign_tls_settings(verify, cert)
            credentials = self._chooser.choose(request.url or "", request.headers.get("Host"))
        except ClientError as error:
            raise as_both(error, requests.RequestException, request=request) from None
        response = self._send(request, credentials, options)
        if response.status_code == 401:
            challenge = response.headers.get("www-authenticate")
            another = self._chooser.another(credentials, challenge, replayable=_is_rewound(request))
            if another is not None:
                with suppress(HTTPError):
                    response.raw.read(MAX_REFUSAL_BYTES)  # to its end, so that its connection is used again
                response.close()
                response = self._send(request, another, options)
        return response

    def close(self) -> None:
        """Close the connections."""
        for generation in self._generations.drop_all():
            generation.close()

    def _send(
        self, request: requests.PreparedRequest, credentials: Credentials, options: Mapping[str, Any]
    ) -> requests.Response:
        bound = copy(request)  # not request.copy(), which copies the cookie jar too
        bound.headers = request.headers.copy()
        bound.headers["Authorization"] = _Unshown(f"Bearer {credentials.token}")
        generation = self._generations.take(credentials)
        # What comes out, an answer or an exception, carries the caller's request, and never the one with the token.
        try:
            response = generation.send(bound, **options)
        except requests.RequestException as error:
            error.request = request
            raise
        finally:
            # An answer that is still being read keeps its connection.
            for superseded in self._generations.give_back(credentials, generation):
                superseded.close()
        response.request = request
        # For those that send again through it, such as HTTPDigestAuth.
        response.connection = self  # type: ignore[assignment]
        return response

    def __reduce__(self) -> NoReturn:
        raise TypeError("a BoundTokenAdapter holds a private key and connections, and is not pickled")


class _Unshown(str):
    """Not in tracebacks that come with local variables: urllib3 has the headers in many."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'Bearer ...'"


class _Generation(HTTPAdapter):
    """The connections of one generation."""

    def __init__(
        self, context: ssl.SSLContext, proxy_context: ssl.SSLContext | None, options: Mapping[str, Any]
    ) -> None:
        self._context = context
        self._proxy_context = proxy_context
        self._pools: set[Any] = set()
        super().__init__(**options)

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        """Not ``init_poolmanager(ssl_context=)``: there, `requests` adds certifi, or $REQUESTS_CA_BUNDLE, to our CA."""
        host, _ = super().build_connection_pool_key_attributes(request, True, None)
        return host, {"ssl_context": self._context, "cert_reqs": "CERT_REQUIRED"}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing: the base class would point the pool at certifi's CAs."""

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
        """Remember the pool."""
        pool = super().get_connection_with_tls_context(*args, **options)
        self._pools.add(pool)
        return pool

    def close(self) -> None:
        """`requests` forgets its pools, and urllib3 closes what is forgotten: not while the caller keeps an answer."""
        super().close()
        for pool in list(self._pools):
            pool.close()

    def proxy_manager_for(self, proxy: Any, **options: Any) -> Any:
        """TLS to an https proxy is its own: without our certificate, and with its own CA."""
        if proxy.lower().startswith("https:"):
            options["proxy_ssl_context"] = self._proxy_context
        return super().proxy_manager_for(proxy, **options)


class BoundTokenSession(requests.Session):
    """A `requests.Session` whose every request goes to *origin*, with certificate and token, or is refused.

    The environment has no influence: proxies, netrc and, if there is a *ca*, CA bundles. The arguments are those of
    `BoundTokenAdapter`.
    """

    def __init__(
        self, identity: IdentitySource, tokens: Tokens, *, origin: str, **options: Unpack[AdapterOptions]
    ) -> None:
        super().__init__()
        self.trust_env = False
        self.adapters.clear()
        adapter = BoundTokenAdapter(identity, tokens, origin=origin, **options)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a BoundTokenSession holds a private key and connections, and is not pickled")


def _capped(retries: Retry | int) -> Retry:
    capped = copy(Retry(0, read=False) if retries == 0 else Retry.from_int(retries))  # as HTTPAdapter reads it
    kind: Any = type(capped)
    capped.__class__ = type(kind.__name__, (_Capped, kind), {})
    return capped


class _Capped(Retry):
    """Waits no longer than a minute: urllib3's own limit is six hours, and before 2.6 there is none."""

    def parse_retry_after(self, retry_after: str) -> float:
        return min(super().parse_retry_after(retry_after), _MAX_RETRY_AFTER_SECONDS)


def _is_rewound(request: requests.PreparedRequest) -> bool:
    """Whether its body can be sent again, from where it began: a generator's cannot, and would be sent empty."""
    if request.body is None or isinstance(request.body, (bytes, str)):
        return True
    try:
        rewind_body(request)
    except (UnrewindableBodyError, ValueError):  # ValueError: the file is closed
        return False
    return True


def _refuse_foreign_tls_settings(verify: bool | str, cert: Any) -> None:
    if verify is False or cert is not None:
        raise ClientError(
            Reason.IDENTITY_UNUSABLE, "verify=False and cert= are refused: give identity and ca= to tokenbind"
        )
