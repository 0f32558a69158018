"""Every row of the table through both middlewares, over real mutual TLS."""

import logging
import re

import pytest

from tokenbind import Reason
from tokenbind.monitoring import Accepted, Refused

from .asserting import assert_no_token_text
from .serving import refusal
from .table import CASES


STATUS = {Reason.AUTHORIZATION_MALFORMED: (400, "invalid_request")}


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
def test_the_answer(service, case, caplog):
    """200 for the rightful client; for every attack the one same answer, and its reason in the event alone."""
    monitor = service.kit.monitor
    caplog.set_level(logging.DEBUG)
    token, client = case.build(service.kit)
    if case.in_process:
        answer = service.ask_in_process(client, (b"authorization", b"Bearer " + token.encode()))
    else:
        answer = service.ask_with(client, token)
    event = monitor.events[-1]
    assert_no_token_text(token, caplog.text)
    if case.reason is None:
        assert (200, client.thumbprint) == (answer.status, answer.json.get("thumbprint"))
        assert isinstance(event, Accepted)
        assert ("tls", client.thumbprint) == (event.source, event.thumbprint)
        return
    assert isinstance(event, Refused)
    assert case.over_http == event.reason
    assert re.fullmatch("[0-9a-f]{12}", event.reference)
    status, error = STATUS.get(case.over_http, (401, "invalid_token"))
    assert refusal(status, error, event.reference) == answer
    assert event.reference in caplog.text
