"""What tells an access token of one kind of issuer from every other JWT that the same issuer signs."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple, Self

from ..errors import ConfigurationError


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

    def __new__(
        cls,
        *,
        name: str,
        types: Collection[str],
        required_claims: Collection[str],
        client_claim: str,
        token_id_claim: str,
        scope_claim: str,
    ) -> Self:
        """
        Raises:
            ConfigurationError: if there is no type, or something is not what it must be.
        """
        for texts in (types, required_claims):
            if isinstance(texts, str) or not all(isinstance(text, str) and text for text in texts):
                raise ConfigurationError('types= and required_claims= take collections of names, such as {"at+jwt"}')
        if not types or any(text != text.lower() for text in types):
            raise ConfigurationError('types= must have one type or more, in lower case, such as {"at+jwt"}')
        if not all(isinstance(text, str) and text for text in (name, client_claim, token_id_claim, scope_claim)):
            raise ConfigurationError("name= and the names of claims must be strings that are not empty")
        fields = name, frozenset(types), frozenset(required_claims), client_claim, token_id_claim, scope_claim
        return super().__new__(cls, *fields)


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
