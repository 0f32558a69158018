"""Each client while its certificate, or the CA of its server, is renewed: no request fails."""

from datetime import datetime, timedelta, timezone

import pytest
import trustme

from tokenbind import ClientError, GrantError, Reason
from tokenbind.monitoring import TokenNotFetched
from tokenbind.testing import RecordingMonitor

from .serving import STREAMED, Anchored, not_trusting_the_server, wait_until


AWAY = ClientError(Reason.AUTHORIZATION_SERVER_UNREACHABLE, "no token: it is away")


def call_until(caller, api, client):
    """Call until the API has seen the certificate of *client*; every call is good."""

    def is_seen():
        assert 200 == caller.call(api.url).status
        return api.seen[-1].thumbprint == client.thumbprint

    wait_until(is_seen)


def test_a_new_certificate_has_a_token_and_a_connection_of_its_own(api, open_client, source, client, renewed, grant):
    """One token request, and the connection of the old one is closed when it is idle."""
    caller = open_client()
    call_until(caller, api, client)
    source.client = renewed
    call_until(caller, api, renewed)
    call_until(caller, api, renewed)

    assert [client.thumbprint, renewed.thumbprint] == grant.asked
    connections = {(seen.thumbprint, seen.token, seen.connection) for seen in api.seen}
    assert 2 == len(connections) == len({connection for *_, connection in connections})
    wait_until(lambda: api.connections == 1)


def test_what_is_used_at_once_is_closed_at_once(api, open_client, source, client, renewed, grant):
    """By many threads, or tasks: each has one certificate with the token for it, before, during and after."""
    caller = open_client()
    urls = [api.url] * 8
    answers = caller.call_at_once(urls)
    source.client = renewed
    answers += caller.call_at_once(urls) + caller.call_at_once(urls)
    call_until(caller, api, renewed)

    assert {200} == {answer.status for answer in answers}
    assert [client.thumbprint, renewed.thumbprint] == grant.asked
    ours = {seen.connection for seen in api.seen if seen.thumbprint == renewed.thumbprint}
    wait_until(lambda: api.connections <= len(ours))


def test_an_answer_that_is_being_read_is_not_disturbed(api, open_client, source, client, renewed):
    """Its connection is closed when it has been read."""
    caller = open_client()

    def rotate():
        source.client = renewed
        call_until(caller, api, renewed)
        call_until(caller, api, renewed)

    assert b"".join(STREAMED) == caller.read_slowly(f"{api.url}/stream", rotate)
    assert client.thumbprint == api.seen[0].thumbprint
    wait_until(lambda: api.connections == 1)


def test_the_same_certificate_again_keeps_its_token(api, open_client, source, client, grant):
    """As when files are written anew with what was in them."""
    caller = open_client()
    call_until(caller, api, client)
    source.client = client
    call_until(caller, api, client)

    assert 1 == len(grant.asked) == len({seen.token for seen in api.seen})
    assert 2 == len({seen.connection for seen in api.seen})
    wait_until(lambda: api.connections == 1)


def test_a_new_ca_makes_new_connections_and_keeps_the_token(api, open_client, client, grant):
    """What one trusts says nothing of who one is; and what is no longer trusted gets no more requests."""
    ca = Anchored(api.kit.ca_pem)
    caller = open_client(ca=ca)
    call_until(caller, api, client)
    other = trustme.CA().cert_pem.bytes()
    ca.pem = api.kit.ca_pem + other
    call_until(caller, api, client)

    assert 1 == len(grant.asked) == len({seen.token for seen in api.seen})
    assert 2 == len({seen.connection for seen in api.seen})
    wait_until(lambda: api.connections == 1)
    ca.pem = other
    with not_trusting_the_server():
        caller.call(api.url)
    assert 2 == len(api.seen)


def test_while_the_token_request_hangs_the_last_certificate_serves(api, open_client, source, client, renewed, grant):
    """Nobody waits, and nobody asks twice."""
    caller = open_client()
    call_until(caller, api, client)
    grant.open.clear()
    source.client = renewed
    for _ in range(5):
        call_until(caller, api, client)
    assert [client.thumbprint, renewed.thumbprint] == grant.asked
    grant.open.set()
    call_until(caller, api, renewed)
    assert 2 == len(grant.asked)


@pytest.mark.parametrize("ends_first", ["token", "certificate"])
def test_while_the_authorization_server_is_away_the_last_certificate_serves(
    api, open_client, source, renewed, grant, clock, ends_first
):
    """Until its token or it ends; then the error says what is wrong. When the server is back, so is the client."""
    hours = {"token": 9, "certificate": 9, ends_first: 1}
    end = datetime.now(timezone.utc) + timedelta(hours=hours["certificate"])
    client = api.kit._issue("client", not_after=end)
    grant.expires_in = hours["token"] * 3600.0
    source.client = client
    caller = open_client()
    call_until(caller, api, client)
    grant.failure = AWAY
    source.client = renewed
    call_until(caller, api, client)
    wait_until(lambda: len(grant.asked) == 2)
    for _ in range(20):
        clock.move(170)
        call_until(caller, api, client)
    clock.move(200)
    for _ in range(2):
        with pytest.raises(ClientError, match="no token: it is away") as caught:
            caller.call(api.url)
    assert Reason.AUTHORIZATION_SERVER_UNREACHABLE is caught.value.reason
    grant.failure = None
    clock.move(100)
    call_until(caller, api, renewed)


def test_while_the_new_certificate_is_refused_the_last_one_is_renewed(
    api, open_client, source, client, renewed, grant, clock
):
    """It may not be registered yet. Neither is asked for more often than it takes."""
    monitor = RecordingMonitor()
    caller = open_client(monitor=monitor)
    call_until(caller, api, client)
    registered = {client.thumbprint}
    mint = grant.mint

    def mint_for_the_registered(identity):
        if identity.thumbprint not in registered:
            raise GrantError("invalid_client")
        return mint(identity)

    grant.mint, source.client = mint_for_the_registered, renewed
    for _ in range(30):
        clock.move(60)
        call_until(caller, api, client)
    assert 6 <= grant.asked.count(client.thumbprint) <= 10  # in half an hour, each for five minutes
    assert 15 <= grant.asked.count(renewed.thumbprint) <= 31
    told = [event for event in monitor.events if isinstance(event, TokenNotFetched)]
    assert {renewed.thumbprint} == {event.thumbprint for event in told}
    assert client.thumbprint in {event.serving for event in told}
    registered.add(renewed.thumbprint)
    clock.move(100)
    call_until(caller, api, renewed)


def test_a_new_certificate_that_is_not_valid_yet_waits(api, open_client, source, client, grant):
    """The last one serves, and nobody is asked for a token."""
    caller = open_client()
    call_until(caller, api, client)
    tomorrow = datetime.now(timezone.utc) + timedelta(days=1)
    source.client = api.kit._issue("client", not_before=tomorrow, not_after=tomorrow + timedelta(days=1))
    for _ in range(3):
        call_until(caller, api, client)
    assert 1 == len(grant.asked)


def test_a_function_that_has_not_noticed_yet(api, open_client, source, client, renewed):
    """It goes on giving the last certificate's token, which is sent with that certificate."""
    known = client
    caller = open_client(tokens=lambda: api.kit.mint(known))
    call_until(caller, api, client)
    source.client = renewed
    call_until(caller, api, client)
    known = renewed
    call_until(caller, api, renewed)
    known = client
    with pytest.raises(ClientError, match="another certificate"):  # that one is over
        caller.call(api.url)
