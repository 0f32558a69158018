"""The token endpoint of an authorization server: where it is, and one bounded request to it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
import logging
from math import inf
from random import uniform
from time import monotonic, sleep
from typing import Any, NamedTuple
from urllib.parse import urlencode

from ..errors import ClientError, ConfigurationError, Reason
from ..tokens.clock import elapsed
from ..transport import (
    FetchError,
    Identity,
    Response,
    ServerMetadata,
    discover,
    fetch,
    require_address,
    require_allowed_hosts,
    require_issuer,
    require_proxy,
    require_url,
)
from ..transport.tls_context import Trust, client_context
from ..transport.trust_anchors import TrustAnchors, TrustSource
from .client_authentication import Authentication, method_of, prove
from .token_response import read_token_response


__all__ = ["TokenEndpoint"]

_log = logging.getLogger("tokenbind")

# A server that restarts, or one of several behind a balancer; what takes longer is for those who call again.
_PAUSES_SECONDS = (0.1, 0.3)
_PASSING = frozenset({502, 503, 504})
_METADATA_SECONDS = 3600
_STALE_METADATA_SECONDS = 300  # how long the old one serves on, when there is none anew


class _Known(NamedTuple):
    """Where the endpoint is, as far as is known."""

    url: str
    until: float


class TokenEndpoint:
    """Sends token requests for one client. Safe for threads: each request is by itself.

    Args: as for `EndpointGrant`.
    """

    def __init__(
        self,
        issuer: str,
        *,
        client_id: str,
        authentication: Authentication,
        url: str | None,
        ca: Trust | TrustSource,
        proxy: str | None,
        timeout_seconds: float,
        address: str | None,
        allowed_hosts: Collection[str],
    ) -> None:
        require_issuer(issuer)
        require_address(address)
        require_allowed_hosts(allowed_hosts)
        require_proxy(proxy)
        if url is not None:
            require_url("token_endpoint", url)
            if "#" in url:
                raise ConfigurationError("token_endpoint= must have no fragment (RFC 6749 §3.2)")
        if not isinstance(timeout_seconds, (int, float)) or not 0 < timeout_seconds < inf:
            raise ConfigurationError("timeout_seconds= is a number of seconds, more than 0")
        self.issuer = issuer
        self.client_id = client_id
        self.timeout_seconds = timeout_seconds
        self._method = method_of(authentication)
        self._authentication: Authentication = authentication
        self._given = url
        self._anchors = TrustAnchors(ca)
        self._proxy = proxy
        self._address = address
        self._allowed_hosts = tuple(allowed_hosts)
        self._known: _Known | None = None
        self._warned = False

    def ask(
        self,
        identity: Identity,
        form: Collection[tuple[str, str]],
        secrets: Collection[str] = (),
        *,
        hints: Mapping[str, str] | None = None,
        once: bool = False,
    ) -> dict[str, Any]:
        """Send *form*, with what authenticates the client, over a connection that presents *identity*.

        Returns the members of the answer, which is no error, and is not looked at any further.

        A connection that broke off, or an answer of a server that is just away, is met with up to two more attempts.

        Args:
            secrets: What must not stand in a message, even if the server quotes it.
            hints: What a `GrantError` says besides, for its code.
            once: Never again after anything was sent.

        Raises:
            GrantError: if the server refuses.
            ClientError: if there is no answer of a token endpoint.
        """
        deadline = monotonic() + self.timeout_seconds
        pauses = iter((*_PAUSES_SECONDS, inf))
        while True:
            answer, proven = self._try(identity, form, deadline)
            pause = next(pauses) * uniform(0.75, 1.25)  # noqa: S311 - no secret
            if not _is_passing(answer, once) or monotonic() + pause >= deadline:
                break
            sleep(pause)
        if isinstance(answer, Response):
            return read_token_response(answer, [*secrets, *proven], {**self._hints(identity), **(hints or {})})
        raise ClientError(
            Reason.AUTHORIZATION_SERVER_UNREACHABLE,
            f"no token: {answer}",
            retry_after_seconds=answer.retry_after_seconds,
        )

    def _hints(self, identity: Identity) -> dict[str, str]:
        if self._method not in {"tls_client_auth", "self_signed_tls_client_auth"}:
            return {}
        question = f"is the certificate {identity.thumbprint} registered for client_id {self.client_id!r}?"
        return {"invalid_client": question}

    def _try(
        self, identity: Identity, form: Collection[tuple[str, str]], deadline: float
    ) -> tuple[Response | FetchError, tuple[str, ...]]:
        """The answer, and what of the request is secret."""
        try:
            url = self._given or self._find(deadline)
        except FetchError as error:
            error.sent = False
            return error.with_traceback(None), ()
        proof = prove(self._authentication, self.client_id, self.issuer)
        answer: Response | FetchError
        try:
            answer = fetch(
                url,
                context=identity.ssl_context(self._anchors.current().pem),
                method="POST",
                headers={"content-type": "application/x-www-form-urlencoded", **proof.headers},
                body=urlencode([*form, *proof.form.items()]).encode(),
                timeout_seconds=max(0.0, deadline - monotonic()),
                proxy=self._proxy,
            )
        except FetchError as error:
            answer = error.with_traceback(None)  # that would hold what was to be sent
        if _has_moved(answer) and self._known is not None:
            self._known = self._known._replace(until=0)
        return answer, proof.secrets

    def _find(self, deadline: float) -> str:
        """The URL of the endpoint that is for clients with certificates. No lock: two that need it at once both ask."""
        known = self._known
        if known is not None and elapsed() < known.until:
            return known.url
        left = max(0.0, deadline - monotonic())
        try:
            context = client_context(self._anchors.current().pem)  # without a certificate: it is for anyone to read
            metadata = discover(
                self.issuer,
                context=context.freeze(),
                address=self._address,
                allowed_hosts=self._allowed_hosts,
                timeout_seconds=left if known is None else left / 2,
                proxy=self._proxy,
            )
            found = _Known(metadata.mutual_tls_url("token_endpoint"), elapsed() + _METADATA_SECONDS)
        except FetchError as error:
            if known is None:
                raise
            _log.warning(
                "the metadata of %s is not to be had, and what it said before counts on: %s", self.issuer, error
            )
            found = known._replace(until=elapsed() + _STALE_METADATA_SECONDS)
        else:
            self._warn_of(metadata)
        self._known = found
        return found.url

    def _warn_of(self, metadata: ServerMetadata) -> None:
        """Once; many servers are better than their metadata."""
        doubts: list[str] = []
        if metadata.get("tls_client_certificate_bound_access_tokens") is not True:
            doubts.append("that its tokens are bound to certificates (tls_client_certificate_bound_access_tokens)")
        methods = metadata.get("token_endpoint_auth_methods_supported")
        if isinstance(methods, list) and self._method not in methods:
            doubts.append(f"that it takes {self._method} (token_endpoint_auth_methods_supported)")
        if doubts and not self._warned:
            self._warned = True
            _log.warning("the metadata of %s does not say %s", self.issuer, ", nor ".join(doubts))


def _is_passing(answer: Response | FetchError, once: bool) -> bool:
    """Whether the same request may fare better at once."""
    if isinstance(answer, FetchError):
        unsaid = answer.status in _PASSING and answer.retry_after_seconds is None
        return (answer.broken_off or unsaid) and not (once and answer.sent)
    return answer.status in _PASSING and "retry-after" not in answer.headers and not once


def _has_moved(answer: Response | FetchError) -> bool:
    """Whether the endpoint may be elsewhere by now."""
    return answer.status is None or 300 <= answer.status < 400 or answer.status in {404, 405, 410}
