"""`Signer`: a key in another process, or in a KMS, signs for an issuer; and all that it can do wrong."""

from concurrent.futures import ThreadPoolExecutor
import json
import subprocess
import sys
from threading import Lock

import pytest

from tokenbind import ConfigurationError, KeySet, Reason, SigningKey
from tokenbind.errors import Unavailable
from tokenbind.tokens import jws_signature
from tokenbind.tokens.algorithms import ALGORITHMS

from .signers import SECRET, Given, OddMapping, assert_bound, in_der, in_turn, issuer_of, mint, raising


ECDSA = [name for name, algorithm in ALGORITHMS.items() if algorithm.kty == "EC"]

# It has the private keys, one for each algorithm, and gives away what is public, and signatures.
PROGRAM = """
from functools import cache
import json, sys
from cryptography.hazmat.primitives.asymmetric import rsa
from tokenbind import SigningKey

rsa_key = cache(lambda: rsa.generate_private_key(65537, 2048))
key = cache(lambda name: SigningKey(rsa_key(), algorithm=name) if name[1] == "S" and name[0] != "E"
            else SigningKey.generate(name))
for line in sys.stdin:
    name, *message = line.split()
    print(key(name).sign(bytes.fromhex(message[0])).hex() if message else json.dumps(key(name).public_jwk), flush=True)
"""


class OtherProcess:
    """Asks the program on its pipes, one question at a time."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._asking = Lock()

    def ask(self, *words):
        with self._asking:
            print(*words, file=self.process.stdin, flush=True)
            answer = self.process.stdout.readline()
        if not answer:
            raise EOFError(f"no answer to {words}")
        return answer

    def signer(self, algorithm):
        jwk = json.loads(self.ask(algorithm))
        return Given(algorithm, jwk["kid"], jwk, lambda message: bytes.fromhex(self.ask(algorithm, message.hex())))

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        try:
            self.process.stdin.close()
        except BrokenPipeError:  # of the last question
            pass


@pytest.fixture(scope="module")
def other_process():
    other = OtherProcess()
    yield other
    other.kill()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_in_another_process(other_process, verifier_of, algorithm, tokenbind_kit):
    """Its tokens are as good as those of a key at hand, and what is published is public."""
    issuer = issuer_of(tokenbind_kit, other_process.signer(algorithm))
    keys = KeySet.from_jwks(issuer.jwks())

    assert_bound(tokenbind_kit, verifier_of(keys=keys, algorithms=[algorithm]), mint(tokenbind_kit, issuer))
    assert {"kty", "crv", "x", "y", "n", "e", "kid", "use", "alg"} >= set(issuer.jwks()["keys"][0])


@pytest.mark.parametrize("algorithm", ECDSA)
def test_a_key_that_signs_in_der(other_process, verifier_of, algorithm, tokenbind_kit):
    """Most KMS give DER: that is refused at once, with the name of what helps, and then it works."""
    signer = other_process.signer(algorithm)
    with pytest.raises(ConfigurationError, match=r"r and s, not DER: see tokenbind\.tokens\.jws_signature"):
        issuer_of(tokenbind_kit, Given.of(signer, sign=lambda message: in_der(signer.sign(message))))

    issuer = issuer_of(
        tokenbind_kit, Given.of(signer, sign=lambda message: jws_signature(in_der(signer.sign(message)), algorithm))
    )
    assert_bound(
        tokenbind_kit,
        verifier_of(keys=KeySet.from_jwks(issuer.jwks()), algorithms=[algorithm]),
        mint(tokenbind_kit, issuer),
    )


@pytest.mark.parametrize("method", ["mint", "token_response"])
def test_the_other_process_is_gone(tokenbind_client, tokenbind_issuer, method, tokenbind_kit):
    """It is nobody's fault who asks for a token: 503, with the reason in the cause and not in the message."""
    other = OtherProcess()
    arguments = {"client_id": "client", "audience": "https://api.example"}
    try:
        issuer = issuer_of(tokenbind_kit, other.signer("ES256"))
        assert issuer.mint(tokenbind_client.peer, **arguments)
    finally:
        other.kill()

    with pytest.raises(Unavailable) as caught:
        getattr(issuer, method)(tokenbind_client.peer, **arguments)
    assert (Reason.SIGNER_UNAVAILABLE, 503) == (caught.value.reason, caught.value.status)
    assert isinstance(caught.value.__cause__, ValueError | OSError)
    assert f"the signer failed: {type(caught.value.__cause__).__name__}" == str(caught.value)
    assert getattr(tokenbind_issuer, method)(tokenbind_client.peer, **arguments)


@pytest.mark.parametrize(
    "later",
    [
        *(lambda _, value=value: value for value in (None, "x" * 64, b"", b"x" * 63, b"x" * 65, bytearray(64), 64)),
        *(raising(kind(SECRET)) for kind in (OSError, TimeoutError, KeyError, RuntimeError, ConfigurationError)),
    ],
)
def test_a_signer_that_fails_later(key_for, later, tokenbind_kit):
    """Whatever it returns or raises after it was tried, there is no token, and nothing of its words in the message."""
    sign = key_for("ES256").sign
    issuer = issuer_of(tokenbind_kit, Given.of(key_for("ES256"), sign=in_turn(sign, sign, later, sign)))

    assert mint(tokenbind_kit, issuer)
    with pytest.raises(Unavailable, match=r"^the signer failed: \w") as caught:
        mint(tokenbind_kit, issuer)
    assert Reason.SIGNER_UNAVAILABLE is caught.value.reason
    assert SECRET not in str(caught.value)
    assert (SECRET in str(caught.value.__cause__)) == (caught.value.__cause__ is not None)
    assert mint(tokenbind_kit, issuer)  # it has come back


JWK = SigningKey.generate(kid="k1").public_jwk
PRIVATE = {**JWK, "d": "AAAA"}
WRONG_PARTS = [
    *({"sign": sign} for sign in (raising(OSError(SECRET)), lambda _: None, lambda _: "x" * 64, bytearray, None, b"")),
    *({"sign": sign} for sign in (lambda _: b"", lambda _: b"x" * 64, lambda _: bytes(64), lambda message: message)),
    *({"kid": kid} for kid in ("another", "", None, 7, b"k1", "\ud800", "a\nb", ["k1"])),
    *({"algorithm": name} for name in ("none", "HS256", "ES257", "ES384", "PS256", "EdDSA", None, 7, ["ES256"])),
    *({"public_jwk": jwk} for jwk in (None, "x", b"x", 7, [JWK], list(JWK.items()), {}, OddMapping(JWK), PRIVATE)),
    *({"public_jwk": JWK | change} for change in ({"kid": "k2"}, {"alg": "ES384"}, {"use": "enc"}, {"x": "AAAA"})),
    *({"public_jwk": JWK | {"x5c": value}} for value in (float("nan"), b"x", object(), "\ud800", 10**5000)),
    {"public_jwk": {name: value for name, value in JWK.items() if name != "kid"}},
    {"public_jwk": PRIVATE | {"use": "enc"}},
    {"public_jwk": {"kty": "oct", "k": "AAAA", "kid": "k1"}},
    {"sign": SigningKey.generate().sign},
]


@pytest.mark.parametrize("parts", WRONG_PARTS, ids=lambda parts: next(iter(parts)))
def test_a_signer_that_is_wrong(key_for, parts, tokenbind_kit):
    """What could not work, or would publish a secret, is found when the issuer is made; nothing else is raised."""
    key = SigningKey(key_for("ES256")._private_key, kid="k1")
    good = Given.of(key)
    wrong = Given.of(key, **parts)

    assert issuer_of(tokenbind_kit, good)
    with pytest.raises(ConfigurationError) as caught:
        issuer_of(tokenbind_kit, wrong)
    assert SECRET not in str(caught.value)
    if "sign" not in parts:  # which is not asked then
        with pytest.raises(ConfigurationError):
            issuer_of(tokenbind_kit, key_for("EdDSA"), next_keys=[wrong])


@pytest.mark.parametrize("key", [None, "key", b"key", 7, {}, JWK, SigningKey, Given, object()])
def test_what_is_no_signer(key_for, key, tokenbind_kit):
    """Nor is a class one, or a JWK, which may be published and cannot sign."""
    with pytest.raises(ConfigurationError, match="must be a SigningKey, or a Signer with") as caught:
        issuer_of(tokenbind_kit, key)
    assert SECRET not in str(caught.value)
    if key is not JWK:
        for name in ("previous_keys", "next_keys"):
            with pytest.raises(ConfigurationError):
                issuer_of(tokenbind_kit, key_for("EdDSA"), **{name: [key]})


@pytest.mark.parametrize("part", ["algorithm", "kid", "public_jwk", "sign"])
def test_a_signer_whose_attributes_raise(key_for, part, tokenbind_kit):
    """A library that asks its KMS for them, which is away."""
    kind = type("Raising", (Given,), {part: property(raising(OSError(SECRET)), lambda *_: None)})
    with pytest.raises(ConfigurationError, match="OSError") as caught:
        issuer_of(tokenbind_kit, kind.of(key_for("ES256")))

    assert SECRET not in str(caught.value)
    assert SECRET == str(caught.value.__cause__)


def test_a_signer_is_asked_who_it_is_once(verifier_of, key_for, tokenbind_kit):
    """What was held against its signature is what is published and written into tokens, whatever it says later."""
    key, asked = key_for("ES256"), []

    def once(name):
        def get(_):
            asked.append(name)
            return getattr(key, name)

        return property(get)

    names = ["algorithm", "kid", "public_jwk", "sign"]
    issuer = issuer_of(tokenbind_kit, type("Asked", (), {name: once(name) for name in names})())

    assert_bound(tokenbind_kit, verifier_of(keys=KeySet.from_jwks(issuer.jwks())), mint(tokenbind_kit, issuer))
    assert names == asked


@pytest.mark.parametrize("kid", ["\ud800", "a\nb", 7, b"k1"])
def test_a_kid_that_cannot_be_written(kid):
    """A key at hand is held to the same: its kid stands in every token."""
    with pytest.raises(ConfigurationError, match="printable text"):
        SigningKey.generate(kid=kid)


@pytest.mark.parametrize("place", ["here", "in another process"])
def test_sixteen_threads(request, verifier_of, tokenbind_kit, key_for, place):
    """One issuer serves them all; each token is of its own client, and no two are one."""
    key = key_for("ES256") if place == "here" else request.getfixturevalue("other_process").signer("ES256")
    issuer = issuer_of(tokenbind_kit, key)
    verifier = verifier_of(keys=KeySet.from_jwks(issuer.jwks()))
    clients = [tokenbind_kit.client(f"client{number}") for number in range(16)]

    def mint_some(client):
        options = {"client_id": client.name, "audience": tokenbind_kit.audience, "scope": client.name}
        return [issuer.mint(client.peer, **options) for _ in range(40)]

    with ThreadPoolExecutor(16) as threads:
        minted = list(threads.map(mint_some, clients))
    ids = set()
    for client, tokens in zip(clients, minted, strict=True):
        for token in tokens:
            bound = verifier.verify(token, client.peer)
            assert (client.name, {client.name}) == (bound.client_id, bound.scopes)
            ids.add(bound.token_id)
    assert 16 * 40 == len(ids)


FORKING = """
from datetime import datetime, timezone
import os
from tokenbind import PeerCertificate, SigningKey, TokenIssuer
from tokenbind.tokens.compact import read_base64url, read_json_object

issuer = TokenIssuer("https://as.example", SigningKey.generate())
peer = PeerCertificate.from_thumbprint("A" * 43)
end = datetime(9999, 1, 1, tzinfo=timezone.utc)

def token_id():
    token = issuer.mint(peer, client_id="client", audience="https://api.example", unsafe_not_after=end)
    return read_json_object(read_base64url(token.split(".")[1].encode()))["jti"]

token_id()
children = [child for _ in range(3) if (child := os.fork())]
if len(children) < 3:
    children = []  # some may be, and are those of another process
os.write(1, "".join(f"{token_id()}\\n" for _ in range(50)).encode())  # all in one, so that they do not mix
for child in children:
    assert os.waitpid(child, 0)[1] == 0
"""


def test_after_a_fork():
    """A process that was forked does not repeat the token ids of its parent, nor of its siblings."""
    done = subprocess.run([sys.executable, "-c", FORKING], capture_output=True, text=True, timeout=60, check=True)
    ids = done.stdout.split()

    assert 8 * 50 == len(ids) == len(set(ids))
