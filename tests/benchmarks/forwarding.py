"""Thumbprints of certificates that a proxy forwards; every value is an object of its own, as a server makes them."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator
import ssl
from typing import Any
from urllib.parse import quote

from measure import Case
from workload import Workload

from tokenbind.binding.thumbprint import thumbprint_of_der
from tokenbind.peer import Trust, forwarded
from tokenbind.peer.forwarded import byte_sequence, percent_pem


__all__ = ["forwarded_cases"]

# What a request has besides.
_OTHERS = [
    (b"host", b"api.example"),
    (b"user-agent", b"python-requests/2.32.3"),
    (b"accept-encoding", b"gzip, deflate"),
    (b"accept", b"*/*"),
    (b"connection", b"keep-alive"),
    (b"x-forwarded-for", b"192.0.2.1"),
]


def forwarded_cases(workload: Workload) -> dict[str, Case]:
    """From the value of a header, and from a whole request."""
    der, trust = workload.der, Trust.addresses("192.0.2.7")
    source, again = (forwarded.nginx(header="X-K7Qd2-Cert", trusted_proxy=trust) for _ in range(2))
    remembered = again._by_value[None]
    remembered[_percent(der)]
    return {
        "thumbprint RFC 9440": Case(_thumbprint_by(byte_sequence.read), _each(der, _byte_sequence)),
        "thumbprint nginx": Case(_thumbprint_by(percent_pem.read), _each(der, _percent)),
        "header again": Case(remembered.__getitem__, _same(_percent(der))),
        "scope, nginx": Case(source.from_scope, _scopes(_each(der, _percent))),
        "scope, nginx, again": Case(again.from_scope, _scopes(_same(_percent(der)))),
    }


def _thumbprint_by(read: Callable[[bytes], tuple[bytes, ...]]) -> Callable[[bytes], str]:
    return lambda value: thumbprint_of_der(read(value)[0])


def _byte_sequence(der: bytes) -> bytes:
    return b":%b:" % b64encode(der)


def _percent(der: bytes) -> bytes:
    return quote(ssl.DER_cert_to_PEM_cert(der), safe="").encode()


def _each(der: bytes, write: Callable[[bytes], bytes]) -> Iterator[tuple[bytes]]:
    """Of another certificate each time, as long as the first."""
    number = 0
    while True:
        number += 1
        yield (write(der[:-8] + number.to_bytes(8, "big")),)


def _same(value: bytes) -> Iterator[tuple[bytes]]:
    while True:
        yield (bytes(bytearray(value)),)


def _scopes(values: Iterator[tuple[bytes]]) -> Iterator[tuple[dict[str, Any]]]:
    for (value,) in values:
        own = {"ssl_object": None, "socket_peer": ("192.0.2.7", 4711), "socket_name": ("192.0.2.8", 8000)}
        headers = [*_OTHERS, (b"x-k7qd2-cert", value)]
        yield ({"type": "http", "scheme": "http", "headers": headers, "extensions": {"tokenbind": own}},)
