"""The claims of a token, judged (RFC 7519 §4.1, RFC 9068 §4). The signature was checked before."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from ..binding import Confirmation
from ..errors import ConfigurationError, InvalidToken, Reason
from .bound_token import VerifiedToken
from .compact import read_json_object
from .profile import AccessTokenProfile


__all__ = ["ClaimsPolicy", "claims_policy", "claims_reader", "require_leeway"]

_LEEWAY_LIMIT_SECONDS = 60  # FAPI 2.0 §5.3.2.1-13: more than 60 seconds in the future "shall be rejected"
_LATEST = 253_402_300_799  # the last second that a datetime can hold
_new: Any = tuple.__new__  # a NamedTuple's own constructor takes twice as long


class ClaimsPolicy(NamedTuple):
    """What the claims are held against. Leeways and lifetimes are in seconds."""

    issuer: str
    audience: frozenset[str]
    profile: AccessTokenProfile
    not_before_leeway: float
    max_lifetime: float

    def describe(self) -> dict[str, Any]:
        """The same as JSON."""
        return {
            "issuer": self.issuer,
            "audience": sorted(self.audience),
            "profile": self.profile.describe(),
            "not_before_leeway_seconds": self.not_before_leeway,
            "max_lifetime_seconds": self.max_lifetime,
        }


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
        raise ConfigurationError("profile= must be an AccessTokenProfile, such as AccessTokenProfile.KEYCLOAK")
    require_leeway(not_before_leeway, "not_before_leeway_seconds=")
    if not isinstance(max_lifetime, (int, float)) or not max_lifetime > 0:
        raise ConfigurationError("max_lifetime_seconds= must be a positive number")
    return ClaimsPolicy(issuer, frozenset(audiences), profile, not_before_leeway, max_lifetime)


def require_leeway(seconds: object, name: str) -> None:
    if not isinstance(seconds, (int, float)) or not 0 <= seconds <= _LEEWAY_LIMIT_SECONDS:
        raise ConfigurationError(f"{name} must be from 0 to {_LEEWAY_LIMIT_SECONDS}")


def claims_reader(policy: ClaimsPolicy) -> Callable[[bytes, float], VerifiedToken]:
    """A function of payload and time that judges every claim but two: that ``exp`` lies ahead, and the binding.

    It raises InvalidToken for the first claim that is not as it must be. It stands on the path of every token, so the
    claims are taken in one go, and looked at one by one only if their types are not the usual ones.
    """
    issuer, audiences, profile, leeway, max_lifetime = policy
    client_claim, token_id_claim, scope_claim = profile.client_claim, profile.token_id_claim, profile.scope_claim
    further = profile.required_claims.difference(("sub", client_claim, token_id_claim))
    special = bool(further or profile.claim_values or profile.refused_claims)

    def read_claims(payload: bytes, now: float) -> VerifiedToken:
        claims = read_json_object(payload)
        try:
            audience, subject, client_id = claims["aud"], claims["sub"], claims[client_claim]
            token_id, expires_at, issued_at = claims[token_id_claim], claims["exp"], claims["iat"]
            scope = claims[scope_claim] if scope_claim in claims else ""  # noqa: SIM401 - a third of the time of get
            # RFC 9068 §4: "The issuer identifier for the authorization server [...] MUST exactly match the value of the
            # 'iss' claim."
            if not (
                claims["iss"] == issuer
                and type(audience) is str
                and type(subject) is str
                and type(client_id) is str
                and type(token_id) is str
                and type(scope) is str
                and type(expires_at) is int
                and type(issued_at) is int
                and 0 <= issued_at <= _LATEST
                and 0 <= expires_at <= _LATEST
                and subject
                and client_id
                and token_id
            ):
                raise KeyError
        except KeyError:
            audience, subject, client_id, token_id, expires_at, issued_at, scope = _unusual(claims, issuer, profile)
        if audience not in audiences and (type(audience) is str or audiences.isdisjoint(audience)):
            named = ", ".join(map(repr, sorted(audiences)))
            raise InvalidToken(
                Reason.AUDIENCE_MISMATCH, f"aud is {str(audience)[:200]!a}, and this resource server is {named}"
            )
        if issued_at > now + leeway or ("nbf" in claims and _date(claims, "nbf") > now + leeway):
            raise InvalidToken(Reason.TOKEN_NOT_YET_VALID, "iat or nbf lies in the future")
        if expires_at - issued_at > max_lifetime:
            raise InvalidToken(
                Reason.TOKEN_LIFETIME_REFUSED, f"the token lives longer than max_lifetime_seconds={max_lifetime:g}"
            )
        if special:
            _require_special(claims, profile, further)
        confirmation = Confirmation.from_claims(claims)
        verified: VerifiedToken = _new(
            VerifiedToken,
            (issuer, subject, client_id, token_id, audience, scope, issued_at, expires_at, confirmation, payload),
        )
        return verified

    return read_claims


def _unusual(claims: dict[str, Any], trusted: str, profile: AccessTokenProfile) -> tuple[Any, ...]:
    """The claims that are read, each looked at: it may be of another type, or not be there, or not be permitted."""
    issuer = claims.get("iss")
    if type(issuer) is not str:
        raise _malformed("iss", "a string") if "iss" in claims else _missing("iss")
    if issuer != trusted:
        raise InvalidToken(
            Reason.ISSUER_MISMATCH, f"iss is {issuer[:200]!a}, and this verifier trusts {trusted!a} alone"
        )
    audience = claims.get("aud")
    if audience is None:
        raise _missing("aud")
    if type(audience) is list and audience and all(type(member) is str for member in audience):
        audience = tuple(audience)
    elif type(audience) is not str:
        raise _malformed("aud", "a string or a list of strings")
    expires_at, issued_at = _date(claims, "exp"), _date(claims, "iat")
    names = "sub", profile.client_claim, profile.token_id_claim
    texts = [_text(claims, name, profile.required_claims) for name in names]
    scope = claims.get(profile.scope_claim, "")
    if type(scope) is not str:
        raise _malformed(profile.scope_claim, "a string")
    return audience, *texts, expires_at, issued_at, scope


def _text(claims: dict[str, Any], name: str, required: Collection[str]) -> str | None:
    """A text; None if it is not there, and need not be."""
    value = claims.get(name)
    if (type(value) is str and value) or not (name in claims or name in required):
        return value
    raise _missing(name) if value == "" or name not in claims else _malformed(name, "a string")


def _date(claims: dict[str, Any], name: str) -> float:
    """A NumericDate (RFC 7519 §2); not a bool, which is an int in Python, and nothing that is not finite."""
    value = claims.get(name)
    if (type(value) is int or type(value) is float) and 0 <= value <= _LATEST:  # False for NaN
        return value
    raise _malformed(name, "a time in seconds since 1970") if name in claims else _missing(name)


def _require_special(claims: dict[str, Any], profile: AccessTokenProfile, further: frozenset[str]) -> None:
    """Pass if the claims are those of an access token of *profile*, and not of another token of the same issuer."""
    for name in further:
        if claims.get(name) in (None, ""):
            raise _missing(name)
    for name, value in profile.claim_values.items():
        if claims.get(name) != value:
            raise _other_token(f"{name} is not {value!r}", profile)
    for name in profile.refused_claims.intersection(claims):
        raise _other_token(f"it has {name}", profile)


def _other_token(what: str, profile: AccessTokenProfile) -> InvalidToken:
    return InvalidToken(Reason.TOKEN_TYPE_REFUSED, f"{what}, so it is no access token of the profile {profile.name}")


def _missing(name: str) -> InvalidToken:
    return InvalidToken(Reason.CLAIM_MISSING, f"{name} is missing")


def _malformed(name: str, what: str) -> InvalidToken:
    return InvalidToken(Reason.CLAIM_MALFORMED, f"{name} is not {what}")
