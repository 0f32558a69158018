"""Holds the token of the current identity, and checks that it is that identity's before anyone sends it."""

from __future__ import annotations

from collections.abc import Callable
import threading
from time import monotonic

from ..binding import Confirmation
from ..errors import ClientError, ConfigurationError, InvalidToken, Reason
from ..tokens.compact import read_base64url, read_compact, read_json_object
from ..transport import Identity
from .grants import Grant, is_bearer_token


__all__ = ["TokenCache", "require_token_of"]

_FRESH_PART = 0.8  # of a token's life, after which a new one is fetched


class TokenCache:
    """The token for an identity: from a callable at every call, or from a grant and remembered. Safe for threads.

    At most one thread fetches at a time; the others wait for what it gets.
    """

    def __init__(self, tokens: Grant | Callable[[], str]) -> None:
        if not callable(tokens) and not callable(getattr(tokens, "fetch", None)):
            raise ConfigurationError("the tokens come from a grant, or from a function, such as lambda: token")
        self._tokens = tokens
        self._lock = threading.Lock()
        self._thumbprint = ""
        self._token = ""
        self._fresh_until = 0.0

    def get(self, identity: Identity) -> str:
        """The token to send with *identity*.

        Raises:
            ClientError: from the grant, or ``certificate_mismatch`` and ``token_unbound`` if the token is a JWT that
                does not name *identity*'s certificate.
        """
        if callable(self._tokens):
            token = self._tokens()
            require_token_of(token, identity)
            return token
        with self._lock:
            asked_at = monotonic()
            if self._thumbprint != identity.thumbprint or asked_at >= self._fresh_until:
                issued = self._tokens.fetch(identity)
                require_token_of(issued.access_token, identity)
                self._token, self._thumbprint = issued.access_token, identity.thumbprint
                self._fresh_until = asked_at + issued.expires_in_seconds * _FRESH_PART
            return self._token


def require_token_of(token: str, identity: Identity) -> None:
    """Pass if *token* names *identity*'s certificate, or is opaque, so that nothing can be seen of it.

    A server that ignores our certificate gives an unbound token, and one behind a proxy binds to the proxy's; both
    would fail at the API, or worse, work there without protection.

    Raises:
        ClientError: ``token_malformed`` if it cannot stand in a header; ``token_unbound``, ``certificate_mismatch``, or
            why its ``cnf`` is no good.
    """
    if type(token) is not str or not is_bearer_token(token):
        raise ClientError(
            Reason.TOKEN_MALFORMED,
            "what was given as a token is none: text without white space (RFC 6750 §2.1)",
        )
    try:
        claims = read_json_object(read_base64url(read_compact(token.encode()).payload))
    except InvalidToken:
        return  # not a JWT
    try:
        confirmation = Confirmation.from_claims(claims)
    except InvalidToken as error:
        raise ClientError(error.reason, f"the authorization server's token is not usable: {error}") from None
    if confirmation is None:
        raise ClientError(
            Reason.TOKEN_UNBOUND,
            "the authorization server gave a token without cnf: did its mutual-TLS endpoint see our certificate?",
        )
    if confirmation.thumbprint != identity.thumbprint:
        raise ClientError(
            Reason.CERTIFICATE_MISMATCH,
            "the token was made for another certificate than the one that we present (it names "
            f"{confirmation.thumbprint}, ours is {identity.thumbprint}); if it comes straight from the authorization "
            "server, a proxy may end TLS before that",
        )
