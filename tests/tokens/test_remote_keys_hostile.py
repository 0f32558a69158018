"""`RemoteKeySet` and an issuer that answers nonsense, or worse: good keys stay, bad ones are skipped."""

import gzip
import logging

from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import example, given, strategies as st
import pytest

from tokenbind import Reason, SigningKey, Unavailable
from tokenbind.testing import BindingKit
from tokenbind.tokens.clock import elapsed
from tokenbind.tokens.compact import base64url

from .issuing_server import IssuingServer, document, resetting, saying


@pytest.fixture(scope="module")
def server():
    with IssuingServer(BindingKit()) as server:
        yield server


@pytest.fixture
def issuer(server):
    """It begins with its own key, and nothing that was asked."""
    server.publish(server.key)
    server.metadata = {"issuer": server.url, "jwks_uri": f"{server.url}/jwks"}
    server.requests.clear()
    return server


@pytest.fixture
def fetched(issuer):
    """A function of an answer: a verifier that knew the issuer's key before it came, and what the problem is now."""

    def after(answer):
        keys = issuer.keys(timeout_seconds=2)
        verifier = issuer.verifier(keys)
        assert issuer.accepts(verifier, issuer.mint())
        issuer.answer = answer
        keys.refetch(keys.current())
        return verifier, keys.describe()["problem"]

    return after


def is_unharmed(issuer, verifier):
    """The old key verifies, another one does not, and the thread lives to fetch the next good answer."""
    assert issuer.accepts(verifier, issuer.mint())
    assert Reason.SIGNATURE_INVALID is issuer.refuses(verifier, issuer.mint(SigningKey.generate(kid=issuer.key.kid)))
    new = SigningKey.generate()
    issuer.publish(new)
    keys, before = verifier._keys, verifier._keys.current()
    keys._asked_at = -float("inf")  # no cooldown
    assert issuer.accepts(verifier, issuer.mint(new))
    assert keys.current() is not before
    return True


def endless(connection):
    """100 MB of a JWK Set, streamed."""
    connection.sendall(b'HTTP/1.1 200 OK\r\n\r\n{"keys": [')
    for _ in range(100):
        connection.sendall(b" " * 1_000_000)
    connection.sendall(b"]}")


def bomb(size=20_000_000):
    return gzip.compress(b'{"keys": [' + b" " * size + b"]}")


def dripping(connection):
    """A byte now and then, until the other side leaves."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n")
    connection.settimeout(0.05)
    while True:
        connection.sendall(b" ")
        try:
            if not connection.recv(1):
                return
        except TimeoutError:
            pass


GOOD = SigningKey.generate().public_jwk
BEGINNING = b'HTTP/1.1 200 OK\r\nContent-Length: 600\r\n\r\n{"keys": ['


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        pytest.param(endless, "more than 524288 bytes", id="100 MB"),
        pytest.param(document(bomb(), "Content-Encoding: gzip"), "an encoding, though asked not to", id="gzip bomb"),
        pytest.param(document(bomb()), "answered 200 with", id="gzip bomb that does not say so"),
        pytest.param(
            document(b"", "Location: /other", status="302 Found"), "302 (redirects are not followed)", id="redirect"
        ),
        pytest.param(
            document(b"", "Location: http://127.0.0.1/jwks", status="307 There"),
            "307 (redirects are not followed)",
            id="to http",
        ),
        pytest.param(document({"keys": [GOOD]}, status="404 Not Found"), "answered 404", id="404"),
        pytest.param(document({"keys": [GOOD]}, status="500 No"), "answered 500", id="500"),
        pytest.param(dripping, "did not answer within", id="slow drip"),
        pytest.param(saying(b""), "cannot be reached", id="nothing"),
        pytest.param(saying(b"SSH-2.0-x\r\n"), "cannot be reached", id="not HTTP"),
        pytest.param(saying(BEGINNING), "cannot be reached", id="half a body"),
        pytest.param(resetting(BEGINNING), "cannot be reached", id="reset in the body"),
        pytest.param(document(b"<html>log in</html>"), "is this a login page", id="HTML"),
        pytest.param(document(b"\xff\xfe{}"), "answered 200 with", id="not UTF-8"),
        pytest.param(document(b'{"keys": [' * 100_000), "answered 200 with", id="deep"),
    ],
)
def test_an_answer_that_is_none(issuer, fetched, answer, match):
    """It costs no more than its bounds, is told, and changes nothing."""
    verifier, problem = fetched(answer)

    assert match in problem
    assert is_unharmed(issuer, verifier)


SHAPES = [
    None, True, 0, 1.5, "", "keys", [], [GOOD], {}, {"keys": None}, {"keys": True}, {"keys": 7}, {"keys": "x"},
    {"keys": {}}, {"keys": GOOD}, {"KEYS": [GOOD]}, {"jwks": {"keys": [GOOD]}},
]  # fmt: skip
WITHDRAWN = [
    {"keys": []}, {"keys": [None]}, {"keys": [7, "x", [], [GOOD], {}]}, {"keys": [GOOD | {"use": "enc"}]},
    {"keys": [{}] * 10_000}, {"keys": [{}] * 100 + [GOOD]}, {"keys": [{"kty": None}]},
    {"keys": [{"kty": ["EC"], "crv": {}}]}, {"keys": [{"kty": "AKP", "alg": "ML-DSA-65", "pub": "AAAA", "kid": "n"}]},
    {"keys": [GOOD | {"kid": {}}]}, {"keys": [GOOD | {"kid": None, "x": None}]}, {"keys": [GOOD | {"x": [[]]}]},
    {"keys": [GOOD | {"x": "A" * 3000}]}, {"keys": [GOOD | {"use": {}}]}, {"keys": [GOOD | {"alg": {}}]},
    {"keys": [GOOD | {"key_ops": {"verify": 1}}]}, {"keys": [{**GOOD, "y": GOOD["x"]}]},
]  # fmt: skip


@pytest.mark.parametrize("value", SHAPES, ids=map(str, range(len(SHAPES))))
def test_a_document_of_another_shape(issuer, fetched, value):
    """It is no JWK Set: the old keys stay."""
    verifier, problem = fetched(document(value))

    assert problem
    assert is_unharmed(issuer, verifier)


@pytest.mark.parametrize("value", WITHDRAWN, ids=map(str, range(len(WITHDRAWN))))
def test_a_set_without_a_usable_key(verify, issuer, fetched, value):
    """It is an answer: what the issuer has withdrawn verifies nothing any more, remembered tokens too; until news."""
    token = issuer.mint()
    verifier, problem = fetched(document(value))

    assert "JWK Set" in problem
    verifier._keys._asked_at = elapsed()  # nobody may ask again now
    for refused in (token, issuer.mint()):
        assert Reason.KEY_UNKNOWN is issuer.refuses(verifier, refused)
    issuer.publish(issuer.key)
    verifier._keys._asked_at = -float("inf")
    assert verify(verifier, token, issuer.client.peer).thumbprint
    assert None is verifier.describe()["keys"]["problem"]


def test_nonsense_from_the_start(issuer):
    """Unavailable, with the cause; the issuer's own key, later, is taken."""
    issuer.answer = document(b"<html>")
    keys = issuer.keys(cooldown_seconds=0.001)
    with pytest.raises(Unavailable, match="is this a login page"):
        issuer.verifier(keys).verify(issuer.mint(), issuer.client.peer)
    issuer.publish(issuer.key)
    assert issuer.accepts(issuer.verifier(keys), issuer.mint())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(list(GOOD.values())),
    lambda children: (
        st.lists(children, max_size=4)
        | st.dictionaries(st.sampled_from(["keys", *GOOD, "n", "e", "d", "key_ops"]) | st.text(), children, max_size=6)
        | st.fixed_dictionaries({"keys": st.lists(children, max_size=4)})
        | st.dictionaries(st.sampled_from(list(GOOD)), children, max_size=3).map(lambda changes: GOOD | changes)
    ),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def lasting(server):
    """A verifier that fetches whenever it is asked, for all examples."""
    server.publish(server.key)
    verifier = server.verifier(server.keys(cooldown_seconds=1e-6), cache_size=0)
    assert server.accepts(verifier, server.mint())
    return verifier


@given(st.binary(max_size=300) | JSON)
@example(b"{}")
def test_whatever_the_document_is(server, lasting, value):
    """Property: the thread lives; the old key stays, unless a JWK Set has come in its place."""
    server.publish(server.key)
    lasting._keys.refetch(None)
    lasting._keys.refetch(lasting._keys.current())
    server.answer, fetched = document(value), len(server.requests)
    before = lasting._keys.current()
    lasting._keys.refetch(before)

    assert len(server.requests) > fetched
    replaced = lasting._keys.current() is not before
    if not replaced:
        assert lasting._keys.describe()["problem"]
        assert server.accepts(lasting, server.mint())
    server.publish(server.key)
    lasting._keys.refetch(lasting._keys.current())
    assert server.accepts(lasting, server.mint())


def rsa_jwk(n, e=65537, **members):
    numbers = {"n": n, "e": e}
    encoded = {
        name: base64url(value.to_bytes((value.bit_length() + 7) // 8, "big")).decode()
        for name, value in numbers.items()
    }
    return {"kty": "RSA", "alg": "PS256", "kid": "bad", **encoded, **members}


@pytest.fixture(scope="module")
def rsa_numbers():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key().public_numbers().n


@pytest.mark.parametrize(
    ("jwk", "match"),
    [
        pytest.param(lambda _: rsa_jwk((1 << 16383) | 1), "a number that is too long", id="RSA-16384"),
        pytest.param(lambda _: rsa_jwk((1 << 1023) | 1), "1024 bits", id="RSA-1024"),
        pytest.param(lambda n: rsa_jwk(n, 1), "broken|exponent", id="e = 1"),
        pytest.param(lambda n: rsa_jwk(n, 65536), "broken|exponent", id="e is even"),
        pytest.param(lambda n: rsa_jwk(n, (1 << 3000) | 1), "broken|exponent|too long", id="e of 3001 bits"),
        pytest.param(lambda n: rsa_jwk(n, d="AQAB"), "is private", id="RSA with d"),
        pytest.param(lambda _: GOOD | {"d": "AAAA"}, "is private", id="EC with d"),
        pytest.param(lambda _: GOOD | {"kid": 7}, "kid that is not a string", id="kid is a number"),
        pytest.param(lambda _: GOOD | {"y": GOOD["x"]}, "broken", id="not on the curve"),
    ],
)
def test_a_bad_key_among_good_ones_is_skipped(issuer, fetched, caplog, rsa_numbers, jwk, match):
    """It is logged, without any part of it, and so it is if there is no good one."""
    new = SigningKey.generate()
    bad = jwk(rsa_numbers)
    verifier, problem = fetched(document({"keys": [bad, new.public_jwk]}))

    assert any(part in problem for part in match.split("|"))
    assert issuer.accepts(verifier, issuer.mint(new))
    assert [new.kid] == [key["kid"] for key in verifier.describe()["keys"]["keys"]]
    [record] = [record for record in caplog.records if record.name == "tokenbind"]
    assert any(part in record.getMessage() for part in match.split("|"))
    assert logging.WARNING == record.levelno
    assert not any(part in caplog.text for part in [*bad.values()][-2:] if len(str(part)) > 20)
    keys = issuer.keys()
    issuer.answer = document({"keys": [bad]})
    assert keys.refetch(None)
    assert any(part in keys.describe()["problem"] for part in match.split("|"))
