"""What happened: event values, and the protocol of whoever wants to know.

An event holds identifiers, never a token or a key. The reference of a `Refused` event is the one that the client was
sent, so one finds the other.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple, Protocol

from ..errors import Reason


__all__ = [
    "Accepted",
    "ClientEvent",
    "Event",
    "IdentityRotated",
    "Monitor",
    "Refused",
    "RequestRetried",
    "TokenFetched",
    "TokenNotFetched",
    "TokenRejected",
    "emit",
]


class Accepted(NamedTuple):
    """A token was verified, and its binding holds (or the policy let it pass).

    Attributes:
        issuer, client_id, subject, token_id: Claims of the token, verified; None where the profile has none.
        thumbprint: The proven thumbprint, or None.
        binding_refusal: In report-only mode, why the token would have been refused.
        source: The peer source that gave the certificate, or None without one.
    """

    issuer: str
    client_id: str | None
    subject: str | None
    token_id: str | None
    thumbprint: str | None
    binding_refusal: Reason | None
    source: str | None


class Refused(NamedTuple):
    """A request was refused, or could not be answered.

    Attributes:
        reason: The stable word for why.
        detail: The same for a person. Not for the client.
        reference: The random characters that the client was sent.
        status: The HTTP status of the answer.
        expected, presented: On a certificate mismatch, both thumbprints.
        issuer, client_id, subject, token_id: Claims of the token if its signature and claims were good, whoever
            presented it: with ``certificate_mismatch`` they say whose token was stolen. None otherwise.
        source: The peer source that gave the certificate, or None without one.
    """

    reason: Reason
    detail: str
    reference: str
    status: int
    expected: str | None = None
    presented: str | None = None
    issuer: str | None = None
    client_id: str | None = None
    subject: str | None = None
    token_id: str | None = None
    source: str | None = None


class IdentityRotated(NamedTuple):
    """A client goes on with another certificate; its connections with the last one are closed as they fall idle.

    Attributes:
        previous, thumbprint: Of the certificates, before and now.
        not_after: The end of the new one's validity, aware, in UTC.
    """

    previous: str
    thumbprint: str
    not_after: datetime


class TokenFetched(NamedTuple):
    """A client got a token.

    Attributes:
        issuer: The issuer that the grant names; None if it names none.
        thumbprint: Of the certificate that the token is for.
        lifetime_seconds: For how long it will be used; never past the certificate's end.
        took_seconds: From asking to having it.
    """

    issuer: str | None
    thumbprint: str
    lifetime_seconds: float
    took_seconds: float


class TokenNotFetched(NamedTuple):
    """A client got no token, or none that is bound to its certificate.

    Attributes:
        issuer: The issuer that the grant names; None if it names none.
        thumbprint: Of the certificate that the token was to be for.
        reason: The stable word for why.
        detail: The same for a person.
        retry_in_seconds: For how long nobody is asked again.
        serving: The thumbprint of the certificate with whose token requests go on; None if there is none, and they
            fail.
        serving_seconds: For how long they can.
    """

    issuer: str | None
    thumbprint: str
    reason: Reason
    detail: str
    retry_in_seconds: float
    serving: str | None = None
    serving_seconds: float = 0.0


class TokenRejected(NamedTuple):
    """An API answered a client 401.

    Attributes:
        origin: The API's.
        thumbprint: Of the certificate that the request was sent with.
        error: The ``error`` of the Bearer challenge, or None.
    """

    origin: str
    thumbprint: str
    error: str | None


class RequestRetried(NamedTuple):
    """After that, a client sends the same request once more, with another token.

    Attributes:
        origin: The API's.
        thumbprint: Of the certificate that it is sent with now.
    """

    origin: str
    thumbprint: str


ClientEvent = IdentityRotated | TokenFetched | TokenNotFetched | TokenRejected | RequestRetried
Event = Accepted | Refused | ClientEvent


class Monitor(Protocol):
    """Takes every event."""

    def record(self, event: Event, /) -> None:
        """Called on the request's own thread or event loop: hand slow work on."""


def emit(monitor: Monitor, event: Event) -> None:
    """Give *event* to *monitor*; a monitor that raises is logged and changes no verdict."""
    try:
        monitor.record(event)
    except Exception:
        import logging

        logging.getLogger("tokenbind").exception("the monitor failed on an event; nothing else changes by that")
