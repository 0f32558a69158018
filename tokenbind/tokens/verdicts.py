"""Tells a monitor of a verifier's verdicts."""

from __future__ import annotations

from ..binding import PeerCertificate
from ..errors import InvalidToken, Reason, Unavailable
from ..monitoring import Accepted, Monitor, Refused, emit
from .bound_token import VerifiedToken


__all__ = ["report_accepted", "report_refused"]


def report_accepted(
    monitor: Monitor, token: VerifiedToken, peer: PeerCertificate | None, thumbprint: str | None, refusal: Reason | None
) -> None:
    source = None if peer is None else peer.source
    emit(
        monitor,
        Accepted(token.issuer, token.client_id, token.subject, token.token_id, thumbprint, refusal, source),
    )


def report_refused(
    monitor: Monitor | None,
    error: InvalidToken | Unavailable,
    peer: PeerCertificate | None,
    token: VerifiedToken | None = None,
) -> None:
    """Tell *monitor*, if there is one; *token*, if its signature and claims were good, says whose it is."""
    if monitor is None:
        return
    event = Refused(
        error.reason,
        str(error),
        error.reference,
        error.status,
        expected=getattr(error, "expected", None),
        presented=getattr(error, "presented", None),
        source=None if peer is None else peer.source,
    )
    if token is not None:
        event = event._replace(
            issuer=token.issuer, client_id=token.client_id, subject=token.subject, token_id=token.token_id
        )
    emit(monitor, event)
