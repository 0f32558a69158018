"""Grants: how a client gets an access token for its identity (RFC 6749 §4, RFC 8705 §2)."""

from __future__ import annotations

from collections.abc import Collection
from math import inf
import re
from typing import ClassVar, Protocol, TypedDict

from ..errors import ConfigurationError
from ..transport import Identity
from ..transport.tls_context import Trust
from ..transport.trust_anchors import TrustSource
from .client_authentication import Authentication, NotPickled, is_printable
from .token_endpoint import TokenEndpoint
from .token_response import IssuedToken, is_bearer_token, read_token


__all__ = [
    "ClientCredentials",
    "EndpointGrant",
    "EndpointOptions",
    "Grant",
    "IssuedToken",
    "StaticToken",
    "is_bearer_token",
]

# RFC 6749 §3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E ), separated by one space.
_is_scope = re.compile(r"[!#-\[\]-~]+(?: [!#-\[\]-~]+)*").fullmatch
# RFC 8707 §2: "an absolute URI [...] and it MUST NOT include a fragment component".
_is_resource = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[!$-~]+").fullmatch


class Grant(Protocol):
    """Gets a token for an identity, over a connection that presents it.

    It is called from a thread of the token cache, and may block. One that has an attribute ``issuer`` is named by it in
    events.
    """

    def fetch(self, identity: Identity, /) -> IssuedToken: ...


class EndpointOptions(TypedDict, total=False):
    """The keywords of `EndpointGrant`, which each grant takes besides its own."""

    scope: str | None
    resource: str | Collection[str] | None
    audience: str | Collection[str] | None
    authentication: Authentication
    token_endpoint: str | None
    ca: Trust | TrustSource
    proxy: str | None
    timeout_seconds: float
    address: str | None
    allowed_hosts: Collection[str]


class EndpointGrant(NotPickled):
    """A grant of a token endpoint; the arguments are those of `ClientCredentials`."""

    _of_confidential_clients: ClassVar[bool] = False

    def __init__(
        self,
        issuer: str,
        *,
        client_id: str,
        scope: str | None = None,
        resource: str | Collection[str] | None = None,
        audience: str | Collection[str] | None = None,
        authentication: Authentication = "tls_client_auth",
        token_endpoint: str | None = None,
        ca: Trust | TrustSource = None,
        proxy: str | None = None,
        timeout_seconds: float = 10,
        address: str | None = None,
        allowed_hosts: Collection[str] = (),
    ) -> None:
        if not is_printable(client_id):
            raise ConfigurationError("client_id= must be printable text that is not empty")
        if scope is not None and not (isinstance(scope, str) and (not scope or _is_scope(scope))):
            raise ConfigurationError("scope= must be text, with single spaces between the scopes (RFC 6749 §3.3)")
        if self._of_confidential_clients and authentication == "none":
            raise ConfigurationError(
                'authentication="none" is for public clients, and this grant is not (RFC 6749 §4.4)'
            )
        resources, audiences = _texts(resource), _texts(audience)
        if not all(isinstance(one, str) and _is_resource(one) for one in resources):
            raise ConfigurationError("resource= must be absolute URIs without a fragment (RFC 8707 §2)")
        if not all(is_printable(one) for one in audiences):
            raise ConfigurationError("audience= must be printable text that is not empty")
        self._endpoint = TokenEndpoint(
            issuer,
            client_id=client_id,
            authentication=authentication,
            url=token_endpoint,
            ca=ca,
            proxy=proxy,
            timeout_seconds=timeout_seconds,
            address=address,
            allowed_hosts=allowed_hosts,
        )
        self._form = [("scope", scope)] if scope else []
        self._form += [("resource", one) for one in resources] + [("audience", one) for one in audiences]

    @property
    def issuer(self) -> str:
        """The authorization server's issuer identifier."""
        return self._endpoint.issuer

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.issuer} for {self._endpoint.client_id}>"


class ClientCredentials(EndpointGrant):
    """The client credentials grant (RFC 6749 §4.4).

    The certificate of the token request is the one that the token is bound to, and the one to call the API with
    (RFC 8705 §3). The request is never redirected. A server that is just away is asked up to three times.

    Args:
        issuer: The authorization server's issuer identifier, exactly as the server spells it.
        client_id: The client's name there.
        scope: Space-separated scopes to ask for.
        resource: The URI of the API that the token is for, or several (RFC 8707).
        audience: Its name, for servers that want that instead; or several.
        authentication: ``tls_client_auth`` or ``self_signed_tls_client_auth``: the certificate says who the client is
            (RFC 8705 §2). Or a `PrivateKeyJWT`, or a `ClientSecretBasic`.
        token_endpoint: Its https URL; of the mutual-TLS alias if there is one (RFC 8705 §5). By default it is read from
            the server's metadata (RFC 8414), which is asked for without the certificate, and again after an hour.
        ca: Which CA vouches for the authorization server: a PEM file, PEM bytes, or None for the system's.
        proxy: ``http://[user:password@]host:port``; never from the environment.
        timeout_seconds: For all of it: metadata, request, and further attempts.
        address: The https origin at which the issuer's own origin is reached, if not by its name.
        allowed_hosts: Hosts (``host`` or ``host:port``) besides its own that the metadata may name, such as that of the
            alias.

    Raises:
        ConfigurationError: if an argument cannot be right.
    """

    # RFC 6749 §4.4: "The client credentials grant type MUST only be used by confidential clients."
    _of_confidential_clients = True

    def fetch(self, identity: Identity) -> IssuedToken:
        """Ask for a token.

        Does NOT verify the token: a client does not know its form (RFC 9068 §6).

        Raises:
            GrantError: if the server refuses (RFC 6749 §5.2).
            ClientError: ``authorization_server_unreachable``, if it does not answer as a token endpoint does;
                ``identity_unusable`` or ``signer_unavailable``, if what authenticates the client cannot be had.
        """
        return read_token(self._endpoint.ask(identity, [("grant_type", "client_credentials"), *self._form]))


class StaticToken(NotPickled):
    """A token that is there already, and is used until it is refused.

    Raises:
        ConfigurationError: if it cannot stand in a header (RFC 6750 §2.1).
    """

    issuer: str | None = None

    def __init__(self, token: str) -> None:
        if not isinstance(token, str) or not is_bearer_token(token):
            raise ConfigurationError("a token is text without white space, without the line break that ends its file")
        self._issued = IssuedToken(token, inf, None)

    def fetch(self, identity: Identity) -> IssuedToken:
        """The token; whether it names *identity*'s certificate is not looked at here."""
        return self._issued

    def __repr__(self) -> str:
        return "<StaticToken>"


def _texts(value: str | Collection[str] | None) -> list[str]:
    """Of an argument that is one, several, or none; what is none of these is one, to be refused by the caller."""
    if value is None:
        return []
    if isinstance(value, str) or not isinstance(value, Collection):
        return [value]
    return list(value)
