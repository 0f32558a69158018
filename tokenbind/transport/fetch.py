"""One bounded HTTPS request: no redirects, no content encodings, a cap on bytes and on the whole time."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from http.client import HTTPException
import re
import socket
import ssl
from typing import Any, NamedTuple

import urllib3

from ..errors import TokenBindError
from .connection import BoundedConnection
from .origin import read_https_url
from .proxy import require_proxy
from .retry_after import read_retry_after
from .strict_json import read_json_object


__all__ = ["FetchError", "Response", "fetch", "fetch_json", "shown"]

_NO_ANSWER = (
    urllib3.exceptions.HTTPError,
    HTTPException,
    OSError,
    ValueError,  # http.client's and ssl's word for much that they will not send or read
    RuntimeError,  # no thread can be started
)
# Refused, reset, or closed without a word; once a part of the body has come, urllib3 has another name for it.
_BROKEN_OFF = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)


class FetchError(TokenBindError):
    """There is no usable answer. The message names the address and what came instead, nothing that was sent.

    Attributes:
        status: The HTTP status of the answer, or None if none came.
        sent: Whether the server may have read the request, or a part of it.
        broken_off: Whether the connection was refused, or ended before an answer: the next one may fare better.
        retry_after_seconds: How long a server that is busy asked to be left alone, or None.
    """

    def __init__(
        self,
        message: str,
        status: int | None = None,
        *,
        sent: bool = True,
        broken_off: bool = False,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.sent = sent
        self.broken_off = broken_off
        self.retry_after_seconds = retry_after_seconds


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
    proxy: str | None = None,
) -> Response:
    """Send one request and read its answer.

    Does NOT verify anything in the answer, not even its status; redirects are answers like others. The environment has
    no say in where the request goes.

    Args:
        url: An https URL; see `read_https_url` for the spelling. Its fragment is not sent.
        context: Verifies the server, behind a proxy too, and may present a client certificate.
        timeout_seconds: For everything: connecting, the proxy, the handshake, request and answer.
        max_bytes: How long the body may be, without its transfer coding.
        proxy: ``http://[user:password@]host:port`` of a proxy that knows CONNECT (RFC 9110 §9.3.6).

    Raises:
        FetchError: if the URL is not https, or there is no complete answer within the bounds.
        ConfigurationError: if *proxy* cannot be right; `require_proxy` finds that out beforehand.
    """
    address, through = read_https_url(url), require_proxy(proxy)
    if address is None:
        raise FetchError(f"refusing to fetch {shown(url)}: it is not https, or not a URL in plain ASCII")
    fields = {"accept": "application/json", "accept-encoding": "identity", **(headers or {})}
    target = address.target if address.target.startswith("/") else f"/{address.target}"
    response, failure, broken_off = None, "", False
    with BoundedConnection(address, context=context, timeout_seconds=timeout_seconds, proxy=through) as connection:
        try:
            connection.request(method, target, body=body, headers=fields, preload_content=False, decode_content=False)
            with closing(connection.getresponse()) as answer:
                response = Response(answer.status, answer.headers, _read_body(url, answer, max_bytes))
        except _NO_ANSWER as error:
            broken_off = isinstance(error, _BROKEN_OFF)
            # With TLS 1.3, a server refuses our certificate when we have finished, and some do so without a word.
            asked = broken_off and connection.secured and getattr(context, "presents_certificate", False)
            kind = f"{type(error).__name__} ({_CLOSED})" if asked else _kind_of(error, through is not None)
            failure = f"cannot be reached{' through the proxy' if through else ''}: {kind}"
        if connection.late:
            broken_off = False
            response, failure = None, f"did not answer within {timeout_seconds:.3g} seconds"
    # Raised here, and not in the handler: the error in there holds the socket, and may quote what was to be sent.
    if response is None:
        raise FetchError(f"{shown(url)} {failure}", sent=connection.secured, broken_off=broken_off)
    return response


def fetch_json(
    url: str, *, context: ssl.SSLContext, timeout_seconds: float, max_bytes: int, proxy: str | None = None
) -> dict[str, Any]:
    """Get the JSON object at *url*; arguments as for `fetch`.

    Does NOT verify what is in the object, nor the content type. The object is one of strict JSON: see
    `read_json_object`.

    Raises:
        FetchError: if the answer is not 200 with one JSON object, or there is none within the bounds.
        ConfigurationError: if *proxy* cannot be right.
    """
    status, headers, body = fetch(
        url, context=context, timeout_seconds=timeout_seconds, max_bytes=max_bytes, proxy=proxy
    )
    if status != 200:
        why = " (redirects are not followed)" if 300 <= status < 400 else ""
        pause = read_retry_after(status, headers)
        raise FetchError(f"{shown(url)} answered {status}{why}", status, retry_after_seconds=pause)
    try:
        return read_json_object(body)
    except ValueError as error:
        html = "html" in headers.get("content-type", "").lower() or body[:200].lstrip()[:1] == b"<"
        what = "HTML, not JSON: is this a login page?" if html else error
        raise FetchError(f"{shown(url)} answered 200 with {what}", status) from None


def shown(url: object) -> str:
    """*url* for a message: without query, fragment and userinfo, in printable ASCII and not long."""
    read = read_https_url(url)
    if read is not None:
        text = str(read._replace(target=read.target.partition("?")[0]))
    else:  # what stands before an @ may be a password, with a ? or # in it
        text = ascii(re.split(r"[?#]", str(url).rpartition("@")[2], maxsplit=1)[0])
    return text if len(text) <= 200 else f"{text[:200]}..."


def _read_body(url: str, answer: urllib3.BaseHTTPResponse, max_bytes: int) -> bytes:
    status, pause = answer.status, read_retry_after(answer.status, answer.headers)
    codings = answer.headers.get("content-encoding", "identity"), answer.headers.get("transfer-encoding", "chunked")
    if tuple(coding.strip().lower() for coding in codings) != ("identity", "chunked"):
        problem = f"{shown(url)} answered {status} with an encoding, though asked not to"
        raise FetchError(problem, status, retry_after_seconds=pause)
    data = bytearray()
    # read() ends early without an error, and lets a chunk of size -1 fill the memory.
    while more := answer.read1(max_bytes + 1 - len(data)):
        data += more
        if len(data) > max_bytes:
            problem = f"{shown(url)} answered {status} with more than {max_bytes} bytes"
            raise FetchError(problem, status, retry_after_seconds=pause)
    return bytes(data)


def _kind_of(error: Exception, through_proxy: bool) -> str:
    refused = re.match(r"Tunnel connection failed: (\d{3}) ", str(error))
    if refused:
        return f"it answered {refused[1]}"
    if reason := getattr(error, "verify_message", ""):
        hint = "ca= says who vouches for that server"
        if through_proxy:
            hint = f"if the proxy looks inside TLS, nothing can be bound: have this host exempt; or else {hint}"
        return f"{type(error).__name__} ({reason}); {hint}"
    if _is_about_us(str(getattr(error, "reason", ""))):
        return f"{type(error).__name__} (it does not take our certificate: {getattr(error, 'reason', '')})"
    return f"{type(error).__name__}{next((f' ({hint})' for kind, hint in _HINTS if isinstance(error, kind)), '')}"


_CLOSED = "it closed the connection: if it asks for certificates, does it take ours (its CA, its dates)?"
# Alerts of RFC 8446 §6.2, as OpenSSL names them.
_is_about_us = re.compile(r"\w*ALERT_(?:\w*CERTIFICATE\w*|UNKNOWN_CA)").fullmatch
_HINTS: tuple[tuple[type[Exception], str], ...] = (
    (ConnectionRefusedError, "nothing listens there"),
    (socket.gaierror, "that host is not known"),
    (ssl.SSLError, "is it an https port?"),
)
