"""How a JWK Set is fetched: from its URL, or from where the issuer's metadata says that it is."""

from __future__ import annotations

from collections.abc import Callable, Collection
from time import monotonic
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError


if TYPE_CHECKING:
    from ..transport.tls_context import Trust

__all__ = ["jwks_fetcher"]

_MAX_BYTES = 512 * 1024  # a hundred keys of RSA-4096 with a chain of certificates each


def jwks_fetcher(
    url: str,
    ca: Trust,
    timeout_seconds: float,
    proxy: str | None,
    discover: bool,
    address: str | None,
    allowed_hosts: Collection[str],
) -> Callable[[], dict[str, Any]]:
    """A function that fetches the JWK Set; raises ConfigurationError here for what cannot be right."""
    from .. import transport
    from ..transport.tls_context import client_context

    transport.require_proxy(proxy)
    if discover:
        transport.require_issuer(url)
        transport.require_address(address)
        transport.require_allowed_hosts(allowed_hosts)
    else:
        transport.require_url("url", url)
        if address is not None or allowed_hosts:
            raise ConfigurationError("address= and allowed_hosts= are about metadata: they need discover=True")
    client_context(ca)

    def fetch() -> dict[str, Any]:
        started, at = monotonic(), url
        context = client_context(ca).freeze()  # anew, because the file is renewed too
        if discover:
            at = transport.discover(
                url,
                context=context,
                address=address,
                allowed_hosts=allowed_hosts,
                timeout_seconds=timeout_seconds,
                proxy=proxy,
            ).url("jwks_uri")
        left = max(0.0, timeout_seconds - (monotonic() - started))
        return transport.fetch_json(at, context=context, timeout_seconds=left, max_bytes=_MAX_BYTES, proxy=proxy)

    return fetch
