"""The forms of forwarded certificates, one by one, and what products say of their chains."""

import pytest

from tokenbind.peer import forwarded

from .forwarding import (
    ANYONE,
    CERTIFICATES,
    DER,
    HOSTS,
    WAYS,
    base64,
    header_of,
    malformed,
    pem,
    preset,
    value_of,
)


@pytest.mark.parametrize(
    "spell",
    [
        lambda h: h.hex(),
        lambda h: h.hex().upper(),
        lambda h: h.hex(":"),
        base64,
        lambda h: base64(h).rstrip("="),
        lambda h: base64(h).translate({43: "-", 47: "_"}),
        lambda h: base64(h).rstrip("=").translate({43: "-", 47: "_"}),
    ],
)
@pytest.mark.parametrize("digest", [b"\xfb\xff" * 16, bytes(range(32)), b"\x00" * 32])
def test_spellings_of_sha256(spell, digest):
    """Hex and base64, as products write them, all give the one thumbprint."""
    certificate = preset("sha256").unsafe_parse([(b"x-k7qd2-cert", spell(digest).encode())])
    assert base64(digest).rstrip("=").translate({43: "-", 47: "_"}) == certificate.thumbprint
    assert () == certificate.chain


@pytest.mark.parametrize(
    "value",
    [
        b"fb" * 31,
        b"fb" * 32 + b":",
        b":".join([b"fb"] * 31 + [b"f"]) + b":",
        b":".join([b"fb"] * 32).replace(b":", b"-"),
        b"gb" * 32,
        b"+-" + b"A" * 41,
        b"+_" + b"A" * 40 + b"AA",
        b"A" * 42 + b"B",  # spare bits that no encoder sets
        b"A" * 44,
        b"A" * 42 + b"=",
        b"A" * 42 + b"==",
        b"A" * 43 + b"-",
        b"A" * 20 + b"=" + b"A" * 22,
        b"=" * 44,
    ],
)
def test_what_is_no_sha256(value):
    malformed(preset("sha256"), (b"x-k7qd2-cert", value))


@pytest.mark.parametrize(
    "sha1",
    [b"51fb71b1da8b5fe3ebaaeed835840da77992acde", b"UftxsdqLX+Prqu7YNYQNp3mSrN4=", b"UftxsdqLX-Prqu7YNYQNp3mSrN4"],
)
def test_sha1_is_named(sha1):
    """nginx, Azure and Kong have only that; the message says what to do."""
    assert "SHA-1" in malformed(preset("sha256"), (b"x-k7qd2-cert", sha1))


def test_plus_is_a_plus():
    """AWS does not escape it; taken for a blank, it breaks about every certificate."""
    value = value_of("percent_of_apache", CERTIFICATES["client-rsa2048"])
    assert b"+" in value
    certificate = preset("nginx").unsafe_parse([(b"x-k7qd2-cert", value)])
    assert CERTIFICATES["client-rsa2048"] == certificate.der


@pytest.mark.parametrize("escape", [b"%", b"%0", b"%0D", b"%41", b"%2D", b"%252B", b"%25", b"%zz", b"%0\n"])
def test_escapes_that_pem_does_not_need(escape):
    value = value_of("percent", DER)
    malformed(preset("nginx"), (b"x-k7qd2-cert", value[:300] + escape + value[300:]))


@pytest.mark.parametrize("name", ["nginx", "apache", "azure_application_gateway"])
def test_attack_35_a_bundle_where_one_belongs(name):
    """Attack 35: two certificates in one header are refused: which one is the client's is not for us to guess."""
    both = pem(DER) + pem(CERTIFICATES["client-rsa2048"])
    value = value_of("percent", DER) + value_of("percent", CERTIFICATES["client-rsa2048"])
    if name == "apache":
        value = both.strip().replace("\n", " ").encode()
    malformed(preset(name), (b"x-k7qd2-cert", value))


def test_rfc9440_chain():
    """Over one line or several, with blanks or without; the leaf is Client-Cert, whatever the chain says."""
    source = forwarded.rfc9440(trusted_proxy=ANYONE)
    leaf, one, two = (b":%b:" % base64(der).encode() for der in CERTIFICATES.values())
    expected = tuple(CERTIFICATES.values())
    for chain in ([b"%b, %b" % (one, two)], [b"%b,%b" % (one, two)], [one, two], [b" %b \t,\t%b" % (one, two)]):
        fields = [(b"Client-Cert", leaf), *((b"Client-Cert-Chain", line) for line in chain)]
        for _ in range(2):
            assert expected == source.unsafe_parse(fields).chain
    assert expected[:1] == source.unsafe_parse([(b"Client-Cert", leaf)]).chain


def test_rfc9440_chain_refused():
    """Attack 32: a chain without Client-Cert; and lists that are none."""
    source = forwarded.rfc9440(trusted_proxy=ANYONE)
    leaf = value_of("rfc9440", DER)
    assert "chain without" in malformed(source, (b"Client-Cert-Chain", leaf))
    malformed(source, (b"Client-Cert", b""), (b"Client-Cert-Chain", leaf))
    malformed(source, (b"Client-Cert", leaf), (b"Client_Cert-Chain", leaf))
    for chain in (b",", leaf + b",", leaf + b";a=1", b"(" + leaf + b")", b",".join([leaf] * 10), b"A" * 70_000):
        malformed(source, (b"Client-Cert", leaf), (b"Client-Cert-Chain", chain))
    for chain in ([b""], [b"", b""]):  # RFC 8941 §4.2: an empty field is an empty list
        fields = [(b"Client-Cert-Chain", line) for line in chain]
        assert (DER,) == source.unsafe_parse([(b"Client-Cert", leaf), *fields]).chain
        assert None is source.unsafe_parse(fields)
    without = forwarded.rfc9440(trusted_proxy=ANYONE, chain_header=None)
    assert DER == without.unsafe_parse([(b"Client-Cert", leaf), (b"Client-Cert-Chain", b"anything")]).der


def test_traefik_chain_is_bounded():
    value = value_of("base64_list", DER)
    assert 10 == len(preset("traefik").unsafe_parse([(header_of("traefik"), b",".join([value] * 10))]).chain)
    malformed(preset("traefik"), (header_of("traefik"), b",".join([value] * 11)))


# What the product says of the chain.


@pytest.mark.parametrize(
    ("name", "verdict", "verified"),
    [
        ("nginx", b"SUCCESS", True),
        ("nginx", b"FAILED:self-signed certificate", False),
        ("nginx", b"FAILED", False),
        ("apache", b"GENEROUS", False),
        ("haproxy", b"0", True),
        ("haproxy", b"18", False),
        ("gcp", b"true", True),
        ("gcp", b"false", False),
        ("cloudflare", b"true", True),
        ("azure_application_gateway", b"FAILED:expired", False),
    ],
)
def test_attack_37_what_the_proxy_says_of_the_chain(name, verdict, verified):
    """Attack 37: a chain that the proxy has not verified is never taken for verified, even of a known certificate."""
    form = next(form for form, other in WAYS if other == name)
    source = preset(name, verify_header="X-K7Qd2-Verify")
    certificate = (header_of(name), value_of(form, DER))
    for said, expected in ((verdict, verified), (verdict, verified)):
        assert expected is source.unsafe_parse([certificate, (b"x-k7qd2-verify", said)]).chain_verified
    for wrong in (b"", b"NONE", b"SUCCESS:x", b"success", b"1000", b"00", b"TRUE"):
        malformed(source, certificate, (b"x-k7qd2-verify", wrong))
    malformed(source, certificate)
    malformed(source, certificate, (b"x-k7qd2-verify", verdict), (b"x-k7qd2-verify", verdict))
    malformed(source, certificate, (b"x_k7qd2_verify", verdict))
    assert None is source.unsafe_parse([(b"x-k7qd2-verify", b"NONE")])
    assert {b"x-k7qd2-verify", header_of(name).lower()} == source.hidden_headers


def test_what_aws_says_of_the_chain():
    """In verify mode, ALB lets only verified ones pass; in the other it does not look."""
    for passthrough, verified in ((False, True), (True, None)):
        source = forwarded.aws_alb(trusted_proxy=ANYONE, hosts=HOSTS, passthrough=passthrough)
        header = b"X-Amzn-Mtls-Clientcert" + (b"" if passthrough else b"-Leaf")
        assert verified is source.unsafe_parse([(header, value_of("percent", DER))]).chain_verified
