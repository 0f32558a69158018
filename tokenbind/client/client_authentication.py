"""How a client proves to the token endpoint who it is (RFC 6749 §2.3, RFC 7523, RFC 8705 §2).

Whichever it is, the connection presents the client's certificate: the token is bound to it.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Callable
import json
import secrets
from time import time
from typing import Literal, NamedTuple, NoReturn, get_args
from urllib.parse import quote_plus

from ..errors import ClientError, ConfigurationError, Reason, Unavailable
from ..tokens import Signer
from ..tokens.compact import base64url
from ..tokens.signing_key import checked_sign, known_signer


__all__ = [
    "Authentication",
    "ByCertificate",
    "ClientSecretBasic",
    "NotPickled",
    "PrivateKeyJWT",
    "Proof",
    "ask_for",
    "method_of",
    "prove",
]

#: By the certificate alone, or, for a public client, not at all. Names of the registry (RFC 8414 §2).
ByCertificate = Literal["tls_client_auth", "self_signed_tls_client_auth", "none"]

_ASSERTION_SECONDS = 60


class Proof(NamedTuple):
    """What to add to a request, and what of it must not be shown."""

    headers: dict[str, str]
    form: dict[str, str]
    secrets: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return "<Proof>"


class NotPickled:
    """Holds a secret, and is not pickled."""

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} holds secrets and is not pickled")


class PrivateKeyJWT(NotPickled):
    """``private_key_jwt``: a JWT that the client signs for each request (RFC 7523 §2.2 and §3).

    It says who the client is; the token is bound to the certificate of the connection all the same.

    Args:
        key: The client's key, of which the server knows the public half under this ``kid``: a `SigningKey`, or a
            `Signer` whose key is elsewhere.
        audience: Of the JWT; default: the issuer identifier, as FAPI 2.0 (§5.3.2.1) asks for. Some servers want the
            URL of their token endpoint.

    Raises:
        ConfigurationError: if *key* does not sign what its public key verifies, or *audience* is empty.
    """

    def __init__(self, key: Signer, *, audience: str | None = None) -> None:
        if audience is not None and not is_printable(audience):
            raise ConfigurationError("audience= of a PrivateKeyJWT is text that is not empty")
        known = known_signer(key)
        self._sign = checked_sign(key, known)
        self._header = base64url(json.dumps({"alg": known.algorithm, "typ": "JWT", "kid": known.kid}).encode())
        self._audience = audience

    def assertion(self, client_id: str, issuer: str) -> str:
        """One for one request: it names the client and the server, and is good for 60 seconds.

        Raises:
            ClientError: ``signer_unavailable``.
        """
        now = int(time())
        claims = {
            "iss": client_id,
            "sub": client_id,
            "aud": self._audience or issuer,
            "jti": secrets.token_urlsafe(16),
            "iat": now,
            "exp": now + _ASSERTION_SECONDS,
        }
        message = self._header + b"." + base64url(json.dumps(claims).encode())
        try:
            return (message + b"." + base64url(self._sign(message))).decode()
        except Unavailable as error:
            raise ClientError(Reason.SIGNER_UNAVAILABLE, f"no token: {error}") from error

    def __repr__(self) -> str:
        return "<PrivateKeyJWT>"


class ClientSecretBasic(NotPickled):
    """``client_secret_basic``: a secret that the server knows too (RFC 6749 §2.3.1).

    Args:
        secret: The secret, or a function that returns it, called for each request.

    Raises:
        ConfigurationError: if it is no such text.
    """

    def __init__(self, secret: str | Callable[[], str]) -> None:
        if not callable(secret) and not is_printable(secret):
            raise ConfigurationError("a client secret is printable text, without the line break that ends its file")
        self._secret = secret

    def secret(self) -> str:
        """The secret itself.

        Raises:
            ClientError: if the function that was given for it fails.
        """
        return ask_for(self._secret, "the client secret")

    def __repr__(self) -> str:
        return "<ClientSecretBasic>"


Authentication = ByCertificate | PrivateKeyJWT | ClientSecretBasic


def method_of(authentication: Authentication) -> str:
    """Its name in the registry (RFC 8414 §2, ``token_endpoint_auth_methods_supported``).

    Raises:
        ConfigurationError: if it is none of ours.
    """
    if isinstance(authentication, PrivateKeyJWT):
        return "private_key_jwt"
    if isinstance(authentication, ClientSecretBasic):
        return "client_secret_basic"
    if isinstance(authentication, str) and authentication in get_args(ByCertificate):
        return authentication
    raise ConfigurationError(
        f"authentication= is one of {', '.join(get_args(ByCertificate))}, or a PrivateKeyJWT or ClientSecretBasic"
    )


def prove(authentication: Authentication, client_id: str, issuer: str) -> Proof:
    """What one request needs. Each has its own: a JWT is good for one.

    Raises:
        ClientError: if the key or the secret cannot be had.
    """
    if isinstance(authentication, ClientSecretBasic):
        # RFC 6749 §2.3.1: 'encoded using the "application/x-www-form-urlencoded" encoding algorithm'.
        secret = authentication.secret()
        name, password = (quote_plus(text, safe="", errors="surrogatepass") for text in (client_id, secret))
        credentials = b2a_base64(f"{name}:{password}".encode(), newline=False).decode()
        return Proof({"authorization": f"Basic {credentials}"}, {}, (secret, password, credentials))
    # RFC 8705 §2: "the client MUST include the client_id parameter".
    form = {"client_id": client_id}
    if not isinstance(authentication, PrivateKeyJWT):
        return Proof({}, form)
    assertion = authentication.assertion(client_id, issuer)
    form["client_assertion_type"] = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    form["client_assertion"] = assertion
    return Proof({}, form, (assertion,))


def ask_for(source: str | Callable[[], str], what: str) -> str:
    """A secret text that was given, or is asked for each time.

    Raises:
        ClientError: ``identity_unusable``, if the function fails, or does not return printable text.
    """
    try:
        text = source() if callable(source) else source
    except ClientError:
        raise
    except Exception as error:
        raise ClientError(
            Reason.IDENTITY_UNUSABLE, f"{what} could not be had: its function raised {type(error).__name__}"
        ) from error
    if not is_printable(text):
        ended = isinstance(text, str) and is_printable(text.strip())
        given = "text with the line break that ends its file; strip it" if ended else "no printable text"
        raise ClientError(Reason.IDENTITY_UNUSABLE, f"{what} could not be had: its function returned {given}")
    return text


def is_printable(text: object) -> bool:
    """Whether it is text that is not empty, and has neither line breaks nor lone surrogates."""
    return isinstance(text, str) and bool(text) and text.isprintable()
