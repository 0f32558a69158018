"""What each client does when the API answers 401: once more, with another token, or not at all."""

import pytest

from tokenbind import ClientError, Reason

from .serving import wait_until


@pytest.mark.parametrize("body", [None, b"", b"body"])
def test_a_refused_request_is_sent_once_more(api, open_client, grant, body):
    """With another token and the same body, over the same connection; the caller sees the second answer."""
    caller = open_client()
    answer = caller.call(f"{api.url}/refuse-once", "GET" if body is None else "POST", body=body)

    assert (200, b"client") == answer[:2]
    assert "Bearer" not in str(answer.request_headers)
    assert [(401, body or b""), (200, body or b"")] == [(seen.status, seen.body) for seen in api.seen]
    assert 2 == len({seen.token for seen in api.seen}) == len(grant.asked)
    assert 1 == len({seen.connection for seen in api.seen})
    assert 200 == caller.call(api.url).status
    assert 2 == len(grant.asked)


def test_without_a_challenge_too(api, open_client):
    """Gateways say nothing at all."""
    api.challenge = None
    assert 200 == open_client().call(f"{api.url}/refuse-once").status
    assert 2 == len(api.seen)


@pytest.mark.parametrize(
    "challenge", ['Bearer realm="api", error="insufficient_scope"', 'Bearer realm="api"', 'Basic realm="api"']
)
def test_what_another_token_would_not_change_is_not_sent_again(api, open_client, grant, challenge):
    """RFC 6750 §3.1 speaks of invalid_token alone. The caller has the answer as it is."""
    api.challenge = challenge
    answer = open_client().call(f"{api.url}/refuse")
    assert (401, b"refused", challenge) == (answer.status, answer.body, answer.headers["www-authenticate"])
    assert 1 == len(api.seen) == len(grant.asked)


def test_what_is_refused_for_ever_makes_few_token_requests(api, open_client, grant, clock):
    """One at once, and one half a minute later; the caller has every answer."""
    caller = open_client()
    for _ in range(2):
        assert [(401, b"refused")] * 10 == [caller.call(f"{api.url}/refuse")[:2] for _ in range(10)]
        clock.move(31)
    assert (3, 22) == (len(grant.asked), len(api.seen))
    assert {401} == {seen.status for seen in api.seen}


def test_many_that_are_refused_at_once_make_one_token_request(api, open_client, grant):
    """All wait for the same other token."""
    answers = open_client().call_at_once([f"{api.url}/refuse"] * 16)
    assert [(401, b"refused")] * 16 == [answer[:2] for answer in answers]
    assert 2 == len(grant.asked) == len({seen.token for seen in api.seen})


def test_a_body_that_is_used_up_is_not_sent_again(api, open_client, grant):
    """It would arrive empty, and be taken. The next request has another token."""
    caller = open_client()
    answer = caller.call(f"{api.url}/refuse-once", "POST", body=iter([b"bo", b"dy"]))

    assert (401, b"refused") == answer[:2]
    assert [b"body"] == [seen.body for seen in api.seen]
    wait_until(lambda: len(grant.asked) == 2)
    wait_until(lambda: caller.call(api.url) and len({seen.token for seen in api.seen}) == 2)


def test_it_can_be_switched_off(api, open_client, grant):
    """The next request has another token all the same."""
    caller = open_client(replay_on_401=False)
    assert (401, b"refused") == caller.call(f"{api.url}/refuse-once")[:2]
    assert 1 == len(api.seen)
    wait_until(lambda: caller.call(api.url) and len({seen.token for seen in api.seen}) == 2)
    assert 2 == len(grant.asked)


def test_without_another_token_the_answer_stands(api, open_client, grant, client):
    """The authorization server is away, or refuses; a function has no other."""
    caller = open_client()
    caller.call(api.url)
    grant.failure = ClientError(Reason.AUTHORIZATION_SERVER_UNREACHABLE, "no token: it is away")
    token = api.kit.mint(client)
    for one in (caller, caller, open_client(tokens=lambda: token)):
        assert (401, b"refused") == one.call(f"{api.url}/refuse")[:2]
    assert (4, 2) == (len(api.seen), len(grant.asked))


def test_a_function_may_have_another(api, open_client, client):
    """It is asked once more."""
    tokens = iter([api.kit.mint(client) for _ in range(2)])
    assert 200 == open_client(tokens=lambda: next(tokens)).call(f"{api.url}/refuse-once").status
    assert [401, 200] == [seen.status for seen in api.seen]


def test_a_certificate_renewed_meanwhile_is_used(api, open_client, source, client, renewed, grant):
    """For the second time of the same request: on a connection of its own, with its token."""
    caller = open_client()
    caller.call(api.url)
    grant.open.clear()
    source.client = renewed
    api.when_refusing = grant.open.set
    assert 200 == caller.call(f"{api.url}/refuse-once").status

    seen = api.seen[1:]
    assert [(401, client.thumbprint), (200, renewed.thumbprint)] == [(one.status, one.thumbprint) for one in seen]
    assert [client.thumbprint, renewed.thumbprint] == grant.asked
