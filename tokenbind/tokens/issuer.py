"""`TokenIssuer`: mints the access tokens that a certificate binds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
import json
import os
import re
from time import time
from typing import Any

from ..binding import Confirmation, PeerCertificate
from ..binding.moments import seconds_of
from ..errors import ConfigurationError, InvalidRequest, Reason
from .compact import MAX_TOKEN_BYTES, base64url
from .signing_key import Signer


__all__ = ["TokenIssuer"]

_RESERVED = frozenset({"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "cnf"})
_MAX_LIFETIME_SECONDS = 86_400  # what `TokenVerifier` takes by default
# RFC 6749 §3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E ), separated by one space.
_is_scope = re.compile(r"[!#-\[\]-~]+").fullmatch
_encode_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode


class TokenIssuer:
    """Mints JWT access tokens (RFC 9068) that are bound to the client's certificate (RFC 8705 §3.1).

    Every token is bound: without a certificate there is an error, never an unbound token. It does NOT authenticate
    the client, nor decide which scopes and audiences it may have; that is the authorization server around it.

    Args:
        issuer: The ``iss`` of the tokens, an https URL (RFC 8414 §2).
        key: Signs the tokens.
        clock: Seconds since the epoch.

    Raises:
        ConfigurationError: if *issuer* is empty.
    """

    def __init__(self, issuer: str, key: Signer, *, clock: Callable[[], float] = time) -> None:
        if not issuer or not isinstance(issuer, str):
            raise ConfigurationError("the issuer must be a URL, such as 'https://as.example'")
        self._issuer = issuer
        self._key = key
        self._clock = clock
        header = {"alg": key.algorithm, "typ": "at+jwt", "kid": key.kid}
        self._header = base64url(_encode_json(header).encode()) + b"."

    @property
    def issuer(self) -> str:
        """The ``iss`` of its tokens."""
        return self._issuer

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
        """The public JWK Set, to be published for resource servers (RFC 7517 §5)."""
        return {"keys": [self._key.public_jwk]}

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
        if peer is None:
            raise InvalidRequest(
                Reason.CERTIFICATE_MISSING, "no certificate to bind to: the client did not present one (RFC 8705 §3)"
            )
        now = int(self._clock())
        expires_at = _expires_at(peer, now, lifetime, unsafe_not_after)
        audiences = _members(audience)
        scopes = scope.split(" ") if scope and isinstance(scope, str) else _members(scope or ())
        subject = client_id if subject is None else subject
        if not audiences or not all(isinstance(text, str) and text for text in (client_id, subject, *audiences)):
            raise ConfigurationError("client_id=, subject= and audience= must be strings that are not empty")
        if not all(isinstance(text, str) and _is_scope(text) for text in scopes):
            raise ConfigurationError("scope= must be printable ASCII scopes with single spaces between (RFC 6749 §3.3)")
        if claims and not all(isinstance(name, str) for name in claims):
            raise ConfigurationError("claims= must have names that are strings")
        if claims and not _RESERVED.isdisjoint(claims):
            taken = ", ".join(sorted(_RESERVED.intersection(claims)))
            raise ConfigurationError(f"claims= must not have {taken}: the issuer alone decides on it")
        body: dict[str, Any] = {
            **(claims or {}),
            "iss": self._issuer,
            "sub": subject,
            "client_id": client_id,
            "aud": audiences[0] if len(audiences) == 1 else audiences,
            "iat": now,
            "exp": expires_at,
            "jti": base64url(os.urandom(16)).decode(),
            "cnf": Confirmation.of(peer).to_cnf(),
        }
        if scopes:
            body["scope"] = " ".join(scopes)
        try:
            payload = _encode_json(body).encode()
        except (TypeError, ValueError, RecursionError):
            raise ConfigurationError("claims= must be plain JSON values") from None
        message = self._header + base64url(payload)
        token = message + b"." + base64url(self._key.sign(message))
        if len(token) > MAX_TOKEN_BYTES:
            raise ConfigurationError(f"claims= make the token longer than {MAX_TOKEN_BYTES} bytes")
        return token.decode(), expires_at - now, " ".join(scopes)


def _members(value: object) -> list[Any]:
    """Those of a collection; a string is one by itself, and so is whatever is neither, to be refused by the caller."""
    return list(value) if isinstance(value, Collection) and not isinstance(value, str) else [value]


def _expires_at(peer: PeerCertificate, now: int, lifetime: int, unsafe_not_after: datetime | None) -> int:
    """``exp``: a token must not outlive the certificate that proves it (RFC 8705 §6.3)."""
    if type(lifetime) is not int or not 0 < lifetime <= _MAX_LIFETIME_SECONDS:
        raise ConfigurationError(f"lifetime= is in whole seconds, from 1 to {_MAX_LIFETIME_SECONDS}")
    if peer.der is not None:
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
