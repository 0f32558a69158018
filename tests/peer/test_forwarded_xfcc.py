"""X-Forwarded-Client-Cert: names of the certificate's maker stand in it, unquoted and unescaped."""

from hashlib import sha256
import ssl

from hypothesis import given, settings, strategies as st
import pytest

from tokenbind import InvalidRequest, Reason, thumbprint
from tokenbind.peer import forwarded

from .forwarding import ANYONE, CAPTURES, value_of


ATTACKER, VICTIM, PROXY = (
    ssl.PEM_cert_to_DER_cert((CAPTURES / f"certs/client-{name}.pem").read_text()) for name in ("ec", "rsa2048", "chain")
)


def hash_of(der):
    return b"Hash=" + sha256(der).hexdigest().encode()


def quoted(key, der):
    return key + b'="' + value_of("percent", der) + b'"'


def parse(value, hops=1):
    return forwarded.envoy(trusted_proxy=ANYONE, hops=hops).unsafe_parse([(b"x-forwarded-client-cert", value)])


def refused(value, hops=1):
    with pytest.raises(InvalidRequest) as refusal:
        parse(value, hops)
    assert Reason.CERTIFICATE_MALFORMED == refusal.value.reason
    return str(refusal.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (b"URI=spiffe://a,Hash=%b", "more elements"),
        (b"URI=spiffe://a,By=x;Hash=%b", "more elements"),
        (b'URI=spiffe://a,Hash=%b;Cert="{victim}"', "more elements"),
        (b"URI=;DNS=a;Hash=%b", "a key twice"),
        (b"DNS=a;hash=%b", "a key twice"),
        (b'URI=spiffe://a;Cert="{victim}"', "not the one of its Hash"),
        (b'URI=spiffe://a;Chain="{victim}"', "not the one of its Hash"),
        (b'URI=spiffe://a;Subject="CN=victim"', "a key twice"),
        (b'URI=spiffe://a";Hash=%b', "not as Envoy"),
        (b'URI="spiffe://a";By=%b"', "not as Envoy"),
        (b"URI=spiffe://a;X=%b", "not as Envoy"),
        (b"DNS=a,", "not as Envoy"),
        (b"DNS=a;", "not as Envoy"),
        (b"DNS=a,,%b", "not as Envoy"),
        (b"DNS=a b", "not as Envoy"),
    ],
)
def test_names_cannot_speak_for_another(name, words):
    """An attacker's subjectAltName cannot add an element, a second Hash, nor a certificate."""
    name = name.replace(b"{victim}", value_of("percent", VICTIM)).replace(b"%b", sha256(VICTIM).hexdigest().encode())
    before = hash_of(ATTACKER) + b';Subject="CN=attacker";'
    assert words in refused(before + name)
    for extra in (b"", b";" + quoted(b"Cert", ATTACKER)):
        honest = parse(hash_of(ATTACKER) + extra + b';Subject="CN=x";URI=spiffe://a')
        assert thumbprint(ATTACKER) == honest.thumbprint


@pytest.mark.parametrize(
    "element",
    [
        b"",
        b"x",
        b"=x",
        b"Hash",
        b"Hash=",
        b"Hash=51fb71b1da8b5fe3ebaaeed835840da77992acde",
        b"Hash=" + b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        b"Hash=" + sha256(ATTACKER).digest().hex(":").encode(),
        quoted(b"Cert", ATTACKER),  # never without its Hash
        quoted(b"Cert", ATTACKER) + b";" + hash_of(ATTACKER),
        b"URI=a;" + hash_of(ATTACKER),
        hash_of(VICTIM).replace(b"Hash", b"URI") + b";" + hash_of(ATTACKER),
        hash_of(VICTIM).replace(b"Hash", b"DNS"),
        b"By=spiffe://proxy",
        hash_of(ATTACKER) + b';Cert="x"',
        hash_of(ATTACKER) + b';Cert=""',
        hash_of(ATTACKER) + b';Subject="CN=x',
        hash_of(ATTACKER) + b';Subject="CN=x"y',
        hash_of(ATTACKER) + b';Subject="CN=\x00"',
        hash_of(ATTACKER) + b';Subject="CN=x\\',
        hash_of(ATTACKER) + b";" + quoted(b"Cert", ATTACKER) * 2,
        hash_of(ATTACKER) + b";" + quoted(b"Cert", ATTACKER)[:-1] + value_of("percent", VICTIM) + b'"',
    ],
)
def test_what_envoy_does_not_write(element):
    """An element is read whole, in the order in which Envoy writes it, wherever it stands."""
    if element:
        refused(element)
    refused(element + b"," + hash_of(ATTACKER), hops=2)
    refused(hash_of(ATTACKER) + b"," + element, hops=2)
    refused(hash_of(ATTACKER) + b"," + element, hops=3)


def test_what_envoy_writes():
    """By before it, in any case of letters and quotes; URIs with equals signs; a subject with anything in it."""
    for value in (
        b"By=spiffe://a;By=spiffe://b;" + hash_of(ATTACKER),
        b'by="spiffe://a,b;c";' + hash_of(ATTACKER).swapcase(),
        hash_of(ATTACKER) + b';Subject="CN=\\"a\\",O=b;c,Hash=' + b"0" * 64 + b'\\\\"',
        hash_of(ATTACKER) + b';Subject="CN=\xc3\xa9";URI=https://a/?b=c;URI=;DNS=a;DNS=b',
        hash_of(ATTACKER).replace(b"=", b'="') + b'"',
    ):
        assert (thumbprint(ATTACKER), ()) == ((found := parse(value)).thumbprint, found.chain)
    chain = value_of("percent", ATTACKER) + value_of("percent", PROXY)
    found = parse(hash_of(ATTACKER) + b";" + quoted(b"Cert", ATTACKER) + b';Chain="' + chain + b'"')
    assert (ATTACKER, PROXY) == found.chain


def test_two_hops():
    """The client's element is the first of as many as there are hops; with fewer, no client had a certificate."""
    client, own = hash_of(ATTACKER) + b";" + quoted(b"Cert", ATTACKER), hash_of(PROXY) + b";URI=spiffe://gateway"
    assert ATTACKER == parse(client + b"," + own, hops=2).der
    assert None is parse(own, hops=2), "the gateway's own certificate is no client's"
    assert "more elements" in refused(client + b"," + own)
    assert "more elements" in refused(hash_of(VICTIM) + b"," + client + b"," + own, hops=2)
    assert "more elements" in refused(client + b";URI=a," + hash_of(VICTIM) + b"," + own, hops=2)
    refused(client + b", " + own, hops=2)


NAME = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=90).map(str.encode)
PART = st.sampled_from([b",", b";", b'"', b"Hash=", b"Cert=", hash_of(VICTIM), quoted(b"Cert", VICTIM)])


@settings(deadline=None)
@given(st.lists(st.one_of(PART, NAME), max_size=5).map(b"".join), st.sampled_from([b"URI=", b"DNS="]))
def test_no_name_makes_another_certificate_of_it(name, key):
    """Whatever stands in the names: it is the certificate that Envoy has seen, or it is refused."""
    for before in (hash_of(ATTACKER), hash_of(ATTACKER) + b";" + quoted(b"Cert", ATTACKER)):
        try:
            found = parse(before + b';Subject="CN=x";' + key + name)
        except InvalidRequest:
            continue
        assert thumbprint(ATTACKER) == found.thumbprint
