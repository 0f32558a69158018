"""A monitor that remembers."""

from __future__ import annotations

from ..errors import Reason
from ..monitoring import Accepted, Event, Refused


__all__ = ["RecordingMonitor"]


class RecordingMonitor:
    """Keeps every event, in order, in `events`."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def record(self, event: Event, /) -> None:
        """Keep *event*."""
        self.events.append(event)

    @property
    def accepted(self) -> list[Accepted]:
        """The tokens that were accepted."""
        return [event for event in self.events if isinstance(event, Accepted)]

    @property
    def refused(self) -> list[Refused]:
        """The refusals of the verifier."""
        return [event for event in self.events if isinstance(event, Refused)]

    @property
    def last_reason(self) -> Reason | None:
        """Why the last event was a refusal; None if it was none."""
        last = self.events[-1] if self.events else None
        return last.reason if isinstance(last, Refused) else None
