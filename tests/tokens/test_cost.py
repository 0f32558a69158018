"""The cost of a token, in counts and on no clock: so that a change that makes every request dearer is seen at once.

The bounds are what it is today, and a little. Whoever has to go beyond one says in the commit what is bought for it;
whoever comes out well below takes it down.
"""

from functools import partial
import gc
from itertools import repeat
import sys
from time import time
import tracemalloc
from types import SimpleNamespace

import pytest

from tokenbind import InvalidToken, KeySet, PeerCertificate, Reason, TokenIssuer, TokenVerifier
from tokenbind.resource_server.asgi import BoundTokenMiddleware
from tokenbind.testing import BindingKit

from .counting import cost_of


ALGORITHMS = ["RS256", "ES256", "EdDSA"]
VERSIONS = [(3, 11), (3, 12), (3, 13)]

# Functions; instructions of Python 3.11, 3.12, 3.13.
BOUNDS = {
    "verify RS256": (11, 590, 538, 522),
    "verify ES256": (11, 625, 567, 550),
    "verify EdDSA": (11, 588, 536, 520),
    "verify with a cache, ES256": (13, 715, 650, 635),
    "verify cached": (4, 152, 140, 135),
    "verify cached, from DER": (5, 167, 153, 150),
    "refused by the header": (17, 555, 500, 487),
    "refused by its size": (9, 220, 200, 192),
    "middleware cached": (20, 680, 620, 614),
    "mint RS256": (10, 253, 225, 220),
    "mint ES256": (10, 272, 241, 235),
    "mint EdDSA": (9, 245, 218, 213),
}


@pytest.fixture(scope="module", params=ALGORITHMS)
def kit(request):
    """One for all tests: nothing in it changes."""
    return BindingKit(algorithm=request.param)


@pytest.fixture(scope="module")
def es256():
    return BindingKit()


def verifier_of(kit, **options):
    return TokenVerifier(
        issuer=kit.issuer.issuer,
        audience=kit.audience,
        keys=KeySet.from_jwks(kit.issuer.jwks()),
        algorithms=[kit.key.algorithm],
        clock=time,
        **options,
    )


def assert_bounded(cost, case):
    counts, bounds = [cost.frames.total()], BOUNDS[case][:1]
    if sys.version_info[:2] in VERSIONS:  # others have other instructions
        counts.append(cost.instructions.total())
        bounds += BOUNDS[case][1 + VERSIONS.index(sys.version_info[:2]) :][:1]
    for count, bound in zip(counts, bounds, strict=True):
        if count > bound:
            pytest.fail(f"{case}: {count} is more than {bound}, of {cost}", pytrace=False)


@pytest.mark.parametrize("method", ["verify", "verify_async"])
def test_uncached(kit, method):
    """One signature is verified, and with no cache to look into, nothing is hashed."""
    cost = cost_of(getattr(verifier_of(kit, cache_size=0), method), kit.mint(kit.client()).encode(), kit.client().peer)

    assert (1, 0, 0) == (cost.cryptography.count("verify"), cost.cryptography.count("sign"), cost.hashes), cost
    assert_bounded(cost, f"verify {kit.key.algorithm}")


@pytest.mark.parametrize("method", ["verify", "verify_async"])
@pytest.mark.parametrize(("cache_key", "hashes"), [("sha256", 1), ("token", 0)])
def test_cached(kit, method, cache_key, hashes):
    """No signature is verified; the token is hashed once, if that is its key."""
    verifier = verifier_of(kit, cache_key=cache_key)
    cost = cost_of(getattr(verifier, method), kit.mint(kit.client()).encode(), kit.client().peer)

    assert ([], hashes) == (cost.cryptography, cost.hashes), cost
    assert_bounded(cost, "verify cached")


@pytest.mark.parametrize(("cache_key", "hashes"), [("sha256", 1), ("token", 0)])
def test_never_the_same_token(es256, cache_key, hashes):
    """With a cache that is never hit, one signature and one hash are what a token costs."""
    peer, tokens = es256.client().peer, iter([es256.mint(es256.client()).encode() for _ in range(4)])
    verifier = verifier_of(es256, cache_key=cache_key)
    cost = cost_of(lambda: verifier.verify(next(tokens), peer))

    assert (1, hashes) == (cost.cryptography.count("verify"), cost.hashes), cost
    assert_bounded(cost, "verify with a cache, ES256")


@pytest.mark.parametrize(("cache_key", "hashes"), [("sha256", 1), ("token", 0)])
def test_from_der(es256, cache_key, hashes):
    """A certificate that was seen before is not hashed again, and not parsed."""
    verifier, der = verifier_of(es256, cache_key=cache_key), es256.client().peer.der
    token = es256.mint(es256.client()).encode()
    cost = cost_of(lambda: verifier.verify(token, PeerCertificate.from_der(der)))

    assert ([], hashes) == (cost.cryptography, cost.hashes), cost
    assert_bounded(cost, "verify cached, from DER")


def test_mint(kit):
    """One signature is made, and nothing else of `cryptography` is asked: the certificate is parsed once."""
    issuer, options = TokenIssuer(kit.issuer.issuer, kit.key), {"client_id": "client", "audience": kit.audience}
    cost = cost_of(partial(issuer.mint, kit.client().peer, scope="a b", **options))

    assert (1, 0) == (cost.cryptography.count("sign"), cost.hashes), cost
    assert {"sign", "decode_dss_signature"} >= set(cost.cryptography), cost
    assert_bounded(cost, f"mint {kit.key.algorithm}")


def padded(kit, size, **header):
    """A token of *size* bytes with a changed header and a good signature."""
    claims = kit.claims(kit.client(), padding="")
    over = len(kit.sign(claims, header=header))
    token = kit.sign({**claims, "padding": "x" * ((size - over) * 3 // 4)}, header=header)
    assert 0 <= size - len(token) < 3
    return token


@pytest.mark.parametrize("text", [True, False])
@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"typ": "JWT"}, Reason.TOKEN_TYPE_REFUSED),
        ({"alg": "none"}, Reason.ALGORITHM_REFUSED),
        ({"alg": "RS256"}, Reason.ALGORITHM_NOT_ENABLED),
        ({"kid": "unknown"}, Reason.KEY_UNKNOWN),
    ],
)
def test_refused_by_the_header(es256, header, reason, text):
    """Neither verified nor hashed, and a long token is not dearer to refuse than a short one."""
    verifier, peer = verifier_of(es256), es256.client().peer
    verifier.verify(es256.mint(es256.client()), peer)  # so that there is something in the cache to look for
    costs = []
    for size in (1024, 4096, 16_384):
        token = padded(es256, size, **header)
        costs.append(cost_of(refusal, verifier, token if text else token.encode(), peer, reason))
        assert ([], 0) == (costs[-1].cryptography, costs[-1].hashes), costs[-1]

    assert_bounded(costs[0], "refused by the header")
    for cost in costs[1:]:
        assert (costs[0].frames, costs[0].instructions) == (cost.frames, cost.instructions), f"{costs[0]}\n{cost}"


def refusal(verifier, token, peer, reason):
    """Not `pytest.raises`, which makes garbage of its own."""
    seen = None
    try:
        verifier.verify(token, peer)
    except InvalidToken as error:
        seen = error.reason
    assert reason is seen


@pytest.mark.parametrize("letter", ["x", ".", "ü", b"x", b"."])
def test_refused_by_its_size(es256, letter):
    """Of a megabyte of junk nothing is looked at."""
    arguments = es256.client().peer, Reason.TOKEN_MALFORMED
    short, long = (cost_of(refusal, verifier_of(es256), letter * size, *arguments) for size in (16_385, 2**20))

    assert ([], 0) == (long.cryptography, long.hashes), long
    assert (short.frames, short.instructions) == (long.frames, long.instructions), f"{short}\n{long}"
    assert_bounded(long, "refused by its size")


@pytest.fixture(scope="module")
def request_of():
    """A function of a kit: a request to the middleware under uvicorn, with its cache filled."""

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"hello"})

    async def send(message):
        pass

    def make(kit):
        guarded, der = BoundTokenMiddleware(app, verifier_of(kit)), kit.client().peer.der
        bearer = f"Bearer {kit.mint(kit.client())}".encode()
        tls = SimpleNamespace(getpeercert={True: der}.get)
        headers = [(b"host", b"api.example"), (b"user-agent", b"x"), (b"accept", b"*/*"), (b"authorization", bearer)]
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/invoices",
            "root_path": "",
            "query_string": b"",
            "headers": headers,
            "extensions": {"tokenbind": {"ssl_object": tls, "socket_peer": None, "socket_name": None}},
        }
        return lambda: guarded(dict(scope), None, send)

    return make


def test_a_request_through_the_middleware(es256, request_of):
    """A hit in the cache, on a connection whose certificate was seen before: one hash, of the token."""
    cost = cost_of(request_of(es256))

    assert ([], 1) == (cost.cryptography, cost.hashes), cost
    assert_bounded(cost, "middleware cached")


def drained(coroutine):
    try:
        coroutine.send(None)
    except StopIteration:
        pass


@pytest.fixture(params=["verify", "verify_async", "from DER", "uncached", "middleware", "mint", "thief", "junk", "kid"])
def call(request, es256, request_of):
    """A function without arguments that can be called again and again."""
    peer, token = es256.client().peer, es256.mint(es256.client()).encode()
    verifier, request_through = verifier_of(es256), request_of(es256)
    return {
        "verify": lambda: verifier.verify(token, peer),
        "verify_async": lambda: drained(verifier.verify_async(token, peer)),
        "from DER": lambda: verifier.verify(token, PeerCertificate.from_der(peer.der)),
        "uncached": partial(verifier_of(es256, cache_size=0).verify, token, peer),
        "middleware": lambda: drained(request_through()),
        "mint": lambda: es256.mint(es256.client()),
        "thief": partial(refusal, verifier, token, es256.client("thief").peer, Reason.CERTIFICATE_MISMATCH),
        "junk": partial(refusal, verifier, b"x.y.z", peer, Reason.TOKEN_MALFORMED),
        "kid": partial(refusal, verifier, padded(es256, 1024, kid="x"), peer, Reason.KEY_UNKNOWN),
    }[request.param]


def test_no_garbage(call):
    """All that a call has made goes when it ends: nothing is left to the cycle collector, and nothing grows."""
    before = sys.gettrace()
    gc.disable()
    tracemalloc.start()
    sys.settrace(None)  # coverage remembers what it sees
    try:
        for _ in repeat(None, 50):
            call()
        gc.collect()
        held = tracemalloc.get_traced_memory()[0]
        for _ in repeat(None, 1000):
            call()
        assert 0 == gc.collect()
        assert tracemalloc.get_traced_memory()[0] - held < 8000  # what is left of each call would have 16 at least
    finally:
        sys.settrace(before)
        tracemalloc.stop()
        gc.enable()
