"""`emit`: a monitor is told, and cannot do harm."""

import logging

import pytest

from tokenbind import Reason
from tokenbind.monitoring import Accepted, Refused, emit
from tokenbind.testing import RecordingMonitor


EVENTS = [
    Accepted("https://as.example", "billing", "alice", "t1", "A" * 43, None, "tls"),
    Refused(Reason.TOKEN_EXPIRED, "the token expired 5 seconds ago", "0123456789ab", 401),
]


def test_events_arrive(caplog):
    """The monitor is given the very event, and nothing is logged."""
    monitor = RecordingMonitor()
    for event in EVENTS:
        emit(monitor, event)

    assert EVENTS == monitor.events
    assert not caplog.records


@pytest.mark.parametrize("event", EVENTS)
def test_a_monitor_that_fails_is_logged(event, caplog):
    """Any Exception of a monitor ends in the log, with its traceback."""

    class Broken:
        def record(self, event, /):
            raise OSError("disk full")

    emit(Broken(), event)

    [record] = caplog.records
    assert ("tokenbind", logging.ERROR, "nothing else changes by that") == (
        record.name,
        record.levelno,
        record.getMessage().split("; ")[1],
    )
    assert OSError is record.exc_info[0]


def test_an_interrupt_is_not_swallowed():
    """What is no Exception, such as Ctrl-C, is not the monitor's to lose."""

    class Interrupted:
        def record(self, event, /):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        emit(Interrupted(), EVENTS[0])


def test_events_are_immutable_and_hold_no_secret():
    """An event has identifiers only: no member of it is a token, a claim set or a key."""
    with pytest.raises(AttributeError):
        EVENTS[0].subject = "root"

    identifiers = {"issuer", "client_id", "subject", "token_id", "source"}
    assert identifiers | {"thumbprint", "binding_refusal"} == set(Accepted._fields)
    words = {"reason", "detail", "reference", "status", "expected", "presented"}
    assert identifiers | words == set(Refused._fields)
