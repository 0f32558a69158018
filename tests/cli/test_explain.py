"""Why a token does not match a certificate: each cause by its name, and the twin that matches."""

from base64 import b64encode, urlsafe_b64encode
import hashlib
import json
from textwrap import wrap
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import serialization
import pytest

from tokenbind.binding.confirmation import _UNCHECKED_METHODS
from tokenbind.cli.explanation.causes import _METHODS


X5T = "x5t#S256"


def base64url(data):
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def sha256(data):
    return hashlib.sha256(data).digest()


def pem_of(der, end="\n", last="\n", *, framed=True):
    lines = wrap(b64encode(der).decode(), 64)
    if framed:
        lines = ["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----"]
    return (end.join(lines) + last).encode()


def der_of(pem):
    return x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)


def spki_of(der):
    key = x509.load_der_x509_certificate(der).public_key()
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def bits_of(der):
    key = x509.load_der_x509_certificate(der).public_key()
    return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def not_canonical(text):
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return text[:-1] + alphabet[alphabet.index(text[-1]) + 1]


def colons(digest):
    return ":".join(wrap(digest.hex(), 2))


SPELLINGS = [
    ("padded", lambda digest: urlsafe_b64encode(digest).decode()),
    ("hex", lambda digest: digest.hex()),
    ("hex", lambda digest: digest.hex().upper()),
    ("hex", colons),
    ("hex", lambda digest: colons(digest).upper()),
    ("base64_of_hex", lambda digest: base64url(digest.hex().encode())),
    ("base64_of_hex", lambda digest: b64encode(digest.hex().upper().encode()).decode()),
    ("white_space", lambda digest: f" {base64url(digest)}"),
    ("white_space", lambda digest: f"{base64url(digest)}\n"),
    ("spare_bits", lambda digest: not_canonical(base64url(digest))),
]
HASHED = [
    *(
        ("pem_hashed", lambda der, how=how: sha256(pem_of(der, *how)))
        for how in (("\n", "\n"), ("\n", ""), ("\r\n", "\r\n"), ("\r\n", ""))
    ),
    ("pem_hashed", lambda der: sha256(quote(pem_of(der), safe="").encode())),
    ("base64_hashed", lambda der: sha256(b64encode(der))),
    ("base64_hashed", lambda der: sha256(pem_of(der, framed=False))),
    ("base64_hashed", lambda der: sha256(pem_of(der, "\r\n", "", framed=False))),
    ("public_key_hashed", lambda der: sha256(spki_of(der))),
    ("key_bits_hashed", lambda der: sha256(bits_of(der))),
    ("tbs_hashed", lambda der: sha256(x509.load_der_x509_certificate(der).tbs_certificate_bytes)),
    ("nothing_hashed", lambda der: sha256(b"")),
    ("hashed_with_sha1", lambda der: hashlib.sha1(der).digest()),
    ("hashed_with_md5", lambda der: hashlib.md5(der).digest()),
    ("hashed_with_sha384", lambda der: hashlib.sha384(der).digest()),
    ("hashed_with_sha512", lambda der: hashlib.sha512(der).digest()),
    ("not_hashed", lambda der: der),
]


@pytest.fixture
def why(explain, files, tokenbind_kit, tokenbind_client):
    """The causes for a token of client.pem with this cnf; and that the token with the right one matches."""

    def why(cnf, *arguments, cert="client.pem"):
        token = tokenbind_kit.sign(tokenbind_kit.claims(tokenbind_client, cnf=cnf))
        found = explain(token, "--cert", cert, *arguments)
        assert 1 == found.status
        right = tokenbind_kit.sign(tokenbind_kit.claims(tokenbind_client))
        assert ["matches"] == explain(right, "--cert", "client.pem", *arguments).causes
        return found

    return why


def test_a_token_that_matches(explain, files, tokenbind_kit, tokenbind_client, tokenbind_token):
    """Status 0, and what was not looked at is said; DER, PEM and a chain are alike."""
    (files / "client.der").write_bytes(tokenbind_client.peer.der)
    (files / "chain.pem").write_bytes((files / "client.pem").read_bytes() + tokenbind_kit.ca_pem)
    for cert in ("client.pem", "client.der", "chain.pem"):
        found = explain(tokenbind_token, "--cert", cert)
        assert (0, ["matches"], []) == found[:3]
        assert "not checked  the SIGNATURE (give --jwks), the issuer (--issuer)" in found.text
        assert ["jwks", "issuer", "audience"] == found.report["not_checked"]


@pytest.mark.parametrize(
    ("cnf", "cause"),
    [
        (..., "token_unbound"),
        (None, "cnf_not_object"),
        ("text", "cnf_not_object"),
        ([], "cnf_not_object"),
        (1, "cnf_not_object"),
        ({}, "cnf_empty"),
        ({X5T: None}, "value_not_string"),
        ({X5T: ["x"]}, "value_not_string"),
        ({X5T: {}}, "value_not_string"),
        ({X5T: True}, "value_not_string"),
        ({X5T: ""}, "not_a_hash"),
        ({X5T: "one"}, "not_a_hash"),
        ({X5T: "x" * 41}, "not_a_hash"),
        ({X5T: "not base64!"}, "not_a_hash"),
        ({"osc": 1, "x5t#uri": "urn:x"}, "cnf_without_thumbprint"),
        *(({method: "x"}, "other_method") for method in sorted(_UNCHECKED_METHODS)),
    ],
)
def test_cnf_has_no_thumbprint(why, cnf, cause):
    """Unbound, malformed, or bound to something else."""
    found = why(cnf)
    assert [cause] == found.causes
    assert found.report["expected"] is None


def test_every_method_that_the_core_refuses_has_words():
    """And no other."""
    assert _UNCHECKED_METHODS == frozenset(_METHODS)


def test_another_method_beside_a_thumbprint(why, tokenbind_client):
    """It refuses the token although the thumbprint is right; if that is wrong too, both are said."""
    found = why({X5T: tokenbind_client.thumbprint, "jkt": "x"})
    assert ["other_method_beside"] == found.causes
    assert "a DPoP key (RFC 9449)" in found.text
    assert ["other_method_beside", "hex"] == why({X5T: sha256(tokenbind_client.peer.der).hex(), "kid": "x"}).causes


@pytest.mark.parametrize("name", ["x5t", "x5t#s256", "x5t#SHA256", "x5t#S512", "X5T#S256", "x5tS256", "x5t_s256"])
def test_a_name_that_is_nearly_right(why, tokenbind_client, name):
    """It is named, and its value is looked at all the same."""
    found = why({name: tokenbind_client.thumbprint})
    assert ["name_misspelled"] == found.causes
    assert f'"{name}"' in found.text
    sha1 = base64url(hashlib.sha1(tokenbind_client.peer.der).digest())
    assert ["name_misspelled", "hashed_with_sha1"] == why({name: sha1}).causes
    assert ["name_misspelled"] == why({name: 1}).causes


def test_a_thumbprint_in_the_wrong_place(explain, files, tokenbind_kit, tokenbind_client):
    """It binds nothing there."""
    thumbprint = tokenbind_client.thumbprint
    places = {
        "the claims beside cnf": ({X5T: thumbprint}, {}),
        "act.cnf": ({"act": {"cnf": {X5T: thumbprint}}}, {}),
        "the cnf of the header": ({"act": []}, {"cnf": {X5T: thumbprint}}),
        "the header (": ({}, {X5T: thumbprint}),
    }
    for place, (claims, header) in places.items():
        token = tokenbind_kit.sign(tokenbind_kit.claims(tokenbind_client, cnf=..., **claims), header=header)
        found = explain(token, "--cert", "client.pem")
        assert (1, ["misplaced"], True) == (found.status, found.causes, f"stands in {place}" in found.text)


@pytest.mark.parametrize(("cause", "spell"), SPELLINGS)
def test_the_right_hash_in_a_wrong_spelling(why, tokenbind_kit, tokenbind_client, cause, spell):
    """Also of other certificates, of unknown ones, and of the wrong thing."""
    der, ca = tokenbind_client.peer.der, der_of(tokenbind_kit.ca_pem)
    assert [cause] == why({X5T: spell(sha256(der))}).causes
    assert ["unknown_certificate", cause] == why({X5T: spell(sha256(b"unknown"))}).causes
    assert ["public_key_hashed", cause] == why({X5T: spell(sha256(spki_of(der)))}).causes
    assert ["issuer_certificate", cause] == why({X5T: spell(sha256(ca))}, "--also", "ca.pem").causes


def test_standard_base64_and_percent_encoding(why, tokenbind_kit):
    """They can be told only where + or / or = is: one client in four has neither of the first two."""
    names = (f"client-{number}" for number in range(1000))
    client = next(one for one in map(tokenbind_kit.client, names) if {"-", "_"} <= set(one.thumbprint))
    client.name = "other"
    client.write(".")
    standard = b64encode(sha256(client.peer.der)).decode()
    for value, causes in (
        (standard, ["standard_base64"]),
        (standard.rstrip("="), ["standard_base64"]),
        (quote(standard, safe=""), ["percent_encoded", "standard_base64"]),
        (client.thumbprint + "%3D", ["percent_encoded", "padded"]),
        (client.thumbprint + "%0A", ["percent_encoded", "white_space"]),
    ):
        assert causes == why({X5T: value}, cert="other.pem").causes


@pytest.mark.parametrize(("cause", "hashed"), HASHED)
def test_the_hash_of_the_wrong_thing(why, tokenbind_client, tokenbind_stranger, cause, hashed):
    """In each spelling; and of another certificate."""
    value = hashed(tokenbind_client.peer.der)
    assert [cause] == why({X5T: base64url(value)}).causes
    assert [cause, "hex"] == why({X5T: value.hex()}).causes
    if cause != "nothing_hashed":
        other = base64url(hashed(tokenbind_stranger.peer.der))
        assert ["another_certificate", cause] == why({X5T: other}, "--also", "stranger.pem").causes


@pytest.mark.parametrize("cause", ["hashed_with_sha1", "hashed_with_md5", "hashed_with_sha384", "hashed_with_sha512"])
def test_another_hash_of_an_unknown_certificate(why, cause):
    """Its length gives it away."""
    digest = hashlib.new(cause.rpartition("_")[2], b"unknown").digest()
    assert ["unknown_certificate", cause] == why({X5T: base64url(digest)}).causes


def test_the_hash_of_the_whole_file(why, files, tokenbind_kit):
    """With a chain in it, say."""
    content = (files / "client.pem").read_bytes() + tokenbind_kit.ca_pem
    (files / "chain.pem").write_bytes(content)
    assert ["file_hashed"] == why({X5T: base64url(sha256(content))}, cert="chain.pem").causes


def test_a_refusal_without_words_of_its_own_is_told_as_it_is(
    explain, files, tokenbind_kit, tokenbind_client, monkeypatch
):
    """The core has the say, whatever it refuses."""
    monkeypatch.setattr("tokenbind.binding.confirmation._UNCHECKED_METHODS", frozenset({"osc"}))
    token = tokenbind_kit.sign({"cnf": {X5T: tokenbind_client.thumbprint, "osc": 1}})
    assert (1, ["refused"]) == explain(token, "--cert", "client.pem")[:2]


def test_a_value_that_is_no_hash_is_not_shown(why):
    """It may be a secret."""
    found = why({X5T: "c2VjcmV0LXNlY3JldA"})
    assert ["not_a_hash"] == found.causes
    assert "c2Vj" not in found.text + json.dumps(found.report)
