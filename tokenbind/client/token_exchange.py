"""Token exchange (RFC 8693): a token of somebody else's request, for one with which to call the next service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Unpack

from ..errors import ConfigurationError
from ..transport import Identity
from .client_authentication import ask_for, is_printable
from .grants import EndpointGrant, EndpointOptions
from .token_response import IssuedToken, read_token, strange


__all__ = ["TokenExchange"]

_GRANT_TYPE = "urn:ietf:params:oauth:grant-type:token-exchange"
# RFC 8693 §3
_ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
_JWT = "urn:ietf:params:oauth:token-type:jwt"


class TokenExchange(EndpointGrant):
    """The token exchange grant (RFC 8693).

    A bound token cannot be passed on: the next service sees our certificate, not that of the client. The token that we
    get for it is bound to ours. The token to be exchanged must have been verified before, with its binding: the
    authorization server cannot see on which connection it came.

    One `TokenExchange` is for one subject: what it gets is kept, and used for every request that is sent with it. A
    function as *subject_token* is for a token that is renewed, not for one of each request.

    Args:
        issuer: As for `ClientCredentials`, and so are the arguments that are not named here.
        subject_token: The token of the one for whom we act, or a function that returns it, called at each fetch.
        subject_token_type: What it is (RFC 8693 §3).
        actor_token: A token of the one who acts, or a function that returns it; mostly we are that, and authenticated.
        actor_token_type: What that is.
        requested_token_type: An access token (the server's default), or a JWT.

    Raises:
        ConfigurationError: if an argument cannot be right.
    """

    def __init__(
        self,
        issuer: str,
        *,
        client_id: str,
        subject_token: str | Callable[[], str],
        subject_token_type: str = _ACCESS_TOKEN,
        actor_token: str | Callable[[], str] | None = None,
        actor_token_type: str = _ACCESS_TOKEN,
        requested_token_type: str | None = None,
        **options: Unpack[EndpointOptions],
    ) -> None:
        for name, token in (("subject_token", subject_token), ("actor_token", actor_token)):
            if not (callable(token) or is_printable(token) or (token is None and name == "actor_token")):
                text = "printable text, without the line break that ends its file"
                raise ConfigurationError(f"{name}= is {text}, or a function that returns it")
        if not is_printable(subject_token_type) or not is_printable(actor_token_type):
            raise ConfigurationError(f"the type of a token is a URI, such as {_ACCESS_TOKEN}")
        if requested_token_type not in (None, _ACCESS_TOKEN, _JWT):
            raise ConfigurationError(f"requested_token_type= is {_ACCESS_TOKEN} or {_JWT}: it is to call an API with")
        super().__init__(issuer, client_id=client_id, **options)
        self._subject, self._subject_type = subject_token, subject_token_type
        self._actor, self._actor_type = actor_token, actor_token_type
        self._requested = requested_token_type

    def fetch(self, identity: Identity) -> IssuedToken:
        """Exchange the token for one that is bound to *identity*'s certificate.

        Does NOT verify the token: a client does not know its form (RFC 9068 §6).

        Raises:
            GrantError, ClientError: as for `ClientCredentials.fetch`; ``identity_unusable``, if a function does not
                give its token.
        """
        subject = ask_for(self._subject, "the subject token")
        form = [("grant_type", _GRANT_TYPE), ("subject_token", subject), ("subject_token_type", self._subject_type)]
        secrets = [subject]
        if self._actor is not None:
            actor = ask_for(self._actor, "the actor token")
            form += [("actor_token", actor), ("actor_token_type", self._actor_type)]
            secrets.append(actor)
        if self._requested is not None:
            form.append(("requested_token_type", self._requested))
        members = self._endpoint.ask(identity, [*form, *self._form], secrets)
        token = read_token(members)
        # RFC 8693 §2.2.1: issued_token_type is REQUIRED.
        if members.get("issued_token_type") not in (_ACCESS_TOKEN, self._requested or _ACCESS_TOKEN):
            raise strange("its issued_token_type is not that of an access token")
        return token
