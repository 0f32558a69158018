"""What happened: event values, and the protocol of whoever wants to know.

An event holds identifiers, never a token or a key. The reference of a `Refused` event is the one that the client was
sent, so one finds the other.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from ..errors import Reason


__all__ = ["Accepted", "Event", "Monitor", "Refused", "emit"]


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


Event = Accepted | Refused


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

        logging.getLogger("tokenbind").exception("the monitor failed on an event; the verdict stands")
