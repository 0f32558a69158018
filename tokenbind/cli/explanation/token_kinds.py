"""What kind of token it is, if not an access token of the profile at hand, for `tokenbind explain`. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...tokens import AccessTokenProfile
from .findings import Finding, shown


__all__ = ["PROFILES", "profile_findings"]

#: What the command line calls them: the attributes of AccessTokenProfile.
PROFILES = {"rfc9068": "RFC9068", "keycloak": "KEYCLOAK", "entra-id": "ENTRA_ID", "entra-id-v1": "ENTRA_ID_V1"}

_LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
_OF_KEYCLOAK = {"ID": "id_token", "Refresh": "refresh_token", "Offline": "refresh_token", "Logout": "logout_token"}
_WORDS = {"id_token": "an ID token", "refresh_token": "a refresh token", "logout_token": "a logout token"}


def profile_findings(
    header: Mapping[str, Any], claims: Mapping[str, Any], profile: AccessTokenProfile
) -> Iterator[Finding]:
    """Why the token is no access token of *profile*, and what it is instead; nothing if it is one."""
    misfits = _misfits(header, claims, profile)
    if not misfits:
        return
    kind, of = _kind(header, claims)
    if kind:
        what = f"The token looks like {_WORDS[kind]}{of}, and is not an access token at all."
        do = "The client must send its access_token, and nothing else that the token endpoint gave it."
        yield Finding(kind, what, do)
        return
    why = f"The token does not fit the profile {profile.name}: {', '.join(misfits[:3])}{', ...' * (len(misfits) > 3)}"
    for option, attribute in PROFILES.items():
        if not _misfits(header, claims, getattr(AccessTokenProfile, attribute)):
            do = f"Give the verifier profile=AccessTokenProfile.{attribute}, and this command --profile {option}."
            yield Finding("wrong_profile", f"{why}. It fits {attribute}.", do)
            return
    do = "Let the issuer follow RFC 9068, or describe its tokens: profile=AccessTokenProfile(name=..., ...)."
    yield Finding("no_profile", f"{why}. It fits no other named profile either.", do)


def _misfits(header: Mapping[str, Any], claims: Mapping[str, Any], profile: AccessTokenProfile) -> list[str]:
    found = []
    typ = header.get("typ", "")
    if not isinstance(typ, str) or typ.lower() not in profile.types:
        found.append(f"the header's typ is {shown(typ)}" if "typ" in header else "the header has no typ")
    required = profile.required_claims | {"iss", "aud", "exp", "iat"}
    found += [f"{name} is missing" for name in sorted(required) if claims.get(name) in (None, "")]
    found += [
        f"the claim {name} is not {shown(value)}"
        for name, value in profile.claim_values.items()
        if claims.get(name) != value
    ]
    return found + [f"it has {name}" for name in sorted(profile.refused_claims) if name in claims]


def _kind(header: Mapping[str, Any], claims: Mapping[str, Any]) -> tuple[str, str]:
    """The id of the kind of token, or an empty one, and whose it seems to be."""
    typ, events = claims.get("typ"), claims.get("events")
    if isinstance(typ, str) and typ in _OF_KEYCLOAK:
        return _OF_KEYCLOAK[typ], " of Keycloak"
    if header.get("typ") == "logout+jwt" or (isinstance(events, dict) and _LOGOUT_EVENT in events):
        return "logout_token", ""
    if typ == "Bearer":
        return "", ""
    of_entra = claims.get("ver") in ("1.0", "2.0") and "tid" in claims
    # Those who asked, and the permissions they got, are in Microsoft's access tokens alone.
    no_client = of_entra and claims.keys().isdisjoint({"azp", "appid", "scp"})
    if no_client or not claims.keys().isdisjoint({"nonce", "at_hash", "c_hash"}):
        return "id_token", " of Entra ID" * of_entra
    return "", ""
