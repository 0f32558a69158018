"""What else is wrong with a token, and with its certificate's dates, for `tokenbind explain`. Pure.

Operator-only, and never a way to accept: `TokenVerifier` decides; what stands here finds words, and may find more than
its first refusal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from ...errors import InvalidToken, Reason
from ...tokens import AccessTokenProfile, KeySet
from ...tokens.algorithms import ALGORITHMS
from ...tokens.compact import read_base64url
from .findings import Finding, shown
from .known_certificates import KnownCertificate
from .lenient_token import LenientToken
from .token_kinds import profile_findings


__all__ = ["Expected", "certificate_findings", "token_findings"]

_LATEST = 253_402_300_799  # the last second that a datetime can hold
_LEEWAY_SECONDS = 10
_LONGEST_LIFETIME_SECONDS = 86_400
_CLOCKS = "this machine's clock or the issuer's is off"


class Expected(NamedTuple):
    """What the operator says the token must be like; None is not looked at. `now` is in seconds since the epoch."""

    jwks: Mapping[str, Any] | None
    issuer: str | None
    audience: str | None
    algorithms: frozenset[str]
    profile: AccessTokenProfile
    now: float


def token_findings(token: LenientToken, expected: Expected) -> Iterator[Finding]:
    """Everything but the form and the binding, as far as the token can be read."""
    header, claims = token.header, token.claims
    if header is None or claims is None:
        return
    yield from profile_findings(header, claims, expected.profile)
    yield from _header(header, expected.algorithms)
    if expected.jwks is not None:
        yield from _signature(token.text, header, expected.jwks)
    yield from _names(claims, expected)
    yield from _clock(claims, expected.now)


def certificate_findings(leaf: KnownCertificate, now: float) -> Iterator[Finding]:
    """The dates of the certificate, at which the binding does not look."""
    do = "Give the client a certificate that is valid: a binding does not look at its dates, but TLS does."
    if leaf.not_after is not None and leaf.not_after.timestamp() <= now:
        ago = _duration(now - leaf.not_after.timestamp())
        yield Finding("certificate_expired", f"The certificate expired {ago} ago ({_date(leaf.not_after)}).", do)
    if leaf.not_before is not None and leaf.not_before.timestamp() > now:
        ahead = _duration(leaf.not_before.timestamp() - now)
        what = f"The certificate becomes valid in {ahead} ({_date(leaf.not_before)})."
        yield Finding("certificate_not_yet_valid", what, do)


def _header(header: Mapping[str, Any], algorithms: frozenset[str]) -> Iterator[Finding]:
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        what = f"The token's alg is {shown(algorithm)}, which is never accepted."
        do = "Let the issuer sign with ES256, PS256 or EdDSA. If it does, the token is forged."
        yield Finding("algorithm_refused", what, do)
    elif algorithm not in algorithms:
        what = f"The token is signed with {algorithm}; enabled are {', '.join(sorted(algorithms))}."
        do = f'If the issuer means it, give the verifier algorithms=("{algorithm}",), and this command --algorithm.'
        yield Finding("algorithm_not_enabled", what, do)
    if "crit" in header or "b64" in header:
        do = "The issuer must do without: no extension of JWS is supported."
        yield Finding("critical_header_refused", "The token's header has crit or b64.", do)


def _signature(text: str, header: Mapping[str, Any], jwks: Mapping[str, Any]) -> Iterator[Finding]:
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(kid, (str, type(None))):
        what = f"The token's kid is {shown(kid)}, and no text: no key can be found by it."
        yield Finding("key_unknown", what, "The issuer must write a text there; or the token is forged.")
        return
    if not isinstance(algorithm, str):
        return  # said already
    signing_input, _, signature = text.rpartition(".")
    try:
        key = KeySet.from_jwks(jwks).find(kid, algorithm)
        key.verify(read_base64url(signature.encode("ascii", "replace")), signing_input.encode("ascii", "replace"))
    except InvalidToken as error:
        yield from _unverified(error, kid, algorithm, jwks["keys"])


def _unverified(
    error: InvalidToken, kid: str | None, algorithm: str, keys: list[Mapping[str, Any]]
) -> Iterator[Finding]:
    if error.reason is Reason.SIGNATURE_INVALID:
        what = f"The signature is not that of the key {shown(kid)} in the JWK Set."
        do = "The token was changed or forged, or the JWK Set is of another issuer or out of date: load it anew."
        yield Finding("signature_invalid", what, do)
    elif error.reason is Reason.KEY_UNKNOWN:
        kids = ", ".join(shown(key.get("kid")) for key in keys[:4]) + ", ..." * (len(keys) > 4)
        named = "names no key (kid)" if kid is None else f"names the key {shown(kid)}"
        what = f"The token {named}; the JWK Set has {kids}, and none that fits."
        yield Finding("key_unknown", what, "Load the issuer's JWK Set anew, and see that it is this issuer's.")
    elif error.reason is Reason.ALGORITHM_REFUSED:
        key = next(key for key in keys if key.get("kid") == kid)
        of = key.get("alg") or f"{key.get('kty')} {key.get('crv', '')}".strip()
        what = f"The token's alg is {shown(algorithm)}, but its key {shown(kid)} is for {shown(of)}."
        do = "The issuer must sign with the algorithm that its JWK Set names; or the token is forged."
        yield Finding("key_of_another_algorithm", what, do)


def _names(claims: Mapping[str, Any], expected: Expected) -> Iterator[Finding]:
    issuer, audience = claims.get("iss"), claims.get("aud")
    if expected.issuer is not None and issuer != expected.issuer and "iss" in claims:
        what = f"The token's iss is {shown(issuer)}, not {shown(expected.issuer)}{_hint([issuer], expected.issuer)}."
        yield Finding(
            "issuer_mismatch", what, "Set issuer= to the very text of iss, if this is the issuer that you mean."
        )
    audiences = audience if isinstance(audience, list) else [audience]
    if expected.audience is not None and expected.audience not in audiences and "aud" in claims:
        what = f"The token's aud is {shown(audience)}, without {shown(expected.audience)}"
        do = "The token is for another API: the client asks for one for this, or audience= has the wrong name."
        yield Finding("audience_mismatch", f"{what}{_hint(audiences, expected.audience)}.", do)


def _hint(values: list[Any], expected: str) -> str:
    for value in values:
        if isinstance(value, str) and value.rstrip("/") == expected.rstrip("/"):
            return ": the slash at the end differs"
        if isinstance(value, str) and value.casefold() == expected.casefold():
            return ": capital and small letters differ"
    return ""


def _clock(claims: Mapping[str, Any], now: float) -> Iterator[Finding]:
    for name in ("exp", "iat", "nbf"):
        if name in claims and _time(claims, name) is None:
            milliseconds = type(claims[name]) is int and 0 <= claims[name] // 1000 <= _LATEST
            what = f"The token's {name} is no time in seconds since 1970{', but in milliseconds' * milliseconds}."
            yield Finding("claim_malformed", what, "The issuer must write a number of seconds (RFC 7519 §2).")
    expires_at, issued_at, not_before = (_time(claims, name) for name in ("exp", "iat", "nbf"))
    if expires_at is not None and expires_at <= now:
        do = f"Get a new token. If it is new, {_CLOCKS}."
        yield Finding("token_expired", f"The token expired {_duration(now - expires_at)} ago.", do)
    for name, moment in (("iat", issued_at), ("nbf", not_before)):
        if moment is not None and moment > now + _LEEWAY_SECONDS:
            what = f"The token's {name} lies {_duration(moment - now)} in the future."
            yield Finding("token_not_yet_valid", what, f"Compare the clocks: {_CLOCKS}.")
    if expires_at is not None and issued_at is not None and expires_at - issued_at > _LONGEST_LIFETIME_SECONDS:
        lifetime = _duration(expires_at - issued_at)
        what = f"The token lives for {lifetime}; {_LONGEST_LIFETIME_SECONDS} seconds are the limit."
        do = "Let the issuer give shorter tokens, or give the verifier max_lifetime_seconds=."
        yield Finding("token_lifetime_refused", what, do)


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    value: Any = claims.get(name)
    return value if type(value) in (int, float) and 0 <= value <= _LATEST else None


def _duration(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def _date(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
