"""The thumbprint: RFC 8705 §3.1 and Appendix A."""

from base64 import b64decode, b64encode, urlsafe_b64encode
from hashlib import sha1, sha256

from hypothesis import given, strategies as st
import pytest

from tokenbind import InvalidRequest, PeerCertificate, Reason, thumbprint
from tokenbind.binding import parse_thumbprint


ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
CANONICAL_LAST = ALPHABET[::4]  # the two spare bits are zero

digests = st.binary(min_size=32, max_size=32)


def encode(digest):
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def test_appendix_a(appendix_a):
    """The certificate of RFC 8705 Appendix A has the thumbprint that stands there, as DER and as PEM."""
    assert appendix_a.thumbprint == thumbprint(appendix_a.der)
    assert appendix_a.thumbprint == thumbprint(appendix_a.pem)
    assert appendix_a.thumbprint == parse_thumbprint(appendix_a.thumbprint)


def test_the_leaf_of_a_chain_is_hashed(appendix_a, tokenbind_client):
    """Attack 17: in a chain, the first certificate counts, and no other."""
    chain = tokenbind_client.pem + appendix_a.pem

    assert thumbprint(tokenbind_client.peer.der) == thumbprint(chain)
    assert appendix_a.thumbprint == thumbprint(appendix_a.pem + tokenbind_client.pem)


def test_the_example_of_section_3_1_is_malformed(appendix_a):
    """The example of RFC 8705 §3.1 and §3.2 is refused: its last character, "2", has non-zero spare bits.

    43 characters carry 258 bits, a SHA-256 has 256. No encoder writes "...dg2" for any digest (it would be "...dg0"),
    so no certificate can have this thumbprint; a decoder that took it would give each digest four spellings. The
    vector that counts is the one of Appendix A.
    """
    with pytest.raises(InvalidRequest) as caught:
        parse_thumbprint(appendix_a.not_canonical)

    assert Reason.CERTIFICATE_MALFORMED == caught.value.reason
    assert appendix_a.not_canonical[:-1] + "0" == parse_thumbprint(appendix_a.not_canonical[:-1] + "0")


WRONG_SPELLINGS = {
    "padded standard base64": lambda der: b64encode(sha256(der).digest()).decode(),
    "padded base64url": lambda der: urlsafe_b64encode(sha256(der).digest()).decode(),
    "base64url of the hex text": lambda der: encode(sha256(der).hexdigest().encode()),
    "hex": lambda der: sha256(der).hexdigest(),
    "hex in upper case": lambda der: sha256(der).hexdigest().upper(),
    "hex with colons": lambda der: sha256(der).digest().hex(":"),
    "SHA-1, the x5t": lambda der: encode(sha1(der).digest()),
    "trailing newline": lambda der: encode(sha256(der).digest()) + "\n",
    "leading space": lambda der: " " + encode(sha256(der).digest()),
    "inner space": lambda der: encode(sha256(der).digest()).replace("U", " ", 1),
    "plus of the standard alphabet": lambda der: encode(sha256(der).digest()).replace("U", "+", 1),
    "slash of the standard alphabet": lambda der: encode(sha256(der).digest()).replace("U", "/", 1),
    "percent encoding": lambda der: encode(sha256(der).digest()).replace("U", "%55", 1),
    "a letter that is not ASCII": lambda der: encode(sha256(der).digest()).replace("U", "Ü", 1),
    "one character less": lambda der: encode(sha256(der).digest())[:-1],
    "one character more": lambda der: encode(sha256(der).digest()) + "A",
    "bytes": lambda der: encode(sha256(der).digest()).encode(),
    "the digest itself": lambda der: sha256(der).digest(),
    "nothing": lambda der: "",
    "None": lambda der: None,
    "a number": lambda der: 43,
}


@pytest.mark.parametrize("spell", WRONG_SPELLINGS.values(), ids=WRONG_SPELLINGS)
def test_other_spellings_are_refused(appendix_a, spell):
    """Attacks 13, 14 and 16: other encodings of the right certificate's hash are malformed, not absent or equal."""
    with pytest.raises(InvalidRequest) as caught:
        parse_thumbprint(spell(appendix_a.der))

    assert Reason.CERTIFICATE_MALFORMED == caught.value.reason


@pytest.mark.parametrize("last", "123")
def test_a_last_character_with_spare_bits_is_refused(appendix_a, last):
    """Attack 15: "...5v1", "...5v2" and "...5v3" decode to the bytes of Appendix A's "...5v0", and are malformed."""
    with pytest.raises(InvalidRequest):
        parse_thumbprint(appendix_a.thumbprint[:-1] + last)


@pytest.mark.parametrize("junk", [b"", b"\x30", "", "not PEM", None, 7, bytearray(300), memoryview(b"0")])
def test_what_is_no_certificate_has_no_thumbprint(junk):
    """Junk of any type is `certificate_malformed`."""
    with pytest.raises(InvalidRequest) as caught:
        thumbprint(junk)

    assert Reason.CERTIFICATE_MALFORMED == caught.value.reason


@given(digests)
def test_each_digest_has_one_spelling(digest):
    """Property: the canonical spelling is taken as it is, and every other last character is malformed."""
    text = encode(digest)
    assert text == parse_thumbprint(text)

    for last in set(ALPHABET) - set(CANONICAL_LAST):
        with pytest.raises(InvalidRequest):
            parse_thumbprint(text[:-1] + last)


@given(st.one_of(st.text(), st.from_regex(r"[\w-]{43}"), digests.map(encode).map(lambda text: text + "="), st.none()))
def test_parse_thumbprint_is_total(value):
    """Property: a thumbprint, unchanged, or our own error; and what is taken is what an encoder would write."""
    try:
        text = parse_thumbprint(value)
    except InvalidRequest:
        return
    assert value == text
    assert text == encode(b64decode(text + "=", altchars=b"-_", validate=True))


@pytest.mark.parametrize(
    "read", [thumbprint, PeerCertificate.from_der, PeerCertificate.from_pem, PeerCertificate.from_thumbprint]
)
@given(st.one_of(st.binary(), st.text(), st.integers(), st.none()))
def test_what_nobody_meant_is_malformed(read, value):
    """Property: every reader of certificates answers any value that is none with `certificate_malformed`."""
    with pytest.raises(InvalidRequest) as caught:
        read(value)

    assert Reason.CERTIFICATE_MALFORMED == caught.value.reason
