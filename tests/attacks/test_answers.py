"""Attacks 67, 68 and 70 on what is answered, and the two refusals that are not the token's fault."""

from datetime import datetime, timedelta, timezone
import logging
import re

import pytest

from tokenbind import BindingPolicy, Reason

from .asserting import assert_no_token_text
from .serving import bearer


def good(kit):
    return kit.mint(kit.client()), kit.client()


REFUSED = {
    Reason.CERTIFICATE_MISSING: lambda kit: (kit.mint(kit.client()), None),
    Reason.CERTIFICATE_MISMATCH: lambda kit: (kit.mint(kit.client()), kit.client("stranger")),
    Reason.TOKEN_UNBOUND: lambda kit: (kit.unbound(kit.client()), kit.client()),
    Reason.TOKEN_MALFORMED: lambda kit: ("junk", None),
    Reason.KEY_UNKNOWN: lambda kit: (kit.sign(kit.claims(kit.client()), key=kit.foreign_key), kit.client()),
    Reason.SIGNATURE_INVALID: lambda kit: (
        kit.sign(kit.claims(kit.client()), key=kit.foreign_key_with_our_kid),
        kit.client(),
    ),
    Reason.TOKEN_EXPIRED: lambda kit: (kit.sign(kit.claims(kit.client(), exp=1)), kit.client()),
    Reason.AUDIENCE_MISMATCH: lambda kit: (kit.sign(kit.claims(kit.client(), aud="other")), kit.client()),
    Reason.ALGORITHM_REFUSED: lambda kit: (kit.sign(kit.claims(kit.client()), header={"alg": "none"}), kit.client()),
    Reason.CONFIRMATION_UNSUPPORTED: lambda kit: (
        kit.sign(kit.claims(kit.client(), cnf={"jkt": "x"})),
        kit.client(),
    ),
}


def test_attack_68_one_answer(service):
    """Attack 68: every refused token is answered in the same bytes, but for a reference that its event carries too."""
    monitor, answers, references = service.kit.monitor, set(), set()
    for reason, build in REFUSED.items():
        token, client = build(service.kit)
        answer = service.ask_for_bytes(client, bearer(token))
        event = monitor.refused[-1]
        assert reason == event.reason
        assert 2 == answer.count(event.reference.encode()), "in the header and in the body"
        references.add(event.reference)
        answer = re.sub(rb"(?im)^date: .*\r\n", b"", answer)
        answers.add(answer.replace(event.reference.encode(), b"REFERENCE"))
    assert len(REFUSED) == len(references)
    assert all(re.fullmatch("[0-9a-f]{12}", reference) for reference in references)
    (answer,) = answers
    assert re.match(rb"HTTP/1\.[01] 401 Unauthorized\r\n", answer)


@pytest.mark.parametrize("target", ["path", "header", "query"])
def test_attack_67_nothing_is_reflected(service, target, caplog):
    """Attack 67: what a request says, wherever it says it, stands neither in the answer nor in the log."""
    caplog.set_level(logging.DEBUG)
    mark = "<q7Jw-marker-of-the-attacker-Zk3>"
    client = service.kit.client()
    token = service.kit.mint(client)
    answer = {
        "path": lambda: service.ask(client, target=f"/{mark}".encode()),
        "header": lambda: service.ask(client, f"Authorization: Bearer {mark}".encode()),
        "query": lambda: service.ask_with(client, token, target=f"/?access_token={mark}".encode()),
    }[target]()
    assert answer.status in (400, 401)
    assert_no_token_text(mark, str(answer), caplog.text, repr(service.kit.monitor.events[-1]))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("/", "no-store", id="attack-70-unmarked"),
        pytest.param("/public", "public, max-age=600, private", id="attack-70-public"),
        pytest.param("/private", "private", id="attack-70-private"),
        pytest.param("/kept", "no-store", id="attack-70-no-store"),
    ],
)
def test_no_shared_cache(service, path, expected):
    """Attack 70: no shared cache may keep the answer to a bound request, whatever the application says."""
    token, client = good(service.kit)
    assert expected == service.ask_with(client, token, target=path.encode()).headers["cache-control"]


def test_attack_70_refusals_are_not_kept(service):
    """Attack 70: neither may any cache keep a refusal; the answer of an exempt path is the application's own."""
    assert "no-store" == service.ask(None).headers["cache-control"]
    assert "cache-control" not in service.ask(None, target=b"/health").headers


@pytest.mark.parametrize("policy", ["required", "when_present", "report_only"])
@pytest.mark.parametrize("server", ["silent", "plain"])
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("bound", [True, False], ids=["bound-token", "unbound-token"])
def test_no_word_of_the_connection(service, policy, server, scheme, bound):
    """Plain HTTP, or a server that does not say, is 503 in every mode: not knowing is not "no certificate"."""
    kit = service.kit
    policies = {
        "required": BindingPolicy.REQUIRED,
        "when_present": BindingPolicy.WHEN_PRESENT,
        "report_only": BindingPolicy.unsafe_report_only(until=datetime.now(timezone.utc) + timedelta(days=1)),
    }
    app = service.guarded(kit.verifier.with_binding(policies[policy]))
    client = kit.client()
    header = (b"authorization", b"Bearer " + (kit.mint(client) if bound else kit.unbound(client)).encode())
    asked = service.without_tls(app) if server == "plain" else app
    answer = service.call(asked, header, url=f"{scheme}://api.example/")
    assert (503, Reason.CERTIFICATE_SOURCE_MISSING) == (answer.status, service.reason)
    assert "www-authenticate" not in answer.headers
    assert "temporarily_unavailable" == answer.json["error"]
    passes = bound or policy != "required"
    assert (200 if passes else 401) == service.ask_in_process(client, header, app=app).status


def test_early_data(service):
    """A request that a proxy took as early data gets 425: it can be replayed, and proves no key."""
    token, client = good(service.kit)
    answer = service.ask_with(client, token, b"Early-Data: 1")
    assert (425, Reason.EARLY_DATA) == (answer.status, service.reason)
    assert "www-authenticate" not in answer.headers
    assert 200 == service.ask_with(client, token).status


def test_a_changed_claim_is_not_seen_by_the_next_request(service):
    """The application changes the claims that it is given, nested ones too; the next request has them as minted."""
    client = service.kit.client()
    token = service.kit.mint(client, claims={"tenant": {"roles": ["reader"]}})
    for _ in range(3):
        claims = service.ask_with(client, token).json["claims"]
        assert ({"roles": ["reader"]}, False) == (claims["tenant"], "admin" in claims)
