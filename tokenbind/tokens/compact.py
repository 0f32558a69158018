"""The strict reader of compact JWTs (RFC 7515 §3.1, RFC 7519 §7.2), and of the JSON in them.

One signed token has one spelling here. What lenient readers let through, and this one refuses: padding, characters
outside the base64url alphabet, non-zero spare bits, duplicate member names at any depth, UTF-16, byte order marks,
lone surrogates, NaN and Infinity. Nothing here checks a signature.
"""

from __future__ import annotations

from binascii import Error as Base64Error, a2b_base64, b2a_base64
from collections.abc import Callable
from typing import Any, NamedTuple

from ..binding.strict_json import STRICT
from ..errors import InvalidToken, Reason


__all__ = ["CompactToken", "Header", "base64url", "read_base64url", "read_compact", "read_header", "read_json_object"]

#: A token of more bytes than this is refused before anything of it is looked at.
MAX_TOKEN_BYTES = 16_384
_MAX_HEADER_BYTES = 2048

# Claims are read again wherever the application asks for them, and must not exhaust the stack there.
_MAX_DEPTH = 32

_JSON_SPACE = " \t\r\n"
_ENCODE = bytes.maketrans(b"+/", b"-_")
# Standard base64 of base64url; what is not in the base64url alphabet becomes "!", which a2b_base64 refuses.
_DECODE = bytes(
    {0x2D: 0x2B, 0x5F: 0x2F}.get(byte, byte if chr(byte).isascii() and chr(byte).isalnum() else 0x21)
    for byte in range(256)
)
# By the last character of a segment and its length modulo 4: its padding. The last character of 4n+2 carries 4 spare
# bits and that of 4n+3 carries 2, which must be zero; 4n+1 cannot be.
_PADDING = {
    (bytes([last]), rest): padding
    for rest, padding, permitted in ((0, b"", range(256)), (2, b"==", b"AQgw"), (3, b"=", b"AEIMQUYcgkosw048"))
    for last in permitted
}


class Header(NamedTuple):
    """The members of a JOSE header that matter; all others, such as ``jwk``, ``jku`` and ``x5u``, are ignored."""

    algorithm: str
    kid: str | None
    type: str | None


class CompactToken(NamedTuple):
    """The three segments of a compact JWT, still encoded."""

    header: bytes
    payload: bytes
    signature: bytes


def malformed(why: str) -> InvalidToken:
    return InvalidToken(Reason.TOKEN_MALFORMED, f"the token is malformed: {why}")


def base64url(data: bytes) -> bytes:
    """Encode without padding (RFC 7515 §2)."""
    return b2a_base64(data, newline=False).translate(_ENCODE, b"=")


def read_base64url(segment: bytes) -> bytes:
    """Decode the one canonical spelling, and no other.

    Raises:
        InvalidToken: ``token_malformed``.
    """
    try:
        return a2b_base64(segment.translate(_DECODE) + _PADDING[segment[-1:], len(segment) & 3], strict_mode=True)
    except (KeyError, Base64Error):
        raise _not_base64url() from None


def read_base64url_pair(one: bytes, other: bytes) -> tuple[bytes, bytes]:
    """Both decoded, each as by `read_base64url`: payload and signature are on the path of every token."""
    try:
        return (
            a2b_base64(one.translate(_DECODE) + _PADDING[one[-1:], len(one) & 3], strict_mode=True),
            a2b_base64(other.translate(_DECODE) + _PADDING[other[-1:], len(other) & 3], strict_mode=True),
        )
    except (KeyError, Base64Error):
        raise _not_base64url() from None


def _not_base64url() -> InvalidToken:
    return malformed("a segment is not base64url (RFC 7515 §2); nothing may be around the token")


def read_compact(token: bytes) -> CompactToken:
    """Take a token apart; nothing is decoded.

    Raises:
        InvalidToken: ``token_malformed``.
    """
    segments = token.split(b".", 3)
    if len(segments) != 3:
        raise wrong_number_of_segments()
    return CompactToken(*segments)


def wrong_number_of_segments() -> InvalidToken:
    # RFC 7516 §9: a JWE has five segments; encrypted tokens and the JSON serialization are not supported.
    return malformed("a compact JWS has exactly three segments")


def read_header(segment: bytes) -> Header:
    """Decode and check the JOSE header (RFC 7515 §4).

    Raises:
        InvalidToken: ``token_malformed`` or ``critical_header_refused``.
    """
    # Before a signature was checked, a stranger must not make us work. Real headers have some hundred bytes.
    if len(segment) > _MAX_HEADER_BYTES:
        raise malformed(f"its header is longer than {_MAX_HEADER_BYTES} bytes")
    data = read_base64url(segment)
    header = read_json_object(data if len(data) < 200 else _plain(data, 8))
    # RFC 7515 §4.1.11: "If any of the listed extension Header Parameters are not understood and supported by the
    # recipient, then the JWS is invalid." We support none, and an empty or malformed list is invalid by itself.
    if "crit" in header or "b64" in header:
        raise InvalidToken(
            Reason.CRITICAL_HEADER_REFUSED, "the token's header has crit or b64, which are not supported"
        )
    algorithm, kid, typ = header.get("alg"), header.get("kid"), header.get("typ")
    if type(algorithm) is not str:
        raise malformed("alg, kid and typ must be strings")
    if type(kid) is not str or type(typ) is not str:
        if type(kid) not in _TEXT_OR_ABSENT or type(typ) not in _TEXT_OR_ABSENT:
            raise malformed("alg, kid and typ must be strings")
        if ("kid" in header and kid is None) or ("typ" in header and typ is None):
            raise malformed("kid and typ must not be null")
    return Header(algorithm, kid, typ)


def read_unverified(payload: bytes) -> dict[str, Any]:
    """The claims of a payload segment whose signature nobody has checked yet: a stranger's word.

    Raises:
        InvalidToken: ``token_malformed``; also for more members than Keycloak gives to one with roles everywhere.
    """
    return read_json_object(_plain(read_base64url(payload), 256))


def _plain(data: bytes, most: int) -> bytes:
    """*data*, if there are at most *most* objects and lists in it, and eight times as many members."""
    if data.count(b"{") + data.count(b"[") > most or data.count(b",") > 8 * most:
        raise malformed("a part has too many members")
    return data


def read_json_object(data: bytes) -> dict[str, Any]:
    """Decode a JSON object from strict UTF-8.

    Raises:
        InvalidToken: ``token_malformed``.
    """
    value: Any = None
    try:
        text = data.decode()
        if text[:1] != "{":
            text = text.lstrip(_JSON_SPACE)
        value, end = _scan_json(text, 0)
        if end != len(text) and text[end:].strip(_JSON_SPACE):
            value = None
        elif "\\" in text:  # an escape can smuggle in a lone surrogate, which fails later, wherever it is encoded
            _refuse_lone_surrogates(value)
        # One object in another, such as cnf, is the usual case; to find that out takes a tenth of counting.
        nested = "[" in text or text.find("{", text.find("{", 1) + 1) > 0
    # ValueError: UTF-8, JSON, duplicates, integers of too many digits. StopIteration: there is no value at all.
    except (ValueError, RecursionError, StopIteration):
        value = nested = None
    # Raised here, and not in the handler: the error in there quotes the input, and would be this one's context.
    if type(value) is not dict or (nested and _depth(value) > _MAX_DEPTH):
        raise malformed("a part is not one strict JSON object")
    return value


def _depth(value: Any) -> int:
    """How deep containers are nested, without recursion."""
    depth, level = 0, [value]
    while level:
        depth += 1
        level = [
            item
            for container in level
            for item in (container.values() if type(container) is dict else container)
            if type(item) in (dict, list)
        ]
    return depth


def _refuse_lone_surrogates(value: object) -> None:
    if type(value) is str:
        value.encode()  # UnicodeEncodeError is a ValueError
    elif type(value) is list:
        for item in value:
            _refuse_lone_surrogates(item)
    elif type(value) is dict:
        for name, item in value.items():
            name.encode()
            _refuse_lone_surrogates(item)


_TEXT_OR_ABSENT = (str, type(None))
_scan_json: Callable[[str, int], tuple[Any, int]] = STRICT.scan_once  # type: ignore[attr-defined]
