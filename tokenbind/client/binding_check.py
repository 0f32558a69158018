"""A last look at a token before it is sent: does it name the certificate that it is sent with?"""

from __future__ import annotations

from typing import Literal

from ..binding import Confirmation
from ..errors import ClientError, InvalidToken, Reason
from ..tokens.compact import read_base64url, read_compact, read_json_object
from ..transport import Identity
from .grants import is_bearer_token


__all__ = ["CheckBinding", "require_token_of"]

CheckBinding = Literal["auto", "require", "off"]


def require_token_of(token: str, identity: Identity, check: CheckBinding = "auto") -> None:
    """Pass if *token* names *identity*'s certificate, or is opaque, so that nothing can be seen of it.

    A server that ignores our certificate gives an unbound token, and one behind a proxy binds to the proxy's; both
    would fail at the API, or worse, work there without protection.

    Does NOT verify the token: who signed it, and whether it is one of the issuer's, is the API's business.

    Args:
        check: ``auto``; ``require`` refuses opaque tokens too, ``off`` takes any that can stand in a header.

    Raises:
        ClientError: ``token_malformed`` if it cannot stand in a header; ``token_unbound``, ``certificate_mismatch``, or
            why its ``cnf`` is no good.
    """
    if type(token) is not str or not is_bearer_token(token):
        raise ClientError(
            Reason.TOKEN_MALFORMED,
            "what was given as a token is none: text without white space (RFC 6750 §2.1)",
        )
    if check == "off":
        return
    try:
        claims = read_json_object(read_base64url(read_compact(token.encode()).payload))
    except InvalidToken:
        if check == "require":
            raise ClientError(
                Reason.TOKEN_UNBOUND, "the token is opaque, so it cannot be seen whether it is bound"
            ) from None
        return
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
