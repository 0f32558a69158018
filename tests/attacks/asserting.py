"""Both ways to ask a verifier, and what every refusal has to be."""

import asyncio

import pytest

from tokenbind import InvalidToken


def sync(verifier, token, peer):
    return verifier.verify(token, peer)


def asynchronous(verifier, token, peer):
    return asyncio.run(verifier.verify_async(token, peer))


def peer_of(client):
    return None if client is None else client.peer


def assert_refused(reason, verifier, token, peer, verify=sync):
    with pytest.raises(InvalidToken) as refusal:
        verify(verifier, token, peer)
    assert reason == refusal.value.reason
    return refusal.value


def assert_no_token_text(token, *texts):
    """Attack 67: of *token*, no 16 characters in a row stand in any of *texts*."""
    pieces = {token[at : at + 16] for at in range(len(token) - 15)}
    for text in texts:
        assert not pieces & {text[at : at + 16] for at in range(len(text) - 15)}
