"""What tells an access token of one kind of issuer from every other JWT that the same issuer signs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Self

from ..errors import ConfigurationError
from .algorithms import DEFAULT_ALGORITHMS, canonical_algorithms


__all__ = ["AccessTokenProfile"]

_RFC9068_TYPES = frozenset({"at+jwt", "application/at+jwt"})
# OpenID Connect Core §2 and §3.3.2.11, and what issuers add to every token.
_OF_ID_TOKENS = {"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "azp", "at_hash", "c_hash"}
_OF_ANY_TOKEN = {"jti", "sid", "client_id"}


class _Profile(NamedTuple):
    name: str
    types: frozenset[str]
    algorithms: frozenset[str]
    schemes: frozenset[str]
    required_claims: frozenset[str]
    claim_values: Mapping[str, str]
    refused_claims: frozenset[str]
    client_claim: str
    token_id_claim: str
    scope_claim: str


class AccessTokenProfile(_Profile):
    """The shape of an access token of one kind of issuer. There is no "any": every profile says what tells one apart.

    ``AccessTokenProfile.RFC9068``: the JWT Profile for OAuth 2.0 Access Tokens. The ``typ`` must be ``at+jwt`` (or
    ``application/at+jwt``, in any case), and ``iss``, ``exp``, ``aud``, ``sub``, ``client_id``, ``iat`` and ``jti``
    must be there (RFC 9068 §2.2).

    ``AccessTokenProfile.KEYCLOAK``: Keycloak's own form, ``typ`` ``JWT`` or ``at+jwt``; the *claim* ``typ`` must be
    ``Bearer``, which tells it from ID, refresh, offline, logout and DPoP tokens. RS256 is permitted too.

    ``AccessTokenProfile.ENTRA_ID`` and ``.ENTRA_ID_V1``: Microsoft's two versions (the API's registration says which
    one it gets: ``requestedAccessTokenVersion``). The claims that tell which client asked, and how it authenticated,
    are in access tokens only. `BoundToken.scopes` are the delegated ones of ``scp``; application permissions are in
    ``claims["roles"]``, which are not scopes, because users have roles too.

    Attributes:
        name: A word for it.
        types: The permitted ``typ`` values, in lower case; an empty one permits a header without ``typ``.
        algorithms: The ``alg`` values that a verifier permits unless it is told others.
        schemes: The Authorization schemes under which a token may come, in lower case.
        required_claims: The claims without which a token is refused; ``iss``, ``aud``, ``exp`` and ``iat`` always are.
        claim_values: Claims that must have exactly this text.
        refused_claims: Claims that only other tokens of the issuer have, such as ``nonce`` in ID tokens.
        client_claim, token_id_claim, scope_claim: What this issuer calls them.
    """

    __slots__ = ()

    RFC9068: AccessTokenProfile
    KEYCLOAK: AccessTokenProfile
    ENTRA_ID: AccessTokenProfile
    ENTRA_ID_V1: AccessTokenProfile

    def __new__(
        cls,
        *,
        name: str,
        types: Collection[str],
        required_claims: Collection[str],
        algorithms: Collection[str] = DEFAULT_ALGORITHMS,
        schemes: Collection[str] = frozenset({"bearer"}),
        claim_values: Mapping[str, str] = MappingProxyType({}),
        refused_claims: Collection[str] = frozenset(),
        client_claim: str = "client_id",
        token_id_claim: str = "jti",  # noqa: S107 - as S105
        scope_claim: str = "scope",
    ) -> Self:
        """
        Raises:
            ConfigurationError: if something is not what it must be, or if nothing tells an access token from an ID
                token: a ``typ`` other than ``at+jwt`` needs `refused_claims`, or in `claim_values` or
                `required_claims` a claim that OpenID Connect does not have, as it has ``azp``.
        """
        for texts in (types, schemes, required_claims, refused_claims):
            if not isinstance(texts, Collection) or isinstance(texts, str) or not all(map(_is_text, texts)):
                raise ConfigurationError('types=, schemes= and claims take collections of names, such as {"at+jwt"}')
        for texts in (types, schemes):
            if not texts or any(text != text.lower() for text in texts):
                raise ConfigurationError('types= and schemes= must have one or more, in lower case: {"at+jwt"}')
        if "" in schemes or "" in required_claims or "" in refused_claims:
            raise ConfigurationError("the names of schemes and claims must not be empty")
        if not isinstance(claim_values, Mapping) or not all(map(_is_text, [*claim_values, *claim_values.values()])):
            raise ConfigurationError('claim_values= takes names and texts, such as {"typ": "Bearer"}')
        if not all(_is_text(text) and text for text in (name, client_claim, token_id_claim, scope_claim)):
            raise ConfigurationError("name= and the names of claims must be strings that are not empty")
        telling = {*required_claims, *claim_values} - _OF_ID_TOKENS - _OF_ANY_TOKEN
        if not (_RFC9068_TYPES.issuperset(types) or refused_claims or telling):
            raise ConfigurationError(
                "nothing in this profile tells an access token from an ID token: give claim_values= or refused_claims="
            )
        fields = (
            name,
            frozenset(types),
            canonical_algorithms(algorithms),
            frozenset(schemes),
            frozenset(required_claims),
            MappingProxyType(dict(claim_values)),
            frozenset(refused_claims),
            client_claim,
            token_id_claim,
            scope_claim,
        )
        return super().__new__(cls, *fields)

    def describe(self) -> dict[str, Any]:
        """It as JSON."""
        return {name: _as_json(value) for name, value in self._asdict().items()}


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _as_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return sorted(value) if isinstance(value, frozenset) else value


AccessTokenProfile.RFC9068 = AccessTokenProfile(
    name="rfc9068",
    # RFC 9068 §4: "The resource server MUST verify that the 'typ' header value is 'at+jwt' or 'application/at+jwt' and
    # reject tokens carrying any other value." Media types are compared without case (RFC 7515 §4.1.9).
    types=_RFC9068_TYPES,
    required_claims={"sub", "client_id", "jti"},
)
AccessTokenProfile.KEYCLOAK = AccessTokenProfile(
    name="keycloak",
    types={"jwt"} | _RFC9068_TYPES,  # at+jwt by an option of the client; RFC 9068's claims do not come with it
    algorithms=("RS256", *DEFAULT_ALGORITHMS),  # RS256 is what a realm signs with unless told otherwise
    required_claims={"azp", "jti"},  # a lightweight access token has no sub
    claim_values={"typ": "Bearer"},  # ID, Refresh, Offline and Logout are the others
    client_claim="azp",
)
AccessTokenProfile.ENTRA_ID = AccessTokenProfile(
    name="entra_id",
    types={"jwt"},
    algorithms=("RS256",),
    schemes={"bearer", "mtls_pop"},  # the latter is what MSAL calls its tokens that a certificate binds
    required_claims={"sub", "azp", "azpacr", "uti"},
    claim_values={"ver": "2.0"},
    refused_claims={"nonce", "at_hash", "c_hash"},
    client_claim="azp",
    token_id_claim="uti",
    scope_claim="scp",
)
AccessTokenProfile.ENTRA_ID_V1 = AccessTokenProfile(
    name="entra_id_v1",
    types={"jwt"},
    algorithms=("RS256",),
    schemes={"bearer", "mtls_pop"},
    required_claims={"sub", "appid", "appidacr", "uti"},
    claim_values={"ver": "1.0"},
    refused_claims={"nonce", "at_hash", "c_hash"},
    client_claim="appid",
    token_id_claim="uti",
    scope_claim="scp",
)
