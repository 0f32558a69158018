"""One bounded HTTPS request: no redirects, no proxies, no content encodings, a cap on bytes and on the whole time."""

from __future__ import annotations

from collections.abc import Mapping
import ssl
from time import monotonic
from typing import NamedTuple

import urllib3

from ..errors import TokenBindError


__all__ = ["FetchError", "Response", "fetch"]


class FetchError(TokenBindError):
    """There is no usable answer. The message names the address and the kind of failure, nothing that was sent."""


class Response(NamedTuple):
    """An answer, whatever its status. `headers` are looked up without case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def fetch(
    url: str,
    *,
    context: ssl.SSLContext,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout_seconds: float = 10,
    max_bytes: int = 65_536,
) -> Response:
    """Send one request and read its answer.

    Does NOT verify anything in the answer, not even its status; redirects are answers like others.

    Raises:
        FetchError: if the URL is not https, or there is no complete answer within the bounds.
    """
    if not url.startswith("https://"):
        raise FetchError(f"refusing to fetch {url!r}: it is not https")
    deadline = monotonic() + timeout_seconds
    try:
        with urllib3.PoolManager(ssl_context=context, retries=False, timeout=timeout_seconds) as pool:
            answer = pool.request(
                method,
                url,
                body=body,
                headers={"accept": "application/json", "accept-encoding": "identity", **(headers or {})},
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
            if answer.headers.get("content-encoding", "identity") != "identity":
                raise FetchError(f"{url} answered with a content encoding, though asked not to")
            data = b""
            while chunk := answer.read1(max_bytes + 1 - len(data)):
                data += chunk
                if len(data) > max_bytes:
                    raise FetchError(f"{url} answered with more than {max_bytes} bytes")
                if monotonic() > deadline:
                    raise FetchError(f"{url} did not finish its answer within {timeout_seconds:g} seconds")
            return Response(answer.status, answer.headers, data)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise FetchError(f"{url} cannot be reached: {type(error).__name__}") from None
