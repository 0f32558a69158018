"""Attacks 39-46, 49 and 67, on signature and header: rows of the table. The rightful client presents each."""

from base64 import urlsafe_b64decode
import hmac
import json
from types import SimpleNamespace

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
import jwt

from tokenbind import Reason, SigningKey

from .cases import (
    cases,
    claims,
    encoded,
    header,
    header_text,
    segment,
    signature,
    signed_by,
    token_text,
)


JKU = "https://127.0.0.1:9/jwks"
INJECTION = '", error="none"\r\nSet-Cookie: a=b\r\n\r\n<script>'


def public_pem(kit):
    return jwt.PyJWK(kit.key.public_jwk).key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def hmac_key(secret, algorithm="HS256"):
    """The issuer's ``kid`` on a key whose secret everyone knows."""
    return lambda kit: SimpleNamespace(
        algorithm=algorithm,
        kid=kit.key.kid,
        sign=lambda message: hmac.digest(secret(kit), message, f"sha{algorithm[2:]}"),
    )


def as_rs256(kit):
    """The PS256 key, signing PKCS #1 v1.5."""
    return SigningKey.from_pem(kit.keys["PS256"].to_pem(), kid=kit.keys["PS256"].kid, algorithm="RS256")


def foreign(kit):
    return kit.foreign_key


def foreign_with_our_kid(kit):
    return kit.foreign_key_with_our_kid


def foreign_jwk(kit):
    return kit.foreign_key.public_jwk


def der(raw):
    return encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))


HEADER = [
    *cases(
        "control",
        None,
        {
            "header-text": header_text(lambda text: text),
            "signature": signature(lambda raw: raw),
            "segment": segment(1, lambda text: text),
        }
        | {f"{name}-key": signed_by(lambda kit, name=name: kit.keys[name]) for name in ("PS256", "ES384", "EdDSA")},
    ),
    *cases(39, Reason.ALGORITHM_REFUSED, {name: header(alg=name) for name in ("none", "None", "nOnE", "NONE", "")}),
    *cases(39, Reason.TOKEN_MALFORMED, {"empty-signature": segment(2, lambda text: "")}),
    *cases(
        39,
        Reason.ALGORITHM_REFUSED,
        {
            "none-empty-signature": token_text(
                lambda token: f"{encoded({'alg': 'none', 'typ': 'at+jwt'})}.{token.split('.')[1]}."
            ),
        },
    ),
    *cases(
        40,
        Reason.ALGORITHM_REFUSED,
        {
            "hs256-with-the-public-pem": signed_by(hmac_key(public_pem)),
            "hs256-with-the-public-jwk": signed_by(hmac_key(lambda kit: json.dumps(kit.key.public_jwk).encode())),
            "hs384-with-the-public-pem": signed_by(hmac_key(public_pem, "HS384")),
            "hs256-with-an-empty-secret": signed_by(hmac_key(lambda kit: b"")),
        },
    ),
    *cases(
        40,
        Reason.SIGNATURE_INVALID,
        {"hmac-that-says-es256": signed_by(hmac_key(public_pem), alg="ES256")},
    ),
    *cases(
        41,
        Reason.ALGORITHM_REFUSED,
        {
            "rs256-with-a-ps256-key": signed_by(as_rs256),
            "es256-with-a-p384-key": signed_by(lambda kit: kit.keys["ES384"], alg="ES256"),
            "es384-with-a-p256-key": header(alg="ES384"),
            "ps256-with-a-p256-key": header(alg="PS256"),
            "lower-case": header(alg="es256"),
            "unknown": header(alg="ES256K"),
        },
    ),
    *cases(41, Reason.ALGORITHM_NOT_ENABLED, {"not-enabled": header(alg="RS384")}),
    *cases(
        42,
        Reason.TOKEN_MALFORMED,
        {
            "alg-missing": header(alg=...),
            "alg-null": header(alg=None),
            "alg-list": header(alg=["ES256"]),
            "alg-number": header(alg=256),
        },
    ),
    *cases(
        42,
        Reason.SIGNATURE_INVALID,
        {
            "short": signature(lambda raw: raw[:-1]),
            "long": signature(lambda raw: raw + b"\0"),
            "s-zero-extended": signature(lambda raw: raw[:32] + b"\0" + raw[32:]),
            "one-byte": signature(lambda raw: raw[:1]),
            "der": signature(der),
            "all-zero": signature(lambda raw: bytes(64)),
            "r-zero": signature(lambda raw: bytes(32) + raw[32:]),
            "s-zero": signature(lambda raw: raw[:32] + bytes(32)),
            "all-ones": signature(lambda raw: b"\xff" * 64),
            "swapped": signature(lambda raw: raw[32:] + raw[:32]),
            "one-bit": signature(lambda raw: raw[:-1] + bytes([raw[-1] ^ 1])),
            "rsa-short": signature(lambda raw: raw[:-1], "PS256"),
            "rsa-zero": signature(lambda raw: bytes(256), "PS256"),
            "eddsa-short": signature(lambda raw: raw[:-1], "EdDSA"),
            "eddsa-zero": signature(lambda raw: bytes(64), "EdDSA"),
            "other-claims": segment(1, lambda text: encoded({"sub": "admin"})),
            "other-header": segment(0, lambda text: encoded(json.loads(urlsafe_b64decode(text + "==")) | {"x": 1})),
        },
    ),
    *cases(
        43,
        Reason.SIGNATURE_INVALID,
        {
            "jwk": signed_by(foreign_with_our_kid, jwk=foreign_jwk),
            "jku": signed_by(foreign_with_our_kid, jku=JKU),
            "x5u": signed_by(foreign_with_our_kid, x5u=JKU),
            "x5c": signed_by(foreign_with_our_kid, x5c=["MIIB"]),
            "jwk-without-kid": signed_by(foreign, jwk=foreign_jwk, kid=...),
        },
    ),
    *cases(
        43,
        Reason.KEY_UNKNOWN,
        {"jwk-with-its-kid": signed_by(foreign, jwk=foreign_jwk), "jku-with-its-kid": signed_by(foreign, jku=JKU)},
    ),
    *cases(
        43,
        None,
        {"ignored": header(jwk=foreign_jwk, jku=JKU, x5u=JKU, x5c=["MIIB"], **{"x5t#S256": "other"})},
    ),
    *cases(
        44,
        Reason.KEY_UNKNOWN,
        {
            "traversal": header(kid="../../../../dev/null"),
            "sql": header(kid="' UNION SELECT 'secret' --"),
            "long": header(kid="k" * 1_000),
            "empty": header(kid=""),
            "nul": header(kid=lambda kit: kit.key.kid + "\0"),
            "prefix": header(kid=lambda kit: kit.key.kid[:-1]),
        },
    ),
    *cases(
        44,
        Reason.TOKEN_MALFORMED,
        {
            "number": header(kid=1),
            "list": header(kid=lambda kit: [kit.key.kid]),
            "object": header(kid={}),
            "null": header(kid=None),
        },
    ),
    *cases(44, None, {"none-where-one-key-fits": header(kid=...)}),
    *cases(44, Reason.TOKEN_MALFORMED, {"huge": header(kid="k" * 10_000), "many": header(x=[[]] * 99)}),
    *cases(45, Reason.KEY_UNKNOWN, {"key-of-issuer-b": signed_by(foreign)}),
    *cases(45, Reason.SIGNATURE_INVALID, {"key-of-issuer-b-under-our-kid": signed_by(foreign_with_our_kid)}),
    *cases(
        46,
        Reason.CRITICAL_HEADER_REFUSED,
        {
            "unknown": header(crit=["x"], x=1),
            "empty": header(crit=[]),
            "string": header(crit="b64"),
            "null": header(crit=None),
            "b64-false": header(crit=["b64"], b64=False),
            "b64-alone": header(b64=False),
            "b64-true": header(b64=True),
        },
    ),
    *cases(
        49,
        Reason.TOKEN_TYPE_REFUSED,
        {
            name: header(typ=typ)
            for name, typ in {
                "id-token": "JWT",
                "none": "none",
                "empty": "",
                "introspection": "token-introspection+jwt",
                "dpop": "dpop+jwt",
                "logout": "logout+jwt",
                "space-after": "at+jwt ",
                "newline-after": "at+jwt\n",
                "application-jwt": "application/jwt",
                "text": "text/at+jwt",
                "application-twice": "application/application/at+jwt",
            }.items()
        }
        | {"missing": header(typ=...)},
    ),
    *cases(49, Reason.TOKEN_MALFORMED, {"null": header(typ=None), "list": header(typ=["at+jwt"])}),
    *cases(
        49,
        None,
        {name.replace("/", "-"): header(typ=name) for name in ("at+JWT", "application/at+jwt", "Application/AT+JWT")},
    ),
    *cases(67, Reason.KEY_UNKNOWN, {"kid": header(kid=INJECTION)}),
    *cases(67, Reason.ALGORITHM_REFUSED, {"alg": header(alg=INJECTION)}),
    *cases(67, Reason.TOKEN_TYPE_REFUSED, {"typ": header(typ=INJECTION)}),
    *cases(67, Reason.ISSUER_MISMATCH, {"iss": claims(iss=INJECTION)}),
    *cases(67, Reason.AUDIENCE_MISMATCH, {"aud": claims(aud=INJECTION)}),
    *cases(67, Reason.CONFIRMATION_MALFORMED, {"cnf": claims(cnf={"x5t#S256": INJECTION})}),
]
