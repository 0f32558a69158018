"""How credentials are chosen: what cannot be seen from outside, or not in time."""

import asyncio
from threading import Thread

import pytest

from tokenbind import ClientError, Reason
from tokenbind.client.credentials import CredentialChooser
from tokenbind.client.generations import Generations

from .serving import wait_until


@pytest.fixture
def url(api):
    """Where requests go."""
    return f"{api.url}/x"


@pytest.fixture
def chooser(api, source, grant):
    """Of the client's credentials."""
    return CredentialChooser(source, grant, origin=api.url, ca=api.kit.ca_pem)


def test_a_token_is_not_shown(chooser, client, url):
    """Credentials are a local variable of every frame that a traceback may show."""
    credentials = chooser.choose(url)
    assert f"<Credentials for {client.thumbprint}>" == repr(credentials)
    assert credentials.token not in repr(chooser)


def test_a_thread_that_was_held_up_undoes_no_rotation(chooser, source, client, renewed, url):
    """It comes with the identity that was the current one before."""
    chooser.choose(url)
    old = source.current()
    source.client = renewed
    wait_until(lambda: chooser.choose(url).thumbprint == renewed.thumbprint)
    chooser._activate(old)
    assert source.current() is chooser._active


def test_a_grant_that_hangs_is_not_waited_for_for_ever(chooser, grant, url, monkeypatch):
    """There is an error, and the next one joins the same request."""
    monkeypatch.setattr("tokenbind.client.credentials._PATIENCE_SECONDS", 0.01)
    grant.open.clear()
    for _ in range(2):
        with pytest.raises(ClientError, match="no token came within") as caught:
            chooser.choose(url)
        assert Reason.AUTHORIZATION_SERVER_UNREACHABLE is caught.value.reason
    with pytest.raises(ClientError, match="no token came within"):
        asyncio.run(chooser.choose_async(url))
    assert 1 == len(grant.asked)
    grant.open.set()
    wait_until(lambda: chooser._tokens._held)
    assert chooser.choose(url)
    assert 1 == len(grant.asked)


def test_nor_after_a_refusal(chooser, grant, url, monkeypatch):
    """The API's own answer stands."""
    credentials = chooser.choose(url)
    monkeypatch.setattr("tokenbind.client.credentials._PATIENCE_SECONDS", 0.01)
    grant.open.clear()
    assert chooser.another(credentials, None, replayable=True) is None
    assert asyncio.run(chooser.another_async(credentials, None, replayable=True)) is None
    grant.open.set()
    assert 2 == len(grant.asked)


def test_a_task_that_is_cancelled_leaves_it_to_the_others(chooser, grant, url):
    """It began the token request; those that came later get its token."""
    grant.open.clear()

    async def run():
        first = asyncio.create_task(chooser.choose_async(url))
        others = [asyncio.create_task(chooser.choose_async(url)) for _ in range(8)]
        await asyncio.to_thread(grant.waiting.wait, 20)
        first.cancel()
        await asyncio.wait([first])
        assert first.cancelled()
        grant.open.set()
        return await asyncio.gather(*others)

    assert 1 == len({credentials.token for credentials in asyncio.run(run())}) == len(grant.asked)


def test_threads_and_tasks_wait_for_the_same_one(chooser, grant, url):
    """In one process there may be both."""
    grant.open.clear()
    found = []
    threads = [Thread(target=lambda: found.append(chooser.choose(url))) for _ in range(4)]
    for thread in threads:
        thread.start()

    async def run():
        tasks = [asyncio.create_task(chooser.choose_async(url)) for _ in range(4)]
        await asyncio.to_thread(grant.waiting.wait, 20)
        grant.open.set()
        found.extend(await asyncio.gather(*tasks))

    asyncio.run(run())
    for thread in threads:
        thread.join(20)
    assert 8 == len(found)
    assert 1 == len({credentials.token for credentials in found}) == len(grant.asked)


@pytest.mark.parametrize(
    ("challenge", "again"),
    [
        (None, True),
        ('Bearer error="invalid_token"', True),
        ("bearer realm=x, ERROR = Invalid_Token", True),
        ('Basic realm="x", Bearer error="invalid_token", error_description="expired"', True),
        ('Bearer error_description="x", error="invalid_token"', True),
        ("", False),
        ("Bearer", False),
        ('Bearer error="insufficient_scope"', False),
        ('Bearer error="invalid_token_binding"', False),
        ('Bearer error_uri="invalid_token"', False),
        ("\u00ff\x00=", False),
    ],
)
def test_which_refusals_another_token_may_help(chooser, grant, url, challenge, again):
    """RFC 6750 §3.1, whichever way it is written."""
    another = chooser.another(chooser.choose(url), challenge, replayable=True)
    assert again == (another is not None)
    assert (2 if again else 1) == len(grant.asked)


def test_a_pool_in_use_is_kept_until_it_is_given_back(chooser, source, renewed, url):
    """And one that was dropped meanwhile is not closed a second time."""
    generations = Generations(lambda context: [context])
    old = chooser.choose(url)
    pools = [generations.take(old), generations.take(old)]
    assert pools[0] is pools[1]
    source.client = renewed
    wait_until(lambda: chooser.choose(url).thumbprint == renewed.thumbprint)
    new = chooser.choose(url)
    newer = generations.take(new)
    assert [] == generations.give_back(old, pools[0])
    assert [] == generations.give_back(new, newer)
    assert [pools[0]] == generations.give_back(old, pools[1])
    assert [newer] == generations.drop_all()
    assert [] == generations.give_back(new, newer)
