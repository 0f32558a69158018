"""What attackers send: a certificate as the proxy would write it, under its header's name and those that are alike."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple


__all__ = ["Forgery", "forgeries", "raw_forgeries"]


class Forgery(NamedTuple):
    """An attack.

    Attributes:
        name: What it is.
        fields: The header fields of it.
    """

    name: str
    fields: list[tuple[str, str]]


def forgeries(header: str, value: str) -> Iterator[Forgery]:
    """Fields that name another client's certificate: *value*."""
    own = (header, value)
    yield Forgery("the header", [own])
    yield Forgery("the header in capitals", [(header.upper(), value)])
    yield Forgery("the header in small letters", [(header.lower(), value)])
    yield Forgery("the header twice", [own, own])
    yield Forgery("the header with a list", [(header, f"{value}, {value}")])
    for twin in _twins(header):
        yield Forgery(f"its twin {twin}", [(twin, value)])
        yield Forgery(f"its twin {twin} and Connection", [(twin, value), ("Connection", header)])
        yield Forgery(f"the header and its twin {twin}", [own, (twin, value)])
    yield Forgery("Connection alone", [("Connection", header)])
    yield Forgery("the header and Connection", [own, ("Connection", f"keep-alive, {header.lower()}")])
    yield Forgery("two Connections", [own, ("Connection", "close"), ("Connection", header.upper())])
    yield Forgery("all at once", [own, *((twin, value) for twin in _twins(header)), ("Connection", f"close, {header}")])
    yield Forgery("an address", [own, ("X-Forwarded-For", "10.0.0.1:4711"), ("X-Real-IP", "127.0.0.1")])
    yield Forgery("Forwarded", [own, ("Forwarded", "for=127.0.0.1;host=api.example;proto=https")])
    yield Forgery("nothing, as Apache writes it", [(header, "(null)")])
    yield Forgery("nothing, as Caddy writes it", [(header, "::")])
    yield Forgery("nothing", [(header, "")])


def raw_forgeries(header: str, value: str) -> Iterator[tuple[str, str]]:
    """Bytes that some programs read in one way and some in another: a name, and header lines."""
    field = f"{header}: {value}\r\n"
    yield "a space before the colon", f"{header} : {value}\r\n"
    yield "a line that ends in a bare LF", f"X-A: a\n{field}"
    yield "a bare CR", f"X-A: a\r{field}"
    yield "a folded line", f"X-A: a\r\n {field}"
    yield "a tab before the name", f"X-A: a\r\n\t{field}"
    yield "a NUL in the name", f"{header}\0: {value}\r\n"


def _twins(header: str) -> list[str]:
    """The names that WSGI servers make one of with *header*."""
    words = header.split("-")
    twins = []
    for signs in product("-_", repeat=len(words) - 1):
        twin = words[0] + "".join(sign + word for sign, word in zip(signs, words[1:], strict=True))
        if "_" in twin:
            twins.append(twin)
    return twins
