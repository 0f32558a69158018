"""The one JSON decoder for what others wrote: tokens, and documents that are fetched.

Two parsers must not read one text as two things: duplicate member names, at any depth, NaN and Infinity, and numbers
that no float can hold are refused.
"""

from __future__ import annotations

from json import JSONDecoder
from typing import Any, NoReturn


__all__ = ["STRICT"]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # RFC 7519 §4: "The Claim Names within a JWT Claims Set MUST be unique". Two parsers would read two cnf as two.
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate member")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError("a number that no float can hold")
    return number


#: Raises ValueError, or RecursionError; a `JSONDecodeError` quotes the input.
STRICT = JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite)
