"""What `tokenbind explain` says: a stable word, a sentence of what is wrong, and one of what to do."""

from __future__ import annotations

from typing import NamedTuple

from ...errors import TokenBindError


__all__ = ["Finding", "bounded", "sentence", "shown"]

_LONGEST_SHOWN = 60


class Finding(NamedTuple):
    """Something that is wrong. Holds no token, and of its claims only what has been through `shown`."""

    id: str
    what: str
    do: str


def bounded(text: str, longest: int = _LONGEST_SHOWN) -> str:
    """Somebody else's text in printable ASCII, and never long."""
    text = ascii(text)[1:-1]
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def shown(value: object) -> str:
    """Somebody else's value the same way, between quotes if it is text."""
    return f'"{bounded(value)}"' if isinstance(value, str) else bounded(f"{value!s}")


def sentence(error: TokenBindError) -> str:
    """The message of an error as a sentence."""
    message = str(error)
    return f"{message[:1].upper()}{message[1:]}."
