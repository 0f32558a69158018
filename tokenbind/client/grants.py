"""Grants: how a client gets an access token for its identity (RFC 6749 §4, RFC 8705 §2)."""

from __future__ import annotations

from collections.abc import Callable
import json
import re
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlencode, urlsplit

from ..errors import ClientError, ConfigurationError, GrantError, Reason
from ..transport import FetchError, Identity, Response, fetch
from ..transport.tls_context import Trust, client_context


__all__ = ["ClientCredentials", "Grant", "IssuedToken"]


# RFC 6750 §2.1. Anything else cannot stand in a header, and http.client would quote it whole in its error.
is_bearer_token: Callable[[str], object] = re.compile(r"[A-Za-z0-9\-._~+/]+=*").fullmatch


class IssuedToken(NamedTuple):
    """What the authorization server gave.

    Attributes:
        access_token: The token; never logged.
        expires_in_seconds: How long the server says that it lives, counted from the request.
        scope: The scope it was given, or None if as asked.
    """

    access_token: str
    expires_in_seconds: float
    scope: str | None

    def __repr__(self) -> str:
        return f"<IssuedToken for {self.expires_in_seconds:g} s>"


class Grant(Protocol):
    """Gets a token for an identity, over a connection that presents it."""

    def fetch(self, identity: Identity, /) -> IssuedToken: ...


class ClientCredentials:
    """The client credentials grant (RFC 6749 §4.4) with mutual-TLS client authentication (RFC 8705 §2).

    The certificate of the token request is the one that the token is bound to, and the one to call the API with
    (RFC 8705 §3). The request is never redirected.

    Args:
        issuer: The authorization server's issuer identifier.
        client_id: Sent with every request (RFC 8705 §2: "the client MUST include the client_id parameter").
        token_endpoint: The https URL of its token endpoint; of the mutual-TLS alias if there is one (RFC 8705 §5).
        scope: Space-separated scopes to ask for.
        ca: Which CA vouches for the authorization server: a PEM file, PEM bytes, or None for the system's.
        timeout_seconds: For a whole token request.

    Raises:
        ConfigurationError: if an argument cannot be right.
    """

    def __init__(
        self,
        issuer: str,
        *,
        client_id: str,
        token_endpoint: str,
        scope: str | None = None,
        ca: Trust = None,
        timeout_seconds: float = 10,
    ) -> None:
        for name, url in (("issuer", issuer), ("token_endpoint", token_endpoint)):
            if not _is_https_url(url):
                raise ConfigurationError(f"{name}= must be an https URL, without credentials or white space in it")
        if not client_id:
            raise ConfigurationError("client_id= must not be empty")
        client_context(ca)
        self._issuer = issuer
        self._token_endpoint = token_endpoint
        self._form = {"grant_type": "client_credentials", "client_id": client_id} | ({"scope": scope} if scope else {})
        self._ca = ca
        self._timeout = timeout_seconds

    @property
    def issuer(self) -> str:
        """The authorization server's issuer identifier."""
        return self._issuer

    def fetch(self, identity: Identity) -> IssuedToken:
        """Ask for a token.

        Does NOT verify the token: a client does not know its form (RFC 9068 §6).

        Raises:
            GrantError: if the server refuses (RFC 6749 §5.2).
            ClientError: ``authorization_server_unreachable``, if it does not answer as a token endpoint does.
        """
        try:
            response = fetch(
                self._token_endpoint,
                context=identity.ssl_context(self._ca),
                method="POST",
                headers={"content-type": "application/x-www-form-urlencoded"},
                body=urlencode(self._form).encode(),
                timeout_seconds=self._timeout,
            )
        except FetchError as error:
            raise ClientError(Reason.AUTHORIZATION_SERVER_UNREACHABLE, f"no token: {error}") from None
        return _read_token_response(response)


def _read_token_response(response: Response) -> IssuedToken:
    """RFC 6749 §5.1 and §5.2."""
    try:
        members: Any = json.loads(response.body)
    except (ValueError, RecursionError):
        members = None
    if not isinstance(members, dict):
        raise _strange(f"it answered {response.status} without a JSON object")
    if response.status != 200:
        error, description = members.get("error"), members.get("error_description")
        if not isinstance(error, str):
            raise _strange(f"it answered {response.status} without an error code")
        shown = _printable(description) if isinstance(description, str) else None
        raise GrantError(_printable(error), shown, response.status)
    token, kind = members.get("access_token"), members.get("token_type")
    expires_in, scope = members.get("expires_in", 60), members.get("scope")
    if not isinstance(token, str) or not is_bearer_token(token):
        raise _strange("there is no access_token in its answer")
    # RFC 8705 §3 tokens stay "Bearer"; the value is compared without case (RFC 6749 §5.1).
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise _strange("its token_type is not Bearer")
    if isinstance(expires_in, str) and expires_in.isdecimal():  # some servers send the number as text
        expires_in = int(expires_in[:10])
    if isinstance(expires_in, bool) or not isinstance(expires_in, (int, float)) or not 0 <= expires_in < 10**9:
        raise _strange("its expires_in is not a number of seconds")
    return IssuedToken(token, float(expires_in), scope if isinstance(scope, str) else None)


def _is_https_url(url: object) -> bool:
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
        parts.port  # noqa: B018 - raises ValueError
    except ValueError:
        return False
    plain = isinstance(url, str) and url.isascii() and url.isprintable() and " " not in url
    return plain and parts.scheme == "https" and bool(parts.hostname) and "@" not in parts.netloc


def _strange(what: str) -> ClientError:
    return ClientError(Reason.AUTHORIZATION_SERVER_UNREACHABLE, f"the token endpoint is not as expected: {what}")


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text[:200])
