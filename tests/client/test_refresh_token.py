"""Refresh tokens: used once at a time, never twice by accident, and their successors are not lost."""

import os
from threading import Thread

import pytest

from tokenbind import ClientError, GrantError, Reason, SigningKey
from tokenbind.client import token_endpoint
from tokenbind.client.client_authentication import PrivateKeyJWT
from tokenbind.client.refresh_token import RefreshToken

from .authorization_server import answer


@pytest.fixture
def refreshing(authorization_server, grant_of, monkeypatch):
    """Call it with further arguments for a grant that begins with the refresh token "s3cret"."""
    authorization_server.refresh_tokens["s3cret"] = "billing", None
    monkeypatch.setattr(token_endpoint, "sleep", lambda _: None)
    return lambda **options: grant_of(RefreshToken, refresh_token="s3cret", **options)


def sent(server):
    """The refresh tokens that came."""
    return [dict(form)["refresh_token"] for form in server.forms]


def test_a_refresh_token_gets_bound_tokens(
    authorization_server, refreshing, tokenbind_client, tokenbind_stranger, tokenbind_kit
):
    """With what authenticates the client; that of another gets none."""
    grant = refreshing(scope="a")
    for _ in range(2):
        issued = grant.fetch(tokenbind_client.identity.current())
        assert True is authorization_server.holds(issued.access_token, tokenbind_client)
        assert Reason.CERTIFICATE_MISMATCH is authorization_server.holds(issued.access_token, tokenbind_stranger)
    assert {"grant_type": "refresh_token", "refresh_token": "s3cret", "scope": "a", "client_id": "billing"} == dict(
        authorization_server.forms[0]
    )
    assert (["s3cret"] * 2, authorization_server.url) == (sent(authorization_server), grant.issuer)
    with pytest.raises(
        GrantError, match=f"refused: invalid_client; is the certificate {tokenbind_stranger.thumbprint} "
    ):
        grant.fetch(tokenbind_stranger.identity.current())


def test_that_of_a_public_client_is_bound_to_the_certificate(
    authorization_server, refreshing, tokenbind_client, tokenbind_stranger, tokenbind_kit
):
    """RFC 8705 §4; the error says so, for a renewed certificate is another one."""
    authorization_server.clients["billing"] = {"method": "none"}
    authorization_server.refresh_tokens["s3cret"] = "billing", tokenbind_client.thumbprint
    grant = refreshing(authentication="none")
    issued = grant.fetch(tokenbind_client.identity.current())
    assert True is authorization_server.holds(issued.access_token, tokenbind_client)
    for other in (tokenbind_stranger, tokenbind_kit.renewed(tokenbind_client)):
        with pytest.raises(
            GrantError, match=r"refused: invalid_grant; .* bound to the certificate .*8705 §4"
        ) as caught:
            grant.fetch(other.identity.current())
        assert ("invalid_grant", None, 400) == (caught.value.error, caught.value.description, caught.value.status)
        assert "s3cret" not in str(caught.value)


def test_that_of_a_client_with_a_key_outlives_certificates(
    authorization_server, refreshing, tokenbind_client, tokenbind_kit
):
    """RFC 8705 §7.1."""
    key = SigningKey.generate()
    authorization_server.clients["billing"] = {"method": "private_key_jwt", "key": key}
    grant = refreshing(authentication=PrivateKeyJWT(key))
    for client in (tokenbind_client, tokenbind_kit.renewed(tokenbind_client)):
        issued = grant.fetch(client.identity.current())
        assert True is authorization_server.holds(issued.access_token, client)
    assert None is refreshing(authentication=PrivateKeyJWT(key)).fetch(tokenbind_client.identity.current()).scope


def test_a_new_refresh_token_counts_and_is_saved_first(authorization_server, refreshing, tokenbind_client):
    """RFC 6749 §6: "the client MUST discard the old refresh token and replace it"."""
    saved = []
    authorization_server.rotating = True
    grant = refreshing(on_new_refresh_token=saved.append)
    for _ in range(3):
        grant.fetch(tokenbind_client.identity.current())
    assert ["s3cret", "s3cret+", "s3cret++"] == sent(authorization_server)
    assert ["s3cret+", "s3cret++", "s3cret+++"] == saved
    assert "s3cret" not in repr(grant)


@pytest.mark.parametrize("new", ["s3cret", None])
def test_the_same_one_is_not_saved_again(authorization_server, refreshing, tokenbind_client, new):
    """Some send it each time; null is none."""
    saved = []
    members = {"access_token": "t", "token_type": "Bearer", "refresh_token": new}
    authorization_server.answers = [answer("200 OK", members)]
    refreshing(on_new_refresh_token=saved.append).fetch(tokenbind_client.identity.current())
    assert [] == saved


def test_without_a_function_it_lives_in_memory(authorization_server, refreshing, tokenbind_client):
    """And counts all the same."""
    authorization_server.rotating = True
    grant = refreshing()
    for _ in range(2):
        grant.fetch(tokenbind_client.identity.current())
    assert ["s3cret", "s3cret+"] == sent(authorization_server)


def test_one_that_cannot_be_saved_stops_the_fetching(authorization_server, refreshing, tokenbind_client):
    """It would be lost with the process. It is kept, and saved before the next request."""
    saved, full = [], [True]

    def save(token):
        if full[0]:
            raise OSError(28, token)
        saved.append(token)

    authorization_server.rotating = True
    grant, identity = refreshing(on_new_refresh_token=save), tokenbind_client.identity.current()
    for _ in range(2):
        with pytest.raises(ClientError, match="could not be saved: on_new_refresh_token raised OSError$") as caught:
            grant.fetch(identity)
        assert Reason.IDENTITY_UNUSABLE is caught.value.reason
        assert isinstance(caught.value.__cause__, OSError)
    assert (["s3cret"], []) == (sent(authorization_server), saved)
    full[0] = False
    grant.fetch(identity)
    assert (["s3cret", "s3cret+"], ["s3cret+", "s3cret++"]) == (sent(authorization_server), saved)


@pytest.mark.parametrize("new", [5, "", "a\nb", ["r"], "\ud800"])
def test_a_refresh_token_that_is_none_is_refused(authorization_server, refreshing, tokenbind_client, new):
    """What was there counts on."""
    members = {"access_token": "t", "token_type": "Bearer", "refresh_token": new}
    authorization_server.answers = [answer("200 OK", members)]
    grant = refreshing()
    with pytest.raises(ClientError, match="not as expected"):
        grant.fetch(tokenbind_client.identity.current())
    grant.fetch(tokenbind_client.identity.current())
    assert ["s3cret", "s3cret"] == sent(authorization_server)


def test_a_new_refresh_token_counts_even_beside_a_bad_access_token(authorization_server, refreshing, tokenbind_client):
    """The old one may have ended."""
    saved = []
    authorization_server.rotating = True
    members = {"access_token": "t", "token_type": "DPoP", "refresh_token": "s3cret+"}
    authorization_server.answers = [answer("200 OK", members)]
    authorization_server.refresh_tokens["s3cret+"] = authorization_server.refresh_tokens["s3cret"]
    grant = refreshing(on_new_refresh_token=saved.append)
    with pytest.raises(ClientError, match="token_type is DPoP"):
        grant.fetch(tokenbind_client.identity.current())
    grant.fetch(tokenbind_client.identity.current())
    assert (["s3cret", "s3cret+"], ["s3cret+", "s3cret++"]) == (sent(authorization_server), saved)


@pytest.mark.parametrize("status", ["502 Oops", "503 Later", "504 Late"])
def test_it_is_never_sent_twice(authorization_server, refreshing, tokenbind_client, status):
    """A server that changes refresh tokens may take that for theft."""
    authorization_server.answers = [answer(status)]
    with pytest.raises(ClientError, match=f"answered {status[:3]}"):
        refreshing().fetch(tokenbind_client.identity.current())
    assert 1 == len(authorization_server.forms)


def test_nor_to_one_that_breaks_off(tls_listening, refreshing, tokenbind_client):
    """It may have read it."""
    connections = []

    def leave(connection):
        connections.append(connection.recv(65_536))

    grant = refreshing(token_endpoint=f"https://127.0.0.1:{tls_listening(leave)}/")
    with pytest.raises(ClientError, match="cannot be reached"):
        grant.fetch(tokenbind_client.identity.current())
    assert 1 == len(connections)


def test_but_to_one_that_never_got_it(listening, refreshing, tokenbind_client):
    """Before the end of the handshake nothing was sent."""
    connections = []
    grant = refreshing(token_endpoint=f"https://127.0.0.1:{listening(connections.append)}/")
    with pytest.raises(ClientError, match="cannot be reached"):
        grant.fetch(tokenbind_client.identity.current())
    assert 3 == len(connections)


def test_other_refusals_have_no_hint(authorization_server, refreshing, tokenbind_client):
    """The hint is about the refresh token. How long to wait is told with either."""
    for error, hinted in (("invalid_scope", False), ("invalid_grant", True)):
        authorization_server.answers = [answer("429 Slow", {"error": error}, headers=[("retry-after", "9")])]
        with pytest.raises(GrantError) as caught:
            refreshing().fetch(tokenbind_client.identity.current())
        assert (hinted, 9) == ("8705" in str(caught.value), caught.value.retry_after_seconds)


def test_threads_take_turns(authorization_server, refreshing, tokenbind_client):
    """Each uses the successor of the one before."""
    authorization_server.rotating = True
    grant, identity, tokens = refreshing(), tokenbind_client.identity.current(), []
    threads = [Thread(target=lambda: tokens.append(grant.fetch(identity))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 8 == len(tokens)
    assert [f"s3cret{'+' * number}" for number in range(8)] == sent(authorization_server)


def test_nobody_waits_for_ever(refreshing, tokenbind_client):
    """Not longer than for a server."""
    grant = refreshing(timeout_seconds=0.1)
    with grant._lock, pytest.raises(ClientError, match="is under way"):
        grant.fetch(tokenbind_client.identity.current())


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # Python 3.12: forks, and has threads
def test_a_child_does_not_wait_for_a_thread_of_its_parent(refreshing):
    """That thread does not exist there."""
    grant = refreshing()
    with grant._lock:
        child = os.fork()
        if child == 0:
            os._exit(3 if grant._lock.locked() else 0)
        assert (child, 0) == os.waitpid(child, 0)
