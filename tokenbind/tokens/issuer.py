"""`TokenIssuer`: mints the access tokens that a certificate binds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from functools import lru_cache
import json
import os
import re
from time import time
from typing import Any

from ..binding import PeerCertificate
from ..binding.moments import seconds_of
from ..binding.thumbprint import X5T_S256
from ..errors import ConfigurationError, InvalidRequest, Reason
from .compact import MAX_TOKEN_BYTES, base64url
from .signing_key import KnownSigner, Signer, checked_sign, known_signer, plain_public_jwk, publishable


__all__ = ["TokenIssuer"]

_RESERVED = frozenset({"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "cnf"})
_STANDING_REMEMBERED = 512  # clients, with what they ask for
_MAX_LIFETIME_SECONDS = 86_400  # what `TokenVerifier` takes by default
# RFC 6749 §3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E ), separated by one space.
_is_scope = re.compile(r"[!#-\[\]-~]+").fullmatch
_quoted = json.encoder.encode_basestring
_encode_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode


class TokenIssuer:
    """Mints JWT access tokens (RFC 9068) that are bound to the client's certificate (RFC 8705 §3.1).

    Every token is bound: without a certificate there is an error, never an unbound token. It does NOT authenticate
    the client, nor decide which scopes and audiences it may have; that is the authorization server around it.

    To change its key without a refused token: first publish the new one (*next_keys*), for as long as resource servers
    take to fetch it; then sign with it, and publish the old one (*previous_keys*) until its last token has ended.

    Args:
        issuer: The ``iss`` of the tokens, an https URL (RFC 8414 §2).
        key: Signs the tokens: a `SigningKey`, or a `Signer` whose key is in a KMS, Vault or HSM. Such a one is asked
            for one signature here, which is held against its public key.
        previous_keys, next_keys: Published, and not signed with: signers, or public JWKs.
        clock: Seconds since the epoch.

    Raises:
        ConfigurationError: if *issuer* is empty, *key* does not sign what its public key verifies, or a key cannot be
            published.
    """

    def __init__(
        self,
        issuer: str,
        key: Signer,
        *,
        previous_keys: Collection[Signer | Mapping[str, str]] = (),
        next_keys: Collection[Signer | Mapping[str, str]] = (),
        clock: Callable[[], float] = time,
    ) -> None:
        if not issuer or not isinstance(issuer, str):
            raise ConfigurationError("the issuer must be a URL, such as 'https://as.example'")
        self._issuer = issuer
        known = known_signer(key)
        self._sign = checked_sign(key, known)
        self._jwks = _published(known, next_keys, previous_keys)
        self._clock = clock
        header = {"alg": known.algorithm, "typ": "at+jwt", "kid": known.kid}
        self._header = base64url(_encode_json(header).encode()) + b"."
        self._standing = lru_cache(_STANDING_REMEMBERED)(self._encode_standing)

    @property
    def issuer(self) -> str:
        """The ``iss`` of its tokens."""
        return self._issuer

    def __repr__(self) -> str:
        return f"<TokenIssuer {self._issuer}>"

    def mint(
        self,
        peer: PeerCertificate | None,
        *,
        client_id: str,
        audience: str | Collection[str],
        subject: str | None = None,
        scope: str | Collection[str] | None = None,
        lifetime: int = 300,
        claims: Mapping[str, Any] | None = None,
        unsafe_not_after: datetime | None = None,
    ) -> str:
        """Mint a token that is worth something only together with *peer*'s key.

        Does NOT verify that *peer* proved its key: take it from a peer source, never from a request's own words
        (RFC 8705 §6.1).

        Args:
            peer: The certificate to bind to.
            client_id: Whom the token is for.
            audience: The resource server or servers it is meant for.
            subject: ``sub``; default: *client_id*, as RFC 9068 §2.2 says for client credentials.
            scope: Space-separated scopes, or a collection of them.
            lifetime: In seconds, at most 86400. A certificate that ends earlier ends the token too.
            claims: Further claims. Those that the token's meaning rests on, ``cnf`` above all, cannot be given here.
            unsafe_not_after: The end of the certificate's validity (aware) when *peer* is only a thumbprint. Unsafe,
                because nothing holds this word of yours against the certificate.

        Returns:
            The compact JWT.

        Raises:
            InvalidRequest: ``certificate_missing``, ``certificate_incomplete`` or ``certificate_expired``.
            ConfigurationError: for any other argument that cannot be right.
            Unavailable: ``signer_unavailable``, if the key is elsewhere, and cannot be used now.
        """
        return self._mint(peer, client_id, audience, subject, scope, lifetime, claims, unsafe_not_after)[0]

    def token_response(
        self,
        peer: PeerCertificate | None,
        *,
        client_id: str,
        audience: str | Collection[str],
        subject: str | None = None,
        scope: str | Collection[str] | None = None,
        lifetime: int = 300,
        claims: Mapping[str, Any] | None = None,
        unsafe_not_after: datetime | None = None,
    ) -> dict[str, Any]:
        """Mint a token and return the JSON object of RFC 6749 §5.1 around it, for a response with ``no-store``.

        ``expires_in`` is the true one: shorter than *lifetime* if the certificate ends earlier. The ``token_type`` is
        ``Bearer``, as RFC 8705 §3 has it. Arguments and errors are those of `mint`.
        """
        token, expires_in, scopes = self._mint(
            peer, client_id, audience, subject, scope, lifetime, claims, unsafe_not_after
        )
        response: dict[str, Any] = {"access_token": token, "token_type": "Bearer", "expires_in": expires_in}
        return {**response, "scope": scopes} if scopes else response

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public JWK Set, to be published for resource servers (RFC 7517 §5); a new one each time.

        The key that signs comes first, then the next and the previous ones.
        """
        jwks: dict[str, list[dict[str, str]]] = json.loads(self._jwks)
        return jwks

    def _mint(
        self,
        peer: PeerCertificate | None,
        client_id: str,
        audience: str | Collection[str],
        subject: str | None,
        scope: str | Collection[str] | None,
        lifetime: int,
        claims: Mapping[str, Any] | None,
        unsafe_not_after: datetime | None,
    ) -> tuple[str, int, str]:
        if not isinstance(peer, PeerCertificate):
            if peer is not None:
                raise ConfigurationError(
                    f"the peer must be a PeerCertificate, such as of a peer source, not {type(peer)}"
                )
            raise InvalidRequest(
                Reason.CERTIFICATE_MISSING, "no certificate to bind to: the client did not present one (RFC 8705 §3)"
            )
        now = int(self._clock())
        expires_at = _expires_at(peer, now, lifetime, unsafe_not_after)
        try:
            standing, scopes = self._standing(
                client_id,
                client_id if subject is None else subject,
                audience if isinstance(audience, str) else _members(audience),
                scope if isinstance(scope, str) else _members(scope or ()),
            )
        except TypeError:
            raise _names_wrong() from None
        further = _encode_claims(claims) if claims else ""
        jti, cnf = os.urandom(16).hex(), f'{{"{X5T_S256}":"{peer._thumbprint}"}}'
        payload = f'{{{standing},"iat":{now},"exp":{expires_at},"jti":"{jti}","cnf":{cnf}{further}}}'
        sign = self._sign
        message = self._header + base64url(payload.encode())
        token = message + b"." + base64url(sign(message))
        if len(token) > MAX_TOKEN_BYTES:
            raise ConfigurationError(f"claims= make the token longer than {MAX_TOKEN_BYTES} bytes")
        return token.decode(), expires_at - now, scopes

    def _encode_standing(
        self, client_id: str, subject: str, audience: str | tuple[Any, ...], scope: str | tuple[Any, ...]
    ) -> tuple[str, str]:
        """The members that a client's tokens have in common, as JSON without braces, and the scopes."""
        audiences = [audience] if isinstance(audience, str) else [*audience]
        scopes = (scope.split(" ") if scope else []) if isinstance(scope, str) else [*scope]
        if not audiences or not all(isinstance(text, str) and text for text in (client_id, subject, *audiences)):
            raise _names_wrong()
        if not all(isinstance(text, str) and _is_scope(text) for text in scopes):
            raise ConfigurationError("scope= must be printable ASCII scopes with single spaces between (RFC 6749 §3.3)")
        members: dict[str, Any] = {
            "iss": self._issuer,
            "sub": subject,
            "client_id": client_id,
            "aud": audiences[0] if len(audiences) == 1 else audiences,
        }
        if scopes:
            members["scope"] = " ".join(scopes)
        text = _encoded(members, "client_id=, subject=, audience= and scope=")
        if len(text) > MAX_TOKEN_BYTES:  # said here, because what is said by an error is not remembered
            raise ConfigurationError(f"audience= and scope= make the token longer than {MAX_TOKEN_BYTES} bytes")
        return text, " ".join(scopes)


def _published(
    known: KnownSigner,
    next_keys: Collection[Signer | Mapping[str, str]],
    previous_keys: Collection[Signer | Mapping[str, str]],
) -> str:
    """The JWK Set of all these keys, each once, as JSON: nobody can change it."""
    jwks = [known.jwk]
    try:
        others = [*next_keys, *previous_keys]
    except TypeError:
        raise ConfigurationError("next_keys= and previous_keys= take lists of signers and public JWKs") from None
    for key in others:
        if isinstance(key, Mapping):
            jwk = plain_public_jwk(key)
            publishable([jwk])  # by itself too: of a set, the members that are of no use are left out
        else:
            jwk = known_signer(key).jwk
        if jwk not in jwks:
            jwks.append(jwk)
    publishable(jwks)
    return json.dumps({"keys": jwks})


def _names_wrong() -> ConfigurationError:
    return ConfigurationError("client_id=, subject= and audience= must be strings that are not empty")


def _encode_claims(claims: Mapping[str, Any]) -> str:
    """Further members, as JSON without braces, after a comma."""
    if type(claims) is dict and _RESERVED.isdisjoint(claims):
        try:
            # Texts, as most are; to set up an encoder for them takes as long as the rest of minting does.
            text = "".join([f",{_quoted(name)}:{_quoted(value)}" for name, value in claims.items()])
            text.encode()
        except (TypeError, UnicodeEncodeError):
            pass
        else:
            return text
    if not isinstance(claims, Mapping):
        raise ConfigurationError("claims= must be a mapping of names to plain JSON values")
    if not all(isinstance(name, str) for name in claims):
        raise ConfigurationError("claims= must have names that are strings")
    if not _RESERVED.isdisjoint(claims):
        taken = ", ".join(sorted(_RESERVED.intersection(claims)))
        raise ConfigurationError(f"claims= must not have {taken}: the issuer alone decides on it")
    return f",{_encoded(dict(claims), 'claims=')}"


def _encoded(members: dict[str, Any], name: str) -> str:
    try:
        text = _encode_json(members)[1:-1]
        text.encode()  # a lone surrogate is a ValueError
    except (TypeError, ValueError, RecursionError):
        raise ConfigurationError(f"{name} must be plain JSON values") from None
    return text


def _members(value: object) -> tuple[Any, ...]:
    """Those of a collection; whatever is none is one by itself, to be refused by the caller."""
    members = tuple(value) if isinstance(value, Collection) else (value,)
    return members if all(isinstance(member, str) for member in members) else (None,)


def _expires_at(peer: PeerCertificate, now: int, lifetime: int, unsafe_not_after: datetime | None) -> int:
    """``exp``: a token must not outlive the certificate that proves it (RFC 8705 §6.3)."""
    if type(lifetime) is not int or not 0 < lifetime <= _MAX_LIFETIME_SECONDS:
        raise ConfigurationError(f"lifetime= is in whole seconds, from 1 to {_MAX_LIFETIME_SECONDS}")
    if peer._chain:
        end = int(peer.not_after.timestamp())
    elif unsafe_not_after is not None:
        end = int(seconds_of(unsafe_not_after, "unsafe_not_after="))
    else:
        raise InvalidRequest(
            Reason.CERTIFICATE_INCOMPLETE,
            "only the thumbprint is known, so nothing says how long the certificate lives; "
            "give the certificate, or unsafe_not_after=",
        )
    if end <= now:
        raise InvalidRequest(Reason.CERTIFICATE_EXPIRED, "the certificate has expired, no token can be bound to it")
    return min(now + lifetime, end)
