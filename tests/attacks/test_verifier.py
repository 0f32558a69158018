"""Every row of the table through `TokenVerifier`, under every binding policy."""

from datetime import datetime, timezone
import traceback

import pytest

from tokenbind import BindingPolicy, Reason
from tokenbind.monitoring import Accepted, Refused

from .asserting import assert_no_token_text, assert_refused, asynchronous, peer_of, sync
from .table import CASES


every_case = pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])


def moment(kit, seconds):
    return datetime.fromtimestamp(kit.clock() + seconds, timezone.utc)


def test_names_are_unique():
    """No row of the table hides another."""
    assert len(CASES) == len({case.name for case in CASES})


@pytest.mark.parametrize("verify", [sync, asynchronous])
@every_case
def test_the_verdict(kit, case, verify):
    """The verifier gives each token its verdict, with the exact reason, and says so to the monitor."""
    token, client = case.build(kit)
    if case.reason is None:
        bound = verify(kit.verifier, token, client.peer)
        assert client.thumbprint == bound.thumbprint
        assert isinstance(kit.monitor.events[-1], Accepted)
        assert_no_token_text(token, repr(bound), repr(kit.monitor.events[-1]))
        return
    error = assert_refused(case.reason, kit.verifier, token, peer_of(client), verify)
    event = kit.monitor.events[-1]
    assert isinstance(event, Refused)
    assert_no_token_text(token, str(error), repr(error), repr(event), "".join(traceback.format_exception(error)))
    assert (case.reason, error.reference, 401) == (event.reason, event.reference, event.status)
    mismatch = case.reason is Reason.CERTIFICATE_MISMATCH
    assert (client.thumbprint if mismatch else None) == error.presented


@every_case
def test_unbound_tokens_allowed(kit, case):
    """Attack 4: when_present lets a token without cnf pass as unproven, and nothing else."""
    verifier = kit.verifier.with_binding(BindingPolicy.WHEN_PRESENT)
    token, client = case.build(kit)
    if case.reason is Reason.TOKEN_UNBOUND:
        bound = verifier.verify(token, peer_of(client))
        assert (None, None) == (bound.thumbprint, bound.binding_refusal)
    elif case.reason is None:
        assert client.thumbprint == verifier.verify(token, client.peer).thumbprint
    else:
        assert_refused(case.reason, verifier, token, peer_of(client))


@every_case
def test_report_only(kit, case):
    """Report-only lets exactly three reasons pass, reports them, and never exposes a thumbprint that is not proven."""
    verifier = kit.verifier.with_binding(BindingPolicy.unsafe_report_only(until=moment(kit, 1)))
    token, client = case.build(kit)
    if case.reason in (Reason.TOKEN_UNBOUND, Reason.CERTIFICATE_MISSING, Reason.CERTIFICATE_MISMATCH):
        bound = verifier.verify(token, peer_of(client))
        assert (None, case.reason) == (bound.thumbprint, bound.binding_refusal)
        assert (None, case.reason) == (kit.monitor.accepted[-1].thumbprint, kit.monitor.accepted[-1].binding_refusal)
    elif case.reason is None:
        bound = verifier.verify(token, client.peer)
        assert (client.thumbprint, None) == (bound.thumbprint, bound.binding_refusal)
    else:
        assert_refused(case.reason, verifier, token, peer_of(client))


@every_case
def test_report_only_has_ended(kit, case):
    """From its end on, report-only is required."""
    verifier = kit.verifier.with_binding(BindingPolicy.unsafe_report_only(until=moment(kit, 0)))
    token, client = case.build(kit)
    if case.reason is None:
        assert client.thumbprint == verifier.verify(token, client.peer).thumbprint
    else:
        assert_refused(case.reason, verifier, token, peer_of(client))


def test_report_only_ends_while_it_runs(tokenbind_kit):
    """A verifier refuses the stolen token that it has let pass, and remembers, as soon as its end has come."""
    token, clock = tokenbind_kit.mint(tokenbind_kit.client()), tokenbind_kit.clock
    verifier = tokenbind_kit.verifier.with_binding(BindingPolicy.unsafe_report_only(until=moment(tokenbind_kit, 10)))
    clock.move(9)
    assert Reason.CERTIFICATE_MISSING == verifier.verify(token, None).binding_refusal
    clock.move(1)
    assert_refused(Reason.CERTIFICATE_MISSING, verifier, token, None)
