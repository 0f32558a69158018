"""The refresh token grant (RFC 6749 §6): a token that gets tokens, and may be exchanged for its successor."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Unpack

from ..errors import ClientError, ConfigurationError, Reason
from ..tokens.forking import Forking
from ..transport import Identity
from .client_authentication import is_printable
from .grants import EndpointGrant, EndpointOptions
from .token_response import IssuedToken, read_token, strange


__all__ = ["RefreshToken"]

_HINT = (
    "the refresh token has ended, has been used, or is another client's; that of a public client is bound to the "
    "certificate with which it was issued (RFC 8705 §4)"
)


class RefreshToken(EndpointGrant, Forking):
    """The refresh token grant (RFC 6749 §6).

    If the server answers with a new refresh token, that one counts from then on. A request is never sent twice: a
    server that changes refresh tokens may take the second for theft, and end them all (RFC 9700 §4.14.2). So requests
    go one after the other, and one refresh token belongs to one process.

    A refresh token of a public client (``authentication="none"``) is bound to the certificate with which it was issued
    (RFC 8705 §4): it does not outlive it, and a renewed certificate needs a new login. Those of other clients are bound
    by what authenticates the client, and outlive certificates.

    Args:
        issuer: As for `ClientCredentials`, and so are the arguments that are not named here.
        refresh_token: The one to begin with.
        on_new_refresh_token: Called with each new one, to save it, before the access token is used, from the thread
            that fetches. While it fails, no token is fetched.

    Raises:
        ConfigurationError: if an argument cannot be right.
    """

    def __init__(
        self,
        issuer: str,
        *,
        client_id: str,
        refresh_token: str,
        on_new_refresh_token: Callable[[str], object] | None = None,
        **options: Unpack[EndpointOptions],
    ) -> None:
        if not is_printable(refresh_token):
            raise ConfigurationError("refresh_token= is printable text, without the line break that ends its file")
        if on_new_refresh_token is not None and not callable(on_new_refresh_token):
            raise ConfigurationError("on_new_refresh_token= must be a function of the new refresh token")
        EndpointGrant.__init__(self, issuer, client_id=client_id, **options)
        self._refresh_token = refresh_token
        self._save = on_new_refresh_token
        self._unsaved = False
        Forking.__init__(self)

    def _be_born(self) -> None:
        self._lock = Lock()

    def fetch(self, identity: Identity) -> IssuedToken:
        """Ask for a token; waits while another thread does.

        Does NOT verify the token: a client does not know its form (RFC 9068 §6).

        Raises:
            GrantError: if the server refuses (RFC 6749 §5.2); ``invalid_grant``: it does not take the refresh token.
            ClientError: as for `ClientCredentials.fetch`; ``identity_unusable``, if a new refresh token is not saved.
        """
        if not self._lock.acquire(timeout=self._endpoint.timeout_seconds):
            raise ClientError(
                Reason.AUTHORIZATION_SERVER_UNREACHABLE,
                "no token: another request with this refresh token is under way",
            )
        try:
            return self._fetch(identity)
        finally:
            self._lock.release()

    def _fetch(self, identity: Identity) -> IssuedToken:
        self._hand_over()
        refresh_token = self._refresh_token
        form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token), *self._form]
        members = self._endpoint.ask(identity, form, [refresh_token], hints={"invalid_grant": _HINT}, once=True)
        new = members.get("refresh_token")
        if new is not None and not is_printable(new):
            raise strange("its refresh_token is no text")
        if new is not None and new != refresh_token:
            self._refresh_token, self._unsaved = new, True
        self._hand_over()
        return read_token(members)  # last: the old refresh token may have ended, whatever else is wrong

    def _hand_over(self) -> None:
        """Before anything else, so that the new one is not lost if this process ends."""
        if self._save is not None and self._unsaved:
            try:
                self._save(self._refresh_token)
            except Exception as error:
                raise ClientError(
                    Reason.IDENTITY_UNUSABLE,
                    f"the new refresh token could not be saved: on_new_refresh_token raised {type(error).__name__}",
                ) from error
        self._unsaved = False
