"""The claims of a token, judged (RFC 7519 §4.1, RFC 9068 §4). The signature was checked before."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from ..binding import Confirmation
from ..errors import ConfigurationError, InvalidToken, Reason
from .bound_token import VerifiedToken
from .compact import read_json_object
from .profile import AccessTokenProfile


__all__ = ["ClaimsPolicy", "claims_policy", "read_claims", "require_leeway"]

_LEEWAY_LIMIT_SECONDS = 60  # FAPI 2.0 §5.3.2.1-13: more than 60 seconds in the future "shall be rejected"
_NO_SCOPES: frozenset[str] = frozenset()
_LATEST = 253_402_300_799  # the last second that a datetime can hold


class ClaimsPolicy(NamedTuple):
    """What the claims are held against. Leeways and lifetimes are in seconds.

    `further_claims` are those that the profile requires, and that are not read for anything else.
    """

    issuer: str
    audience: frozenset[str]
    profile: AccessTokenProfile
    further_claims: frozenset[str]
    not_before_leeway: float
    max_lifetime: float


def claims_policy(
    issuer: str,
    audience: str | Collection[str],
    profile: AccessTokenProfile,
    not_before_leeway: float,
    max_lifetime: float,
) -> ClaimsPolicy:
    """Check what the caller has given, and put it together.

    Raises:
        ConfigurationError: if something cannot be right.
    """
    audiences = list(audience) if isinstance(audience, Collection) and not isinstance(audience, str) else [audience]
    if not issuer or not isinstance(issuer, str):
        raise ConfigurationError("issuer= must be the exact iss of the tokens, such as 'https://as.example'")
    if not audiences or not all(isinstance(name, str) and name for name in audiences):
        raise ConfigurationError("audience= must name this resource server, such as 'https://api.example'")
    if not isinstance(profile, AccessTokenProfile):
        raise ConfigurationError("profile= must be an AccessTokenProfile")
    require_leeway(not_before_leeway, "not_before_leeway_seconds=")
    if not isinstance(max_lifetime, (int, float)) or not max_lifetime > 0:
        raise ConfigurationError("max_lifetime_seconds= must be a positive number")
    further = profile.required_claims - {"sub", profile.client_claim, profile.token_id_claim}
    return ClaimsPolicy(issuer, frozenset(audiences), profile, further, not_before_leeway, max_lifetime)


def require_leeway(seconds: object, name: str) -> None:
    if not isinstance(seconds, (int, float)) or not 0 <= seconds <= _LEEWAY_LIMIT_SECONDS:
        raise ConfigurationError(f"{name} must be from 0 to {_LEEWAY_LIMIT_SECONDS}")


def read_claims(payload: bytes, policy: ClaimsPolicy, now: float) -> VerifiedToken:
    """Judge every claim but two that are judged at every call: that ``exp`` lies ahead, and ``cnf``.

    Raises:
        InvalidToken: for the first claim that is not as it must be.
    """
    claims = read_json_object(payload)
    get, profile = claims.get, policy.profile
    # RFC 9068 §4: "The issuer identifier for the authorization server [...] MUST exactly match the value of the
    # 'iss' claim."
    issuer, audience = get("iss"), get("aud")
    if issuer != policy.issuer:
        raise _refused_issuer(claims)
    audience = (audience,) if type(audience) is str else _audience(claims)
    if policy.audience.isdisjoint(audience):
        raise InvalidToken(Reason.AUDIENCE_MISMATCH, "aud does not name this resource server")
    expires_at, issued_at = _date(claims, "exp"), _date(claims, "iat")
    if max(issued_at, _date(claims, "nbf") if "nbf" in claims else 0) > now + policy.not_before_leeway:
        raise InvalidToken(Reason.TOKEN_NOT_YET_VALID, "iat or nbf lies in the future")
    if expires_at - issued_at > policy.max_lifetime:
        raise InvalidToken(
            Reason.TOKEN_LIFETIME_REFUSED, f"the token lives longer than max_lifetime_seconds={policy.max_lifetime:g}"
        )
    if not claims.keys() >= profile.required_claims:
        raise _missing(min(profile.required_claims - claims.keys()))
    for name in policy.further_claims:
        if claims[name] in (None, ""):
            raise _missing(name)
    scope = get(profile.scope_claim, "")
    if type(scope) is not str:
        raise InvalidToken(Reason.CLAIM_MALFORMED, f"{profile.scope_claim} is not a string")
    fields = (
        policy.issuer,
        _text(claims, "sub"),
        _text(claims, profile.client_claim),
        _text(claims, profile.token_id_claim),
        audience,
        frozenset(filter(None, scope.split(" "))) if scope else _NO_SCOPES,
        issued_at,
        expires_at,
        Confirmation.from_claims(claims),
        payload,
    )
    return tuple.__new__(VerifiedToken, fields)  # a NamedTuple's own constructor takes twice as long


def _refused_issuer(claims: dict[str, Any]) -> InvalidToken:
    if "iss" not in claims:
        return _missing("iss")
    if type(claims["iss"]) is not str:
        return InvalidToken(Reason.CLAIM_MALFORMED, "iss is not a string")
    return InvalidToken(Reason.ISSUER_MISMATCH, "iss is another issuer than the one that this verifier trusts")


def _audience(claims: dict[str, Any]) -> tuple[str, ...]:
    """The values of an ``aud`` that is no string."""
    audience = claims.get("aud")
    if audience is None:
        raise _missing("aud")
    if type(audience) is not list or not audience or any(type(member) is not str for member in audience):
        raise InvalidToken(Reason.CLAIM_MALFORMED, "aud is neither a string nor a list of strings")
    return tuple(audience)


def _text(claims: dict[str, Any], name: str) -> str | None:
    value = claims.get(name)
    if (type(value) is str and value) or (value is None and name not in claims):
        return value
    raise _missing(name) if value == "" else InvalidToken(Reason.CLAIM_MALFORMED, f"{name} is not a string")


def _date(claims: dict[str, Any], name: str) -> float:
    """A NumericDate (RFC 7519 §2); not a bool, which is an int in Python, and nothing that is not finite."""
    value = claims.get(name)
    if (type(value) is int or type(value) is float) and 0 <= value <= _LATEST:  # False for NaN
        return value
    if name not in claims:
        raise _missing(name)
    raise InvalidToken(Reason.CLAIM_MALFORMED, f"{name} is not a time in seconds since 1970")


def _missing(name: str) -> InvalidToken:
    return InvalidToken(Reason.CLAIM_MISSING, f"{name} is missing")
