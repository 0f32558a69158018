"""What is asked of each client, whatever its library: one that is let in, and what is not even sent."""

import pytest

from tokenbind import ClientError, Reason


def test_the_client_gets_in_with_its_own_token(api, open_client, client, grant):
    """Certificate and token are sent together, on a connection that is kept."""
    caller = open_client()
    assert [(200, b"client")] * 3 == [caller.call(f"{api.url}/{n}")[:2] for n in range(3)]
    assert {client.thumbprint} == {seen.thumbprint for seen in api.seen}
    assert 1 == len({seen.connection for seen in api.seen}) == len(grant.asked)


def test_a_stolen_token_is_not_even_sent(api, open_client, client):
    """Our own client sees that it names another certificate; the server is asked by others (see tests/attacks)."""
    token = api.kit.mint(client)
    caller = open_client(api.kit.client("stranger").identity, lambda: token)
    with pytest.raises(ClientError, match="another certificate") as caught:
        caller.call(api.url)

    assert Reason.CERTIFICATE_MISMATCH is caught.value.reason
    assert token not in str(caught.value)
    assert [] == api.seen
