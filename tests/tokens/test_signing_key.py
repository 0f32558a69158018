"""`SigningKey`: every algorithm, held against PyJWT as another implementation; what is refused; what is never shown."""

import copy
import pickle

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, rsa, x25519
import jwt
import pytest

from tokenbind import ConfigurationError, InvalidToken, KeySet, Reason, SigningKey, TokenVerifier
from tokenbind.tokens.algorithms import ALGORITHMS
from tokenbind.tokens.keys import jwk_thumbprint


CURVES = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}


def other_name(algorithm):
    """PyJWT knows Ed25519 by its old name only."""
    return "EdDSA" if algorithm == "Ed25519" else algorithm


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_we_sign_pyjwt_verifies(tokenbind_kit, tokenbind_client, key_for, algorithm):
    """A token of ours is good for PyJWT with the published key, and for our verifier; with a byte changed, for none."""
    key = key_for(algorithm)
    claims = tokenbind_kit.claims(tokenbind_client)
    token = tokenbind_kit.sign(claims, key=key, header={"alg": other_name(algorithm)})
    public = jwt.PyJWK({**key.public_jwk, "alg": other_name(algorithm)}).key
    verification_key = KeySet.from_jwks({"keys": [key.public_jwk]}).find(key.kid, algorithm)
    message, signature = b"message", key.sign(b"message")

    assert claims == jwt.decode(
        token, public, algorithms=[other_name(algorithm)], audience=tokenbind_kit.audience, issuer=claims["iss"]
    )
    verification_key.verify(signature, message)
    forged = bytes([signature[0], signature[1] ^ 1]) + signature[2:]
    half = len(signature) // 2  # a zero before s changes no number, but makes another token of it
    longer = signature[:half] + b"\0" + signature[half:]
    for wrong, text in ((forged, message), (signature, b"another"), (signature[:-1], message), (longer, message)):
        with pytest.raises(InvalidToken) as caught:
            verification_key.verify(wrong, text)
        assert Reason.SIGNATURE_INVALID is caught.value.reason


@pytest.mark.parametrize("algorithm", [name for name in ALGORITHMS if name != "Ed25519"])
def test_what_pyjwt_signs_we_verify(tokenbind_kit, tokenbind_client, key_for, algorithm):
    """A token that PyJWT signed, with the same key as PEM, is accepted; by a stranger it is refused."""
    key = key_for(algorithm)
    token = jwt.encode(
        tokenbind_kit.claims(tokenbind_client), key.to_pem(), algorithm, {"typ": "at+jwt", "kid": key.kid}
    )
    verifier = TokenVerifier(
        issuer=tokenbind_kit.issuer.issuer,
        audience=tokenbind_kit.audience,
        keys=KeySet.from_jwks({"keys": [key.public_jwk]}),
        algorithms=[algorithm],
        clock=tokenbind_kit.clock,
    )

    assert tokenbind_client.thumbprint == verifier.verify(token, tokenbind_client.peer).thumbprint
    with pytest.raises(InvalidToken):
        verifier.verify(token, tokenbind_kit.client("stranger").peer)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_generate(key_for, algorithm):
    """A generated key has the algorithm's type, and publishes nothing but public members."""
    key = SigningKey.generate(algorithm) if algorithm in {"ES512", "PS256", "Ed25519"} else key_for(algorithm)
    members = {"EC": {"crv", "x", "y"}, "RSA": {"n", "e"}, "OKP": {"crv", "x"}}[ALGORITHMS[algorithm].kty]

    assert (algorithm, algorithm) == (key.algorithm, key.public_jwk["alg"])
    assert {"kty", "kid", "use", "alg", *members} == set(key.public_jwk)
    assert "sig" == key.public_jwk["use"]
    assert ALGORITHMS[algorithm].crv == key.public_jwk.get("crv")


def test_kid_is_the_rfc_7638_thumbprint():
    """The kid is the thumbprint of the public JWK, computed as in the example of RFC 7638 §3.1."""
    example = {
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCi"
        "FV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d"
        "0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-cs"
        "FCur-kEgU8awapJzKnqDKgw",
        "e": "AQAB",
        "alg": "RS256",
        "kid": "2011-04-29",
    }
    key = SigningKey.generate()

    assert "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" == jwk_thumbprint(example)
    assert jwk_thumbprint(key.public_jwk) == key.kid == key.public_jwk["kid"]
    assert "k1" == SigningKey.generate(kid="k1").kid == SigningKey.generate(kid="k1").public_jwk["kid"]


def test_the_public_jwk_is_a_copy():
    """Changing what was handed out changes nothing."""
    key = SigningKey.generate()
    key.public_jwk.clear()

    assert "EC" == key.public_jwk["kty"]


@pytest.mark.parametrize("password", [None, "correct horse", b"correct horse"])
@pytest.mark.parametrize("as_text", [True, False])
def test_pem_round_trip(password, as_text):
    """A key written as PEM, with or without a password, is read back as the same key."""
    key = SigningKey.generate("EdDSA")
    pem = key.to_pem(password)
    again = SigningKey.from_pem(pem.decode() if as_text else pem, password)

    assert key.public_jwk == again.public_jwk
    assert (b"ENCRYPTED" in pem) == (password is not None)


@pytest.mark.parametrize("form", ["TraditionalOpenSSL", "PKCS8"])
@pytest.mark.parametrize("algorithm", ["ES256", "PS256"])
def test_pem_forms(key_for, algorithm, form):
    """PKCS#1, SEC 1 and PKCS#8 are read; kid and algorithm can be chosen."""
    key = key_for(algorithm)
    pem = key._private_key.private_bytes(
        serialization.Encoding.PEM, getattr(serialization.PrivateFormat, form), serialization.NoEncryption()
    )

    same, renamed = SigningKey.from_pem(pem), SigningKey.from_pem(pem, kid="k1", algorithm=algorithm)

    assert (key.kid, algorithm) == (same.kid, same.algorithm)
    assert ("k1", algorithm) == (renamed.kid, renamed.algorithm)


@pytest.mark.parametrize("password", [None, "incorrect", b"", 7, "\udc80"])
def test_wrong_password(password):
    """A wrong password, or none, is our own error, which shows neither text."""
    pem = SigningKey.generate().to_pem("correct horse")
    with pytest.raises(ConfigurationError, match="password=") as caught:
        SigningKey.from_pem(pem, password)

    assert "correct" not in str(caught.value)
    assert caught.value.__context__ is None  # what was caught may quote key and password


@pytest.mark.parametrize("password", ["", b"", "x" * 1024])
def test_a_password_that_cannot_encrypt(password):
    """An empty password would leave the key in the clear, and OpenSSL takes 1023 bytes at most."""
    with pytest.raises(ConfigurationError, match="1 to 1023 bytes"):
        SigningKey.generate().to_pem(password)


BROKEN = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"


@pytest.mark.parametrize("pem", ["", "junk", b"\0", None, BROKEN, BROKEN[:-9], "\udc80"])
def test_what_is_no_key(pem):
    """Junk in place of a PEM is our own error."""
    with pytest.raises(ConfigurationError, match="no PEM private key"):
        SigningKey.from_pem(pem)


def pem_of(private_key):
    return private_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.mark.parametrize(
    ("make", "hint"),
    [
        pytest.param(lambda: rsa.generate_private_key(65537, 1024), "1024 bits", id="RSA 1024"),
        pytest.param(lambda: ec.generate_private_key(ec.SECP256K1()), "secp256k1.*P-256", id="secp256k1"),
        pytest.param(lambda: ec.generate_private_key(ec.SECP224R1()), "secp224r1.*P-256", id="P-224"),
        pytest.param(ed448.Ed448PrivateKey.generate, "only RSA, EC", id="Ed448"),
        pytest.param(x25519.X25519PrivateKey.generate, "only RSA, EC", id="X25519"),
        pytest.param(lambda: dsa.generate_private_key(1024), "only RSA, EC", id="DSA"),
    ],
)
def test_keys_that_are_not_taken(make, hint):
    """A key that is too small, or of a type or curve that is not supported, is refused with what to use instead."""
    key = make()
    for build in (lambda: SigningKey(key), lambda: SigningKey.from_pem(pem_of(key))):
        with pytest.raises(ConfigurationError, match=hint):
            build()


def test_a_public_key_cannot_sign(rsa_key):
    """A public key in place of the private one is named as such, and what is no key at all is refused."""
    for public in (rsa_key.public_key(), ec.generate_private_key(ec.SECP256R1()).public_key()):
        with pytest.raises(ConfigurationError, match="give the private one"):
            SigningKey(public)
    with pytest.raises(ConfigurationError, match="only RSA, EC"):
        SigningKey(b"secret")


@pytest.mark.parametrize("algorithm", ["HS256", "none", "None", "es256", "RSA-OAEP", "", "ES256K", 256, None])
def test_algorithms_that_do_not_exist_here(algorithm):
    """Attacks 39 and 40: neither ``none`` nor HMAC exists; HMAC is told why."""
    with pytest.raises(ConfigurationError, match="must be one of ES256") as caught:
        SigningKey.generate(algorithm)

    assert ("everyone who verifies could mint" in str(caught.value)) == (algorithm == "HS256")


@pytest.mark.parametrize("algorithm", ["HS256", "none"])
def test_algorithms_that_do_not_exist_are_refused_for_a_key_at_hand(rsa_key, algorithm):
    """A key at hand does not make them exist."""
    with pytest.raises(ConfigurationError, match="must be one of"):
        SigningKey(rsa_key, algorithm=algorithm)


@pytest.mark.parametrize(
    ("key", "algorithm"), [("ES256", "ES384"), ("ES256", "PS256"), ("PS256", "EdDSA"), ("EdDSA", "ES256")]
)
def test_key_and_algorithm_must_fit(key_for, key, algorithm):
    """Attack 41: the algorithm belongs to the key; the refusal names those that fit."""
    with pytest.raises(ConfigurationError, match=f"cannot be used with {algorithm}, only with .*{key}"):
        SigningKey.from_pem(key_for(key).to_pem(), algorithm=algorithm)


def test_nothing_leaks(key_for):
    """Neither repr nor format nor pickle nor copy gives the secret away; `to_pem` is the one way out."""
    key = key_for("ES256")
    number = key._private_key.private_numbers().private_value

    assert f"<SigningKey ES256 kid={key.kid}>" == repr(key) == str(key)
    assert str(number) not in repr(vars(key))
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(ConfigurationError, match="to_pem"):
            leak(key)
    assert b"PRIVATE KEY" in key.to_pem()
