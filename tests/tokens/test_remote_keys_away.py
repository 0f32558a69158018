"""`RemoteKeySet` when its issuer is away, what it says of itself, and what it cannot be made of."""

import json
import os
from threading import Thread

import pytest

from tokenbind import ConfigurationError, KeySet, Reason, SigningKey, TokenVerifier, Unavailable
from tokenbind.tokens import remote_keys
from tokenbind.tokens.remote_keys import RemoteKeySet

from .issuing_server import IssuingServer, document, eventually


@pytest.fixture
def issuer(tokenbind_kit):
    with IssuingServer(tokenbind_kit) as server:
        yield server


@pytest.fixture
def suspend(monkeypatch):
    """Call it with seconds: for the keys, they have passed; no thread has run in them."""
    real, passed = remote_keys.elapsed, []
    monkeypatch.setattr(remote_keys, "elapsed", lambda: real() + sum(passed))
    return passed.append


def unavailable(verify, *arguments):
    with pytest.raises(Unavailable) as caught:
        verify(*arguments)
    assert (Reason.KEYS_UNAVAILABLE, 503) == (caught.value.reason, caught.value.status)
    return str(caught.value)


def problem(keys):
    return keys.describe()["problem"]


@pytest.fixture(params=["url", "issuer"])
def verifier(request, issuer):
    """By the URL of the keys, and by the name of the issuer."""
    return issuer.discovering() if request.param == "issuer" else issuer.verifier(issuer.keys())


def test_an_issuer_that_is_away_at_the_start(verify, issuer, verifier):
    """It is unavailable, and says why; when it comes up, it is tried again without being asked."""
    issuer.stop()
    assert "ConnectionRefusedError" in unavailable(verify, verifier, issuer.mint(), issuer.client.peer)
    assert "ConnectionRefusedError" in problem(verifier._keys)
    issuer.start()

    eventually(lambda: problem(verifier._keys) is None)
    assert issuer.accepts(verifier, issuer.mint())


def test_a_first_fetch_that_cannot_be_cut_off(verify, issuer, suspend):
    """Name resolution can take longer than any timeout; whoever comes after the timeout does not wait for it."""
    hanging, keys = issuer.hang(then=issuer.answer), issuer.keys(timeout_seconds=600)
    verifier, first = issuer.verifier(keys), []
    waiting = Thread(target=lambda: first.append(keys.refetch(None)))
    waiting.start()
    issuer.wait_for_requests(1)
    suspend(601)
    for _ in range(3):
        assert "nothing was fetched yet" in unavailable(verify, verifier, issuer.mint(), issuer.client.peer)
    assert waiting.is_alive()
    hanging.released.set()
    waiting.join(20)

    assert [True] == first
    assert issuer.accepts(verifier, issuer.mint())


def test_who_comes_while_it_is_away_asks_once_in_a_cooldown(issuer):
    """The others are told at once."""
    issuer.answer = document(b"", status="503 Busy")
    verifier = issuer.verifier(issuer.keys(cooldown_seconds=0.001))
    assert "answered 503" in unavailable(verifier.verify, issuer.mint(), issuer.client.peer)
    issuer.publish(issuer.key)
    assert issuer.accepts(verifier, issuer.mint())


def test_an_issuer_that_is_away_for_a_while(issuer, suspend):
    """Good keys serve until they are too old; then it is never "fine", for tokens that were remembered neither."""
    keys = issuer.keys(max_stale_seconds=3600, cooldown_seconds=0.001)
    verifier, token, new = issuer.verifier(keys), issuer.mint(), SigningKey.generate()
    assert issuer.accepts(verifier, token)
    issuer.stop()

    suspend(3500)
    assert Reason.KEY_UNKNOWN is issuer.refuses(verifier, issuer.mint(new))
    assert "ConnectionRefusedError" in problem(keys)
    assert issuer.accepts(verifier, token)
    assert issuer.accepts(verifier, issuer.mint())

    suspend(101)
    for refused in (token, issuer.mint(), issuer.mint(new)):
        assert "ConnectionRefusedError" in unavailable(verifier.verify, refused, issuer.client.peer)
    assert [{"kid": issuer.key.kid, "alg": "ES256"}] == keys.describe()["keys"]
    issuer.publish(new)
    issuer.start()
    assert eventually(lambda: keys.refetch(None))  # as each request does
    assert issuer.accepts(verifier, issuer.mint(new))
    assert Reason.KEY_UNKNOWN is issuer.refuses(verifier, token)


def test_keys_that_are_too_old_say_so(issuer, suspend):
    """As after a suspension, when no fetch has failed yet; the first who comes waits for one."""
    keys = issuer.keys()
    assert issuer.accepts(issuer.verifier(keys), issuer.mint())
    suspend(3600)

    assert "they are too old" in unavailable(keys.current)
    assert issuer.accepts(issuer.verifier(keys), issuer.mint())


def test_a_fetch_that_hangs_is_given_up_on(issuer):
    """One who waits has the cause."""
    issuer.hang()
    verifier = issuer.verifier(issuer.keys(timeout_seconds=0.2))

    assert "did not answer within 0." in unavailable(verifier.verify, issuer.mint(), issuer.client.peer)


def test_describe_is_json_at_every_stage(issuer):
    """What a health page shows."""
    keys = issuer.keys(refresh_seconds=0.05)

    def described():
        said = keys.describe()
        assert said == json.loads(json.dumps(said))
        return said["age_seconds"], said["problem"], [key["kid"] for key in said["keys"]]

    assert (None, "nothing was fetched yet", []) == described()
    assert {"source": "url", "url": f"{issuer.url}/jwks"}.items() <= keys.describe().items()
    assert keys.refetch(None)
    age, why, kids = described()
    assert 0 <= age < 20
    assert (None, [issuer.key.kid]) == (why, kids)
    issuer.answer = document(b"", status="500 No")
    assert "answered 500" in eventually(lambda: described()[1])
    assert [issuer.key.kid] == described()[2]
    keys.close()
    assert ("this key set was closed", []) == described()[1:]
    assert "issuer" == issuer.discovering().describe()["keys"]["source"]
    assert f"<RemoteKeySet {issuer.url}/jwks>" == repr(keys)


def test_a_query_is_not_shown(issuer, caplog):
    """It may hold a secret."""
    issuer.answer = document(b"", status="500 No")
    keys = KeySet.from_url(f"{issuer.url}/jwks?key=s3cret", ca=issuer.kit.ca_pem)
    with keys:
        unavailable(issuer.verifier(keys).verify, issuer.mint(), issuer.client.peer)
        assert ["/jwks?key=s3cret"] == issuer.requests
        assert "answered 500" in caplog.text
        assert "s3cret" not in f"{keys!r} {keys.describe()} {caplog.text}"


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), 10**9, "5", None])
@pytest.mark.parametrize("name", ["refresh_seconds", "max_stale_seconds", "cooldown_seconds", "timeout_seconds"])
def test_times_that_cannot_be(name, seconds):
    """The message names the keyword."""
    with pytest.raises(ConfigurationError, match=f"{name}= must be a positive number of seconds"):
        KeySet.from_url("https://as.example/jwks", **{name: seconds})


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"url": "http://as.example/jwks"}, "url= must be an https URL"),
        ({"url": None}, "url="),
        ({"url": "as.example", "discover": True}, "issuer= must be an https URL"),
        ({"url": "https://as.example?a", "discover": True}, "issuer="),
        ({"max_stale_seconds": 299}, "max_stale_seconds= must not be less than refresh_seconds="),
        ({"ca": "does-not-exist.pem"}, "ca="),
        ({"ca": b"no PEM"}, "ca="),
        ({"proxy": "https://proxy.example:1"}, "proxy="),
        ({"address": "https://as.internal/path", "discover": True}, "address="),
        ({"allowed_hosts": "keys.example", "discover": True}, "allowed_hosts="),
        ({"address": "https://as.internal"}, "address= and allowed_hosts= .* need discover=True"),
        ({"allowed_hosts": ["keys.example"]}, "address= and allowed_hosts= .* need discover=True"),
    ],
)
def test_what_cannot_be_right(options, match):
    """Is said when it is constructed, by the name of the argument; no thread was started."""
    with pytest.raises(ConfigurationError, match=match):
        RemoteKeySet(**{"url": "https://as.example/jwks"} | options)


def test_the_ca_may_be_renewed(issuer, tmp_path):
    """The file is read at every fetch; while it cannot be read, the keys serve on."""
    path = tmp_path / "ca.pem"
    path.write_bytes(issuer.kit.ca_pem)
    keys = KeySet.from_url(f"{issuer.url}/jwks", ca=path, refresh_seconds=0.05)
    with keys:
        verifier = TokenVerifier(issuer=issuer.url, audience=issuer.kit.audience, keys=keys, clock=issuer.kit.clock)
        assert issuer.accepts(verifier, issuer.mint())
        os.truncate(path, 0)
        assert "ca= has no PEM certificates" in eventually(lambda: problem(keys))
        assert issuer.accepts(verifier, issuer.mint())
        path.write_bytes(issuer.kit.ca_pem)
        assert eventually(lambda: problem(keys) is None)
