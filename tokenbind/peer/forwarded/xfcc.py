"""X-Forwarded-Client-Cert, as Envoy and Istio write it.

::

    Hash=<hex SHA-256>;Cert="<percent-encoded PEM>";Chain="<the same, leaf first>";Subject="...";URI=...;DNS=...

One element for each hop, with commas between. Envoy neither quotes nor escapes the URIs and DNS names, so whoever
chooses the subjectAltName of a certificate chooses what stands there, commas and semicolons too. Hence:

* the number of elements must be the number of hops, exactly, so that nobody can add one;
* ``Hash`` is the first key after any ``By``, and there is one, so that nothing that comes later can stand for it;
* ``Cert`` and ``Chain`` count only if they are the certificate of that hash.
"""

from __future__ import annotations

import re
from typing import TypeAlias

from ...binding.pem import malformed
from ...binding.thumbprint import thumbprint_of_der
from . import percent_pem
from .digest import OF_NOTHING, read_hex


__all__ = ["read"]

_Element: TypeAlias = list[tuple[bytes, bytes]]

# A key and its value, in quotes or not; then what comes next.
_pair = re.compile(
    rb"(?P<key>By|Hash|Cert|Chain|Subject|URI|DNS)="
    rb'(?:"(?P<quoted>(?:[ !#-\[\]-~\x80-\xff]|\\[ -~])*+)"|(?P<bare>[!#-+\--:<-~]*+))(?P<next>[;,]|\Z)',
    re.IGNORECASE,
).match

_ONCE = (b"hash", b"cert", b"chain", b"subject")


def read(value: bytes, hops: int) -> tuple[bytes, ...] | str | None:
    """The certificate of the element that is so many *hops* from the end, or its thumbprint; None with fewer elements.

    Fewer: the client had no certificate, and only proxies have added theirs.
    """
    elements = _elements(value)
    if len(elements) > hops:
        raise malformed("X-Forwarded-Client-Cert has more elements than there are hops= (a name with a comma in it?)")
    certificates = [_certificate(dict(element), _hash(element)) for element in elements]
    return certificates[0] if len(elements) == hops else None


def _elements(value: bytes) -> list[_Element]:
    elements: list[_Element] = [[]]
    position = 0
    while True:
        pair = _pair(value, position)
        if pair is None:
            raise malformed("X-Forwarded-Client-Cert is not as Envoy writes it")
        bare = pair["bare"]
        elements[-1].append((pair["key"].lower(), pair["quoted"] if bare is None else bare))
        if not pair["next"]:
            return elements
        if pair["next"] == b",":
            elements.append([])
        position = pair.end()


def _hash(element: _Element) -> str:
    keys = [key for key, _ in element]
    if any(keys.count(key) > 1 for key in _ONCE):
        raise malformed("an element of X-Forwarded-Client-Cert has a key twice (a name with a semicolon in it?)")
    first = next((pair for pair in element if pair[0] != b"by"), (b"", b""))
    if first[0] != b"hash":
        raise malformed("an element of X-Forwarded-Client-Cert does not begin with its Hash")
    thumbprint = read_hex(first[1])
    if thumbprint == OF_NOTHING or len(first[1]) != 64:
        raise malformed("the Hash in X-Forwarded-Client-Cert is that of nothing, or has colons in it")
    return thumbprint


def _certificate(values: dict[bytes, bytes], thumbprint: str) -> tuple[bytes, ...] | str:
    chain: tuple[bytes, ...] = ()
    for key, read_pem in ((b"cert", percent_pem.read), (b"chain", percent_pem.read_chain)):
        if key in values:
            chain = read_pem(values[key])
            if thumbprint_of_der(chain[0]) != thumbprint:
                raise malformed("the certificate in X-Forwarded-Client-Cert is not the one of its Hash")
    return chain or thumbprint
