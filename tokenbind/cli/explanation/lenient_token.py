"""Read a token that the strict reader refuses, for `tokenbind explain`, and say why it does. Pure.

Operator-only: what is read here may be two things to two readers, so nothing is ever accepted on the strength of it.
"""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Iterator
import json
import re
from typing import Any, NamedTuple

from ...errors import InvalidToken
from ...tokens.compact import read_base64url, read_compact, read_json_object
from .findings import Finding, sentence


__all__ = ["LenientToken", "read_token"]

_LONGEST = 16_384  # bytes: what the strict reader takes
_QUOTES = "\"'`"
_MARKS = f" \t\r\n{_QUOTES}"
_SCHEME = re.compile(r"(?:authorization\s*:\s*)?(?:bearer|dpop|mtls_pop)\s+", re.IGNORECASE)
_STANDARD_ALPHABET = str.maketrans("-_", "+/")


class LenientToken(NamedTuple):
    """What a token seems to hold, without what stands around it, and what is wrong with its form.

    `header` and `claims` are None if they cannot be read; `text` is the token without what stands around it.
    """

    text: str
    header: dict[str, Any] | None
    claims: dict[str, Any] | None
    findings: tuple[Finding, ...]


def read_token(text: str) -> LenientToken:
    """Read any text. Does NOT verify anything."""
    if len(text) > _LONGEST:
        do = "Look at what the client sends. A token as long as that has too many claims for a header."
        too_long = Finding("token_too_long", f"The token has {len(text)} characters; {_LONGEST} are the limit.", do)
        return LenientToken("", None, None, (too_long,))
    core, around = _peel(text)
    segments = core.split(".")
    header = _json_object(segments[0])
    claims = _json_object(segments[1]) if header is not None and len(segments) == 3 else None
    form = next(_wrong_form(segments, header), None) or _not_strict(core)
    return LenientToken(core, header, claims, around if form is None else (*around, form))


def _peel(text: str) -> tuple[str, tuple[Finding, ...]]:
    """Take away what stands around and between the token's characters."""
    do = "The token alone belongs there: see how the client, or a script on its way, cuts it out."
    front = text[: len(text) - len(text.lstrip(_MARKS))]
    scheme = _SCHEME.match(text, len(front))
    rest = text[scheme.end() if scheme else len(front) :]
    bare = rest.strip(_MARKS)
    core = "".join(bare.split())
    quotes = sum((front + rest).count(quote) - bare.count(quote) for quote in _QUOTES)
    found = []
    if scheme:
        found.append(Finding("token_has_scheme", "In front of the token stands an Authorization scheme.", do))
    if quotes:
        found.append(Finding("token_quoted", "The token stands between quotes.", do))
    if len(core) + quotes != len(front) + len(rest):
        found.append(Finding("token_white_space", "The token has white space or line breaks around or in it.", do))
    return core, tuple(found)


def _wrong_form(segments: list[str], header: dict[str, Any] | None) -> Iterator[Finding]:
    if segments == [""]:
        yield Finding("token_missing", "The token is empty.", "See where the client takes it from.")
    if len(segments) == 5:
        do = "Let the issuer give signed tokens; encrypted ones are not supported."
        yield Finding("token_encrypted", "The token has five segments: it is encrypted (JWE).", do)
    if len(segments) == 2 and header is not None:
        do = "See what cuts it: the third segment, the signature, is missing."
        yield Finding("token_cut_off", "The token is cut off: it has two segments of three.", do)
    if len(segments) != 3 or header is None:
        what = f"The token is opaque: {'its header is no JSON' if len(segments) == 3 else 'a JWT has three segments'}."
        do = "Let the issuer give JWTs, or ask its introspection endpoint for the cnf (RFC 8705 §3.2)."
        yield Finding("token_opaque", what, do)


def _not_strict(core: str) -> Finding | None:
    """What the strict reader says."""
    try:
        compact = read_compact(core.encode("ascii", "replace"))
        for segment in (compact.header, compact.payload):
            read_json_object(read_base64url(segment))
        read_base64url(compact.signature)
    except InvalidToken as error:
        do = "Look at the token where it is minted, and whether it arrives whole."
        return Finding("token_malformed", sentence(error), do)
    return None


def _json_object(segment: str) -> dict[str, Any] | None:
    try:
        value = json.loads(a2b_base64(f"{segment.rstrip('=').translate(_STANDARD_ALPHABET)}=="))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
