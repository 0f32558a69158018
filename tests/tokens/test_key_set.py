"""`KeySet.from_jwks`: which keys are taken, left out or refused, and which one a token finds."""

from types import MappingProxyType

from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa, x25519
import jwt
import pytest

from tokenbind import ConfigurationError, InvalidToken, KeySet, Reason, SigningKey
from tokenbind.tokens.compact import base64url


RSA_ALGORITHMS = ["PS256", "PS384", "PS512", "RS256", "RS384", "RS512"]


def jwks(*members):
    return {"keys": list(members)}


def without(jwk, *names):
    return {name: value for name, value in jwk.items() if name not in names}


def refusal(keys, kid, algorithm):
    with pytest.raises(InvalidToken) as caught:
        keys.find(kid, algorithm)
    return caught.value.reason


def finds(keys, kid, algorithm, signing_key):
    """Whether what is found verifies what *signing_key* signed; it must know its own name and algorithm."""
    found = keys.find(kid, algorithm)
    found.verify(signing_key.sign(b"message"), b"message")
    return algorithm == found.algorithm


def test_a_key_is_found_by_kid_and_algorithm(key_for):
    """A key serves its own ``alg`` alone; another algorithm or kid has its own reason (attack 41)."""
    es256, ps256 = key_for("ES256"), key_for("PS256")
    keys = KeySet.from_jwks(jwks(es256.public_jwk, ps256.public_jwk))

    assert finds(keys, es256.kid, "ES256", es256)
    assert finds(keys, ps256.kid, "PS256", ps256)
    assert Reason.ALGORITHM_REFUSED is refusal(keys, es256.kid, "PS256")
    assert Reason.ALGORITHM_REFUSED is refusal(keys, ps256.kid, "RS256")
    assert Reason.KEY_UNKNOWN is refusal(keys, "unknown", "ES256")
    assert Reason.KEY_UNKNOWN is refusal(keys, None, "ES384")


@pytest.mark.parametrize("names", [("EdDSA", "Ed25519"), ("Ed25519", "EdDSA")])
def test_ed25519_has_two_names(key_for, names):
    """RFC 9864: whatever name a key has, a token may use the other one, for it is the same algorithm."""
    key = key_for(names[0])
    keys = KeySet.from_jwks(jwks(key.public_jwk))

    for name in names:
        assert finds(keys, key.kid, name, key)


def test_a_key_without_alg_serves_what_fits_it(rsa_key, key_for):
    """An RSA key without ``alg`` serves all six of RSA, an EC key the one of its curve, and nothing else."""
    ec_key = key_for("ES384")
    keys = KeySet.from_jwks(jwks(without(key_for("PS256").public_jwk, "alg"), without(ec_key.public_jwk, "alg", "use")))

    for algorithm in RSA_ALGORITHMS:
        assert finds(keys, key_for("PS256").kid, algorithm, SigningKey(rsa_key, algorithm=algorithm))
    assert finds(keys, ec_key.kid, "ES384", ec_key)
    assert Reason.ALGORITHM_REFUSED is refusal(keys, ec_key.kid, "ES256")


def test_a_token_without_kid(key_for):
    """Without a kid in the token, the only key for the algorithm is taken; if there are two, none."""
    one, other, ps256 = key_for("ES256"), SigningKey.generate(), key_for("PS256")

    assert finds(KeySet.from_jwks(jwks(one.public_jwk, ps256.public_jwk)), None, "ES256", one)
    assert finds(KeySet.from_jwks(jwks(without(one.public_jwk, "kid"))), None, "ES256", one)
    assert Reason.KEY_UNKNOWN is refusal(KeySet.from_jwks(jwks(one.public_jwk, other.public_jwk)), None, "ES256")


def test_a_kid_may_serve_two_algorithms(key_for):
    """Two keys of one kid are told apart by their algorithm (FAPI 2.0 §5.4.3); two of one algorithm are not."""
    es256, ps256 = ({**key_for(name).public_jwk, "kid": "k1"} for name in ("ES256", "PS256"))
    keys = KeySet.from_jwks(jwks(es256, ps256))

    assert finds(keys, "k1", "ES256", key_for("ES256"))
    assert finds(keys, "k1", "PS256", key_for("PS256"))
    for twice in (jwks(es256, es256), jwks(without(es256, "kid"), without(SigningKey.generate().public_jwk, "kid"))):
        with pytest.raises(ConfigurationError, match="two keys for ES256 with the same kid"):
            KeySet.from_jwks(twice)


def foreign_jwks():
    """Keys that are sound, but not for us."""
    ed448_key, x25519_key = ed448.Ed448PrivateKey.generate(), x25519.X25519PrivateKey.generate()
    good = SigningKey.generate().public_jwk
    return {
        "Ed448": jwt.algorithms.OKPAlgorithm.to_jwk(ed448_key.public_key(), as_dict=True),
        "X25519": {"kty": "OKP", "crv": "X25519", "x": base64url(x25519_key.public_key().public_bytes_raw()).decode()},
        "secp256k1": jwt.algorithms.ECAlgorithm.to_jwk(
            ec.generate_private_key(ec.SECP256K1()).public_key(), as_dict=True
        ),
        "a shared secret": {"kty": "oct", "k": "AAAA", "alg": "HS256"},
        "for encryption": {**good, "use": "enc"},
        "for another use": {**good, "use": ["sig"]},
        "key_ops without verify": {**good, "key_ops": ["encrypt"]},
        "key_ops that are no list": {**good, "key_ops": "verify"},
        "key_ops of another type": {**good, "key_ops": 5},
        "alg for encryption": {**good, "alg": "ECDH-ES"},
        "alg of another curve": {**good, "alg": "ES384"},
        "alg of another type": {**good, "alg": "EdDSA"},
        "alg that is no text": {**good, "alg": ["ES256"]},
        "no kty": without(good, "kty"),
        "kty that is no text": {**good, "kty": ["EC"], "crv": {}},
        "of the future": {"kty": "AKP", "alg": "ML-DSA-65", "pub": "AAAA", "kid": 7},
    }


@pytest.mark.parametrize("what", foreign_jwks())
def test_keys_that_are_not_for_us_are_left_out(key_for, what):
    """A key for another use, or of another type, is left out; with no other key there is nothing to verify with."""
    good, foreign = key_for("EdDSA"), foreign_jwks()[what]
    keys = KeySet.from_jwks(jwks(foreign, good.public_jwk))

    assert finds(keys, good.kid, "EdDSA", good)
    assert Reason.KEY_UNKNOWN is refusal(keys, None, "ES256")
    with pytest.raises(ConfigurationError, match="no key for any of"):
        KeySet.from_jwks(jwks(foreign))


def test_an_rsa_key_with_the_alg_of_another_type_is_left_out(key_for):
    """A key with ``alg`` serves that algorithm or none: an RSA key that says EdDSA does not serve RS256."""
    for alg in ("EdDSA", "Ed25519", "ES256"):
        with pytest.raises(ConfigurationError, match="no key for any of"):
            KeySet.from_jwks(jwks({**key_for("PS256").public_jwk, "alg": alg}))


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("kid", 7, "kid that is not a string"),
        ("kid", ["k"], "kid that is not a string"),
        ("d", "AAAA", "private; publish public keys only"),
        ("x", "AAAA", "broken"),
        ("x", "!!", "broken"),
        ("x", 5, "broken"),
        ("x", None, "broken"),
        ("y", "A" * 43, "broken"),
    ],
)
def test_broken_keys(key_for, name, value, hint):
    """Attack 44: a key that is broken, or private, is an error, which shows nothing of it."""
    jwk = {**key_for("ES256").public_jwk, name: value}
    with pytest.raises(ConfigurationError, match=hint) as caught:
        KeySet.from_jwks(jwks(jwk))

    assert jwk["y"] not in str(caught.value)
    assert finds(KeySet.from_jwks(jwks(key_for("ES256").public_jwk)), None, "ES256", key_for("ES256"))


def rsa_jwk(n, e=65537):
    return jwt.algorithms.RSAAlgorithm.to_jwk(rsa.RSAPublicNumbers(e, n).public_key(), as_dict=True)


@pytest.mark.parametrize(
    ("jwk", "hint"),
    [
        pytest.param(lambda: rsa_jwk((1 << 1023) | 1), "1024 bits; it must have 2048 to 8192", id="1024 bits"),
        pytest.param(lambda: rsa_jwk((1 << 2046) | 1), "2047 bits", id="2047 bits"),
        pytest.param(lambda: rsa_jwk((1 << 8192) | 1), "8193 bits", id="8193 bits"),
        pytest.param(lambda: rsa_jwk((1 << 2047) | 1, (1 << 64) | 1), "exponent", id="exponent of 65 bits"),
        pytest.param(lambda: {**rsa_jwk((1 << 2047) | 1), "e": "AQ"}, "broken|exponent", id="exponent of 1"),
        pytest.param(lambda: {**rsa_jwk((1 << 2047) | 1), "e": "BA"}, "broken|exponent", id="exponent of 4"),
    ],
)
def test_rsa_keys_that_are_not_safe(jwk, hint):
    """An RSA key too short, too long, or with an exponent that is no good, is refused; the limits themselves pass."""
    with pytest.raises(ConfigurationError, match=hint):
        KeySet.from_jwks(jwks(jwk()))

    for n, e in ((1 << 2047) | 1, 3), ((1 << 8191) | 1, (1 << 63) | 1):
        assert "RS256" == KeySet.from_jwks(jwks(rsa_jwk(n, e))).find(None, "RS256").algorithm


@pytest.mark.parametrize("value", [None, [], {}, "", {"keys": None}, {"keys": {}}, {"keys": "x"}, [{"kty": "EC"}], 7])
def test_what_is_no_jwk_set(value):
    """Another shape than that of RFC 7517 §5 is refused with what it should be."""
    with pytest.raises(ConfigurationError, match=r"JWK Set is needed: \{\"keys\""):
        KeySet.from_jwks(value)


@pytest.mark.parametrize("member", [None, "key", 7, ["kty", "EC"]])
def test_a_member_that_is_no_object(key_for, member):
    """Every member of the set must be a JSON object, and any Mapping is one."""
    with pytest.raises(ConfigurationError, match="not a JSON object"):
        KeySet.from_jwks(jwks(key_for("ES256").public_jwk, member))

    read_only = MappingProxyType({"keys": (MappingProxyType(key_for("ES256").public_jwk),)})
    assert finds(KeySet.from_jwks(read_only), None, "ES256", key_for("ES256"))


def test_an_empty_set():
    """A set without keys could verify nothing."""
    with pytest.raises(ConfigurationError, match="no key for any of ES256"):
        KeySet.from_jwks(jwks())
