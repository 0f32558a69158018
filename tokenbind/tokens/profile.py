"""What tells an access token of one kind of issuer from every other JWT that the same issuer signs."""

from __future__ import annotations

from typing import NamedTuple


__all__ = ["AccessTokenProfile"]


class _Profile(NamedTuple):
    name: str
    types: frozenset[str]
    required_claims: frozenset[str]
    client_claim: str
    token_id_claim: str
    scope_claim: str


class AccessTokenProfile(_Profile):
    """The shape of an access token.

    ``AccessTokenProfile.RFC9068``: the JWT Profile for OAuth 2.0 Access Tokens. The ``typ`` must be ``at+jwt`` (or
    ``application/at+jwt``, in any case), and ``iss``, ``exp``, ``aud``, ``sub``, ``client_id``, ``iat`` and ``jti``
    must be there (RFC 9068 §2.2).

    Attributes:
        name: A word for it.
        types: The permitted ``typ`` values, in lower case; there is no "any".
        required_claims: The claims without which a token is refused; ``iss``, ``aud``, ``exp`` and ``iat`` always are.
        client_claim, token_id_claim, scope_claim: What this issuer calls them.
    """

    __slots__ = ()

    RFC9068: AccessTokenProfile


AccessTokenProfile.RFC9068 = AccessTokenProfile(
    name="rfc9068",
    # RFC 9068 §4: "The resource server MUST verify that the 'typ' header value is 'at+jwt' or 'application/at+jwt' and
    # reject tokens carrying any other value." Media types are compared without case (RFC 7515 §4.1.9).
    types=frozenset({"at+jwt", "application/at+jwt"}),
    required_claims=frozenset({"sub", "client_id", "jti"}),
    client_claim="client_id",
    token_id_claim="jti",
    scope_claim="scope",
)
