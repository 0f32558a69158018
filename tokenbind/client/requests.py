"""Certificate-bound tokens for `requests`: an adapter, and a session that does nothing else.

Identity, connection and token are chosen together, at the moment of sending, and the token goes onto a copy of the
request: what `requests` builds redirects from never carries it, and netrc has no say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import requests
from requests.adapters import BaseAdapter, HTTPAdapter

from ..errors import ClientError, ConfigurationError, Reason
from ..transport import Identity, IdentitySource
from ..transport.tls_context import Trust
from .grants import Grant
from .origin import Origin
from .token_cache import TokenCache


__all__ = ["BoundTokenAdapter", "BoundTokenSession"]


class BoundTokenAdapter(BaseAdapter):
    """Sends requests to one origin, over mutual TLS, with a token that is bound to the certificate presented.

    Mount it on ``https://``, rather than on the origin's URL, to have requests to anywhere else refused.

    Args:
        identity: The client's certificate and key.
        tokens: A grant, such as `ClientCredentials`, or a callable that returns the token to send.
        origin: The only scheme, host and port that the token and the certificate are shown to.
        ca: Which CA vouches for that server: a PEM file, PEM bytes, or None for the system's. ``verify=``, ``cert=``
            and the environment have no say; ``verify=False`` and ``cert=`` are refused.

    Raises:
        ConfigurationError: if an argument cannot be right.
    """

    def __init__(
        self, identity: IdentitySource, tokens: Grant | Callable[[], str], *, origin: str, ca: Trust = None
    ) -> None:
        super().__init__()
        if not callable(getattr(identity, "current", None)):
            raise ConfigurationError('the identity must be one, such as FileIdentity("client.pem", "client.key")')
        self._source = identity
        self._tokens = TokenCache(tokens)
        self._origin = Origin(origin)
        self._ca = ca
        self._generation = _Generation(identity.current(), ca)

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
        try:
            _refuse_foreign_tls_settings(verify, cert)
            self._origin.require(request.url or "")
            generation = self._current()
            token = self._tokens.get(generation.identity)
        except ClientError as error:
            raise _as_request_exception(error, request) from None
        bound = request.copy()
        bound.headers["Authorization"] = f"Bearer {token}"
        # What comes out, an answer or an exception, carries the caller's request, and never the one with the token.
        try:
            response = generation.send(bound, stream=stream, timeout=timeout, proxies=dict(proxies or {}))
        except requests.RequestException as error:
            error.request = request
            raise
        response.request = request
        # For those that send again through it, such as HTTPDigestAuth.
        response.connection = self  # type: ignore[assignment]
        return response

    def close(self) -> None:
        """Close the connections."""
        self._generation.close()

    def _current(self) -> _Generation:
        identity = self._source.current()
        if identity is not self._generation.identity:
            self._generation = _Generation(identity, self._ca)
        return self._generation

    def __reduce__(self) -> NoReturn:
        raise TypeError("a BoundTokenAdapter holds a private key and connections, and is not pickled")


class _Generation(HTTPAdapter):
    """The connections of one identity."""

    def __init__(self, identity: Identity, ca: Trust) -> None:
        self.identity = identity
        self._context = identity.ssl_context(ca)
        super().__init__()

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        """Not ``init_poolmanager(ssl_context=)``: there, `requests` adds certifi, or $REQUESTS_CA_BUNDLE, to our CA."""
        host, _ = super().build_connection_pool_key_attributes(request, True, None)
        return host, {"ssl_context": self._context, "cert_reqs": "CERT_REQUIRED"}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing: the base class would point the pool at certifi's CAs."""


class BoundTokenSession(requests.Session):
    """A `requests.Session` whose every request goes to *origin*, with certificate and token, or is refused.

    The environment (proxies, netrc, CA bundles) has no influence. The arguments are those of `BoundTokenAdapter`.
    """

    def __init__(
        self, identity: IdentitySource, tokens: Grant | Callable[[], str], *, origin: str, ca: Trust = None
    ) -> None:
        super().__init__()
        self.trust_env = False
        self.adapters.clear()
        adapter = BoundTokenAdapter(identity, tokens, origin=origin, ca=ca)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a BoundTokenSession holds a private key and connections, and is not pickled")


def _refuse_foreign_tls_settings(verify: bool | str, cert: Any) -> None:
    if verify is False or cert is not None:
        raise ClientError(
            Reason.IDENTITY_UNUSABLE, "verify=False and cert= are refused: give identity and ca= to tokenbind"
        )


def _as_request_exception(error: ClientError, request: requests.PreparedRequest) -> requests.RequestException:
    """The same error, of a class that is both; attributes such as those of a `GrantError` are kept."""
    kind = type(error)
    both: Any = type(kind.__name__, (kind, requests.RequestException), {"__module__": __name__})
    raised: requests.RequestException = both.__new__(both)
    requests.RequestException.__init__(raised, *error.args, request=request)
    raised.__dict__.update(error.__dict__)
    return raised
