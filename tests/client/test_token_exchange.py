"""RFC 8693: the token of somebody else's request, exchanged for one that is bound to us."""

import pytest

from tokenbind import ClientError, ConfigurationError, GrantError, Reason
from tokenbind.client.token_exchange import TokenExchange

from .authorization_server import ACCESS_TOKEN, answer


URI = "urn:ietf:params:oauth:token-type:"
JWT = URI + "jwt"
GOOD = {"access_token": "t", "token_type": "Bearer", "issued_token_type": ACCESS_TOKEN}


@pytest.fixture
def user(tokenbind_kit):
    """Whose request we have to answer."""
    return tokenbind_kit.client("user")


@pytest.fixture
def exchange(grant_of, tokenbind_client):
    """Exchange a token, once, as ``tokenbind_client``."""
    return lambda token, **options: grant_of(TokenExchange, subject_token=token, **options).fetch(
        tokenbind_client.identity.current()
    )


def test_what_we_get_is_bound_to_us(
    authorization_server, exchange, grant_of, tokenbind_kit, tokenbind_client, tokenbind_stranger, user
):
    """The subject stays; with the user's certificate it is as useless as theirs is with ours."""
    token = tokenbind_kit.mint(user, subject="alice")
    issued = exchange(token, scope="a", audience="https://next.example", resource="urn:next")

    assert "alice" == authorization_server.verifier.verify(issued.access_token, tokenbind_client.peer).subject
    for thief in (user, tokenbind_stranger):
        assert Reason.CERTIFICATE_MISMATCH is authorization_server.holds(issued.access_token, thief)
    assert {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": token,
        "subject_token_type": ACCESS_TOKEN,
        "scope": "a",
        "audience": "https://next.example",
        "resource": "urn:next",
        "client_id": "billing",
    } == dict(authorization_server.forms[0])
    with pytest.raises(GrantError, match="invalid_client"):
        grant_of(TokenExchange, subject_token=token).fetch(tokenbind_stranger.identity.current())


def test_functions_are_asked_each_time(authorization_server, grant_of, tokenbind_kit, tokenbind_client, user):
    """A subject token ends, too."""
    tokens = [tokenbind_kit.mint(user, subject=name) for name in ("alice", "alice", "robot", "robot")]
    subjects, actors = iter(tokens[:2]), iter(tokens[2:])
    grant = grant_of(
        TokenExchange,
        subject_token=lambda: next(subjects),
        actor_token=lambda: next(actors),
        actor_token_type=JWT,
        requested_token_type=ACCESS_TOKEN,
    )
    for number in range(2):
        grant.fetch(tokenbind_client.identity.current())
        form = dict(authorization_server.forms[number])
        assert (tokens[number], tokens[number + 2]) == (form["subject_token"], form["actor_token"])
        assert (JWT, ACCESS_TOKEN) == (form["actor_token_type"], form["requested_token_type"])
    with pytest.raises(ClientError, match="the subject token could not be had: .* StopIteration$") as caught:
        grant.fetch(tokenbind_client.identity.current())
    assert Reason.IDENTITY_UNUSABLE is caught.value.reason
    assert 2 == len(authorization_server.forms)


def test_a_token_with_a_line_break_is_refused_by_name(authorization_server, exchange):
    """At once, or when a function gives it; it is not shown."""
    for name, tokens in (("subject_token", ("s3cret\n", None)), ("actor_token", ("s", "s3cret\n"))):
        with pytest.raises(ConfigurationError, match=f"{name}= .* without the line break") as caught:
            exchange(tokens[0], actor_token=tokens[1])
        assert "s3cret" not in str(caught.value)
    with pytest.raises(
        ClientError, match="the subject token could not be had: .* line break that ends its file; strip"
    ):
        exchange(lambda: "s3cret\n")
    assert [] == authorization_server.asked


def test_an_actor_token_that_cannot_be_had(authorization_server, exchange):
    """Nothing is sent."""
    with pytest.raises(ClientError, match="the actor token could not be had: its function returned no printable text"):
        exchange("s", actor_token=lambda: None)
    assert [] == authorization_server.asked


def test_a_token_that_the_server_refuses(exchange, tokenbind_kit, user):
    """RFC 8693 §2.2.2; this server quotes it, and the message does not."""
    forged = tokenbind_kit.mint(user)[:-8] + "AAAAAAAA"
    with pytest.raises(GrantError, match=r"invalid_request \(bad token \.\.\.\)") as caught:
        exchange(forged)
    assert forged not in str(caught.value) + str(caught.value.description)
    with pytest.raises(GrantError, match="invalid_request"):
        exchange(tokenbind_kit.mint(user), subject_token_type=JWT)


@pytest.mark.parametrize("issued", [..., None, JWT, URI + "id_token", URI + "refresh_token", 5, [ACCESS_TOKEN], {}])
def test_what_is_no_access_token_is_refused(authorization_server, exchange, issued):
    """RFC 8693 §2.2.1: issued_token_type is required; what it is decides what may be done with it."""
    members = {name: value for name, value in {**GOOD, "issued_token_type": issued}.items() if value is not ...}
    authorization_server.answers = [answer("200 OK", members)]
    with pytest.raises(ClientError, match="its issued_token_type is not that of an access token"):
        exchange("s")


def test_a_token_that_is_not_for_apis_is_refused(authorization_server, exchange):
    """RFC 8693 §2.2.1: with token_type N_A."""
    authorization_server.answers = [answer("200 OK", GOOD | {"token_type": "N_A"})]
    with pytest.raises(ClientError, match="token_type"):
        exchange("s")


@pytest.mark.parametrize("issued", [JWT, ACCESS_TOKEN])
def test_a_jwt_is_an_access_token_if_it_was_asked_for(authorization_server, exchange, issued):
    """RFC 8693 §3: an access token may be a JWT."""
    authorization_server.answers = [answer("200 OK", GOOD | {"issued_token_type": issued})]
    assert "t" == exchange("s", requested_token_type=JWT).access_token
    assert JWT == dict(authorization_server.forms[0])["requested_token_type"]
