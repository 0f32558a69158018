"""Forwarded certificates: every form that products have, and everything that only looks like one."""

from contextlib import suppress

from hypothesis import example, given, settings, strategies as st
import pytest

from tokenbind import ConfigurationError, InvalidRequest, PeerCertificate, Reason, thumbprint
from tokenbind.peer import Trust, forwarded

from .forwarding import (
    ANYONE,
    CAPTURES,
    CERTIFICATES,
    DER,
    INDEX,
    PRESETS,
    WAYS,
    capture,
    header_of,
    malformed,
    preset,
    presets_of,
    value_of,
)
from .test_every_source import ders


FIXED = ["aws_alb", "ingress_nginx", "azure_application_gateway"]


# What real proxies have sent.


@pytest.mark.parametrize("entry", [pytest.param(each, id=f"{each['file']}-{each['header']}") for each in INDEX])
def test_every_captured_header(entry):
    """Each gives the certificate that the client had, or none where it had none."""
    source = presets_of(entry["file"])[entry["header"]]
    certificate = source.unsafe_parse(capture(entry["file"]))
    if entry["expect_x5t#S256"] is None:
        assert certificate is None
        return
    assert entry["expect_x5t#S256"] == certificate.thumbprint
    assert certificate.der in (None, CERTIFICATES[entry["cert"]])


@pytest.mark.parametrize("name", sorted(path.name for path in CAPTURES.glob("*nocert*.txt")))
def test_every_capture_without_a_certificate(name):
    """All that products send when there was none means that there was none."""
    assert {None} == {source.unsafe_parse(capture(name)) for source in presets_of(name).values()}


def test_every_capture_is_read():
    """No file of the captures is forgotten, and no preset that could read one."""
    read = {entry["file"] for entry in INDEX} | {path.name for path in CAPTURES.glob("*nocert*.txt")}
    assert {path.name for path in CAPTURES.glob("*.txt")} == read
    names = {source._dialect.name for source in PRESETS.values()}
    assert set(forwarded.__all__) == names | {"aws_api_gateway", "EventSource", "ForwardedSource"}


@pytest.mark.parametrize(
    ("name", "length"),
    [
        ("synthetic-rfc9440-chain.txt", 2),
        ("synthetic-aws-alb-passthrough-chain.txt", 2),
        ("traefik37-chain.txt", 2),
        ("envoy140-chain.txt", 2),
    ],
)
def test_captured_chains(name, length):
    """The whole chain is there, leaf first, where the product sends it."""
    (source,) = presets_of(name).values()
    chain = source.unsafe_parse(capture(name)).chain
    assert CERTIFICATES["client-chain"] == chain[0]
    assert length == len(set(chain))


def test_the_chain_of_envoy_is_that_of_its_hash():
    """Envoy's Chain begins with the leaf, so it is the leaf's only if it is."""
    ((name, value),) = capture("envoy140-chain.txt")
    other = b'Chain="' + value_of("percent", DER)
    assert "not the one of its Hash" in malformed(
        forwarded.envoy(trusted_proxy=ANYONE), (name, value.replace(b'Chain="', other))
    )


# What every form has in common.


@pytest.mark.parametrize(("form", "name"), WAYS)
def test_each_form_of_each_preset(form, name):
    """The certificate comes out as it went in, again when it is remembered, and says where it came from."""
    source, value = preset(name), value_of(form, DER)
    for header in (header_of(name), header_of(name).lower(), header_of(name).upper()):
        certificate = source.unsafe_parse([(b"host", b"x"), (header, bytes(bytearray(value)))])
        assert (thumbprint(DER), f"forwarded.{name}") == (certificate.thumbprint, certificate.source)
        assert certificate.der == (None if form == "hex" else DER)
        assert certificate.chain_verified is None
    assert certificate is source.unsafe_parse([(header_of(name), bytes(bytearray(value)))])
    assert {header_of(name).lower()} <= source.hidden_headers


@pytest.mark.parametrize(("form", "name"), WAYS)
def test_missing_and_empty(form, name):
    """Nothing, and an empty header, are no certificate."""
    assert None is preset(name).unsafe_parse([(b"host", b"x")])
    assert None is preset(name).unsafe_parse([(header_of(name), b"")])


SPOILT = {
    "twice": lambda value: value + value,
    "joined": lambda value: value + b"," + value,
    "joined with a blank": lambda value: value + b", " + value,
    "cut": lambda value: value[:-9],
    "beheaded": lambda value: value[1:],
    "line end behind": lambda value: value + b"\n",
    "NUL behind": lambda value: value + b"\0",
    "not ASCII": lambda value: value[:300] + b"\xe9" + value[300:],
    "line end within": lambda value: value[:300] + b"\n" + value[300:],
    "parameter": lambda value: value + b";a=1",
    "quoted": lambda value: b'"' + value + b'"',
    "another placeholder": lambda value: b"%{SSL_CLIENT_CERT}s",
    "dash": lambda value: b"-",
    "zero": lambda value: b"0",
    "none": lambda value: b"none",
    "comma": lambda value: b",",
    "SHA-1": lambda value: b"51fb71b1da8b5fe3ebaaeed835840da77992acde",
    "private key": lambda value: b"-----BEGIN PRIVATE KEY----- AAAA -----END PRIVATE KEY-----",
    "too long": lambda value: b"A" * 65_537,
    "1 MiB": lambda value: b":" + b"A" * (1 << 20) + b":",
}
# A list of two of the same is a chain to Traefik: the leaf is the first. Nothing else may have a comma in it.
TOLERATED = {("base64_list", "traefik", "joined")}


@pytest.mark.parametrize(("form", "name"), WAYS)
@pytest.mark.parametrize("spoil", SPOILT)
def test_unreadable_is_not_absent(form, name, spoil):
    """A value that is not exactly of the preset's form is refused, even if something could be made of it."""
    if (form, name, spoil) not in TOLERATED:
        malformed(preset(name), (header_of(name), SPOILT[spoil](value_of(form, DER))))


@pytest.mark.parametrize(("form", "name"), WAYS)
def test_blanks_around_a_value_are_no_part_of_it(form, name):
    """RFC 9112 §5.1; most servers take them away, httptools leaves them behind what Apache sends."""
    source, value = preset(name), value_of(form, DER)
    for spelled in (b" " + value, value + b" \t"):
        assert thumbprint(DER) == source.unsafe_parse([(header_of(name), spelled)]).thumbprint
    assert None is source.unsafe_parse([(header_of(name), b" ")])


@pytest.mark.parametrize(("form", "name"), WAYS)
def test_of_another_preset(form, name):
    """No form is guessed: a value in another one than the preset's is refused."""
    kinds = {
        "rfc9440": "colons",
        "haproxy": "colons",
        "caddy": "colons",
        "gcp": "colons",
        "nginx": "percent",
        "azure_application_gateway": "percent",
        "traefik": "base64",
        "azure_app_service": "base64",
        "cloudflare": "base64",
    }
    value = value_of(form, DER)
    for _, other in WAYS:
        if kinds.get(other, other) != kinds.get(name, name):
            malformed(preset(other), (header_of(other), value))


@pytest.mark.parametrize(("form", "name"), WAYS)
def test_more_than_one(form, name):
    """Two instances are refused, be they equal; and so is anything whose name is the same to WSGI, there or alone."""
    source, header, value = preset(name), header_of(name), value_of(form, DER)
    twins = [header.replace(b"-", b"_"), header.replace(b"-", b"_", 1).lower(), header.replace(b"-", b"."), header]
    for twin in twins:
        for fields in ([(header, value), (twin, value)], [(twin, b""), (header, value)], [(twin, value)] * 2):
            assert "more than one header" in malformed(source, *fields)
        if twin != header:
            assert "underscore" in malformed(source, (twin, value))
            assert "underscore" in malformed(source, (twin, b""))


# What products have for "no certificate", and what others make of nothing.


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("apache", b"(null)"),
        ("haproxy", b"::"),
        ("caddy", b"::"),
        ("caddy", b":{http.request.tls.client.certificate_der_base64}:"),
        ("sha256", b"{http.request.tls.client.fingerprint}"),
        ("sha256", b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("sha256", b"E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"),
        ("sha256", b"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
        ("sha256", b"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"),
    ],
)
def test_words_for_absence(name, value):
    """They mean "no certificate" to the preset of the product that has them, and nothing to any other."""
    assert None is preset(name).unsafe_parse([(header_of(name), value)])
    for other in {"nginx", "apache", "envoy", "traefik", "rfc9440", "gcp", "sha256"} - {name}:
        malformed(preset(other), (header_of(other), value))


# Made wrongly.


@pytest.mark.parametrize(
    "make",
    [
        lambda: forwarded.nginx(header="X_SSL_Cert", trusted_proxy=ANYONE),
        lambda: forwarded.nginx(header="X-SSL-Cert:", trusted_proxy=ANYONE),
        lambda: forwarded.nginx(header="", trusted_proxy=ANYONE),
        lambda: forwarded.nginx(header="-x", trusted_proxy=ANYONE),
        lambda: forwarded.nginx(header="X-Zertifik\xe4t", trusted_proxy=ANYONE),
        lambda: forwarded.nginx(header=b"X-SSL-Cert", trusted_proxy=ANYONE),
        lambda: forwarded.nginx(header="Authorization", trusted_proxy=ANYONE),
        lambda: forwarded.nginx(header="HOST", trusted_proxy=ANYONE),
        lambda: forwarded.nginx(header="X-Cert", verify_header="x-cert", trusted_proxy=ANYONE),
        lambda: forwarded.nginx(header="X-Cert", trusted_proxy=None),
        lambda: forwarded.nginx(header="X-Cert", trusted_proxy="10.0.0.1"),
        lambda: forwarded.nginx(header="X-Cert", trusted_proxy=ANYONE, hosts="api.example"),
        lambda: forwarded.nginx(header="X-Cert", trusted_proxy=ANYONE, hosts=[]),
        lambda: forwarded.nginx(header="X-Cert", trusted_proxy=ANYONE, hosts=["*.example"]),
        lambda: forwarded.nginx(header="X-Cert", trusted_proxy=ANYONE, hosts=["https://api.example"]),
        lambda: forwarded.nginx(header="X-Cert", trusted_proxy=ANYONE, hosts=["b\xfccher.example"]),
        lambda: forwarded.nginx(header="X-Cert", trusted_proxy=ANYONE, hosts=[b"api.example"]),
        lambda: forwarded.rfc9440(trusted_proxy=ANYONE, chain_header="client-cert"),
        lambda: forwarded.envoy(trusted_proxy=ANYONE, hops=0),
        lambda: forwarded.envoy(trusted_proxy=ANYONE, hops=True),
        lambda: forwarded.ingress_nginx(trusted_proxy=ANYONE, hosts=[]),
        lambda: forwarded.aws_alb(trusted_proxy=ANYONE, hosts=None),
        lambda: forwarded.azure_application_gateway(header="X-Cert", trusted_proxy=ANYONE, hosts=()),
    ],
)
def test_configuration_errors(make):
    """Refused where it is made, not at the first request."""
    with pytest.raises(ConfigurationError):
        make()


@pytest.mark.parametrize("name", [each for each in forwarded.__all__ if each.islower() and each != "aws_api_gateway"])
def test_trust_has_no_default(name):
    """Nobody is trusted by forgetting to say who is; and those who serve many hosts want to be told which."""
    options = {"header": "X-Cert"} if name in ("nginx", "sha256", "gcp", "haproxy", "apache", "caddy") else {}
    with pytest.raises(TypeError, match="trusted_proxy"):
        getattr(forwarded, name)(**options)
    if name in FIXED:
        with pytest.raises(TypeError, match="hosts"):
            getattr(forwarded, name)(trusted_proxy=ANYONE)


# Whatever is sent.

NAMES = st.sampled_from([b"X-K7Qd2-Cert", b"x_k7qd2-cert", b"X-K7Qd2-Verify", b"Client-Cert", b"Client-Cert-Chain"])
PIECES = st.sampled_from(
    [b":", b";", b",", b'"', b"=", b"\\", b"%", b"%0A", b"Hash=", b"Cert=", b"URI=", b"By=", b"SUCCESS", b"(null)"]
    + [value_of(form, DER) for form, _ in WAYS]
)
VALUES = st.lists(st.one_of(PIECES, st.binary(max_size=20)), max_size=6).map(b"".join)
EVERY = [
    *(preset(name) for _, name in WAYS),
    *PRESETS.values(),
    preset("nginx", verify_header="X-K7Qd2-Verify"),
    forwarded.envoy(trusted_proxy=ANYONE, hops=2),
]


@settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(st.one_of(NAMES, st.binary(max_size=12)), VALUES), max_size=4), VALUES)
@example([], b"")
def test_total(fields, value):
    """Any headers at all give a certificate, or none, or certificate_malformed."""
    for source in EVERY:
        for more in ([], [(source._dialect.header, value)]):
            with suppress(InvalidRequest):
                certificate = source.unsafe_parse([*fields, *more])
                assert certificate is None or isinstance(certificate, PeerCertificate)
                continue
            with pytest.raises(InvalidRequest) as refusal:
                source.unsafe_parse([*fields, *more])
            assert Reason.CERTIFICATE_MALFORMED == refusal.value.reason


@settings(deadline=None, max_examples=100)
@given(st.integers(256, 2000).flatmap(ders))
@example(b"\x30\x81\xff\x30" + bytes(254))
def test_every_preset_gives_the_same_certificate(der):
    """The same bytes have one thumbprint and come out as they went in, whichever proxy has forwarded them."""
    for form, name in WAYS:
        certificate = preset(name).unsafe_parse([(header_of(name), value_of(form, der))])
        assert thumbprint(der) == certificate.thumbprint
        assert form == "hex" or der == certificate.der


def test_memory_is_bounded():
    """Many certificates, and long ones, do not stay."""
    source = preset("nginx")
    for number in range(600):
        der = b"\x30\x82\x01\x00\x30" + number.to_bytes(2, "big") + bytes(253)
        source.unsafe_parse([(b"x-k7qd2-cert", value_of("percent", der))])
    assert 256 >= len(source._by_value[None]) > 0
    long = b"\x30\x82\x4e\x20\x30" + bytes(19_999)
    before = len(source._by_value[None])
    assert long == source.unsafe_parse([(b"x-k7qd2-cert", value_of("percent", long))]).der
    assert before == len(source._by_value[None])


def test_refusals_are_not_remembered():
    """Whatever is remembered was good."""
    source = preset("nginx")
    malformed(source, (b"x-k7qd2-cert", b"x"))
    assert {} == source._by_value[None]


def test_trust_is_a_word_of_its_own():
    """A network is not a Trust, nor is a Trust without a rule."""
    for rules in ((), ("10.0.0.1",), (None,)):
        with pytest.raises(ConfigurationError):
            Trust(*rules)
