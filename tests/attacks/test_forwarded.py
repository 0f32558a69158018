"""Attacks 17, 20, 21, 28-38 and 47 on forwarded certificates, through the middleware, from the proxy and around it."""

from hashlib import sha256

import pytest

from tokenbind import Reason
from tokenbind.peer import TLSConnection, Trust, forwarded

from ..peer.forwarding import HEADER, WAYS, header_of, pem, preset, value_of
from .cases_binding import self_signed
from .proxied import STRANGER, Proxied
from .test_requests import named


TRUST = Trust.addresses("10.0.0.1")
NAME = HEADER.encode()


@pytest.fixture(params=["asgi", "wsgi"])
def proxied(request, kit):
    return Proxied(kit, request.param)


@pytest.fixture
def bearer(kit):
    return b"authorization", b"Bearer " + kit.mint(kit.client()).encode()


@pytest.fixture
def refused(proxied):
    """Ask, and be refused with a status and a reason."""

    def refused(reason, status, source, *fields, **options):
        assert (status, reason) == (proxied.ask(source, *fields, **options)[0], proxied.kit.monitor.last_reason)

    return refused


@pytest.mark.parametrize(("form", "name"), WAYS)
def test_every_preset_has_its_negative_twins(proxied, kit, bearer, refused, form, name, caplog):
    """The rightful client passes; without its certificate, with another or a renewed one, around the proxy, nobody."""
    source, header, client = preset(name, TRUST), header_of(name), kit.client()
    host = (b"host", b"api.example")

    def field(client):
        return header, value_of(form, client.peer.der)

    status, said = proxied.ask(source, bearer, host, field(client))
    assert (200, client.thumbprint) == (status, said["thumbprint"])
    assert header.decode().lower() not in said["headers"]
    assert "authorization" in said["headers"]
    refused(Reason.CERTIFICATE_MISSING, 401, source, bearer, host)
    assert f"the trusted proxy sent no {header.decode().lower()} header" in caplog.text
    caplog.clear()
    refused(Reason.CERTIFICATE_MISMATCH, 401, source, bearer, host, field(kit.client("stranger")))
    assert "sent no" not in caplog.text
    refused(Reason.CERTIFICATE_MISMATCH, 401, source, bearer, host, field(kit.renewed(client)))
    refused(Reason.PROXY_UNTRUSTED, 400, source, bearer, host, field(client), peer=STRANGER)
    refused(Reason.PROXY_UNTRUSTED, 400, source, bearer, host, peer=STRANGER)
    refused(Reason.CERTIFICATE_MALFORMED, 400, source, bearer, host, (header, value_of(form, client.peer.der)[:-9]))
    unbound = (b"authorization", b"Bearer " + kit.unbound(client).encode())
    refused(Reason.TOKEN_UNBOUND, 401, source, unbound, host, field(client))


@pytest.mark.parametrize("name", ["rfc9440", "traefik"])
def test_attack_17_bound_to_a_further_certificate_of_the_chain(proxied, kit, refused, name):
    """Attack 17: the first certificate is the client's, whichever of the chain the token names."""
    client, ca = kit.client(), kit.client("ca")
    token = (b"authorization", b"Bearer " + kit.mint(ca).encode())
    source = preset(name, TRUST)
    if name == "traefik":
        fields = [
            (header_of(name), value_of("base64_list", client.peer.der) + b"," + value_of("base64_list", ca.peer.der))
        ]
    else:
        fields = [
            (NAME, value_of("rfc9440", client.peer.der)),
            (b"client-cert-chain", value_of("rfc9440", ca.peer.der)),
        ]
    refused(Reason.CERTIFICATE_MISMATCH, 401, source, token, *fields)
    good = (b"authorization", b"Bearer " + kit.mint(client).encode())
    status, said = proxied.ask(source, good, *fields)
    assert (200, client.thumbprint) == (status, said["thumbprint"])
    assert {"authorization"} == set(said["headers"])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda der: der + b"\0",
        lambda der: der + der,
        lambda der: der[:-1],
        lambda der: b"\x30\x80" + der[4:] + b"\0\0",
        lambda der: b"\x30\x83\0" + der[2:],
    ],
)
@pytest.mark.parametrize("form", ["rfc9440", "percent", "one_line", "base64_list"])
def test_attack_20_other_encodings(kit, bearer, refused, spoil, form):
    """Attack 20: what is not exactly one certificate in DER has no thumbprint, in no form."""
    name = next(name for other, name in WAYS if other == form)
    refused(
        Reason.CERTIFICATE_MALFORMED,
        400,
        preset(name, TRUST),
        bearer,
        (header_of(name), value_of(form, spoil(kit.client().peer.der))),
        (b"host", b"api.example"),
    )


def test_attack_21_expired_and_self_signed(proxied, kit):
    """Attack 21: RFC 8705 §6.2: dates and chain are not the binding's business; who says so is chain_verified."""
    said = (b"x-verify", b"FAILED:certificate has expired")
    for client in (kit.expired(), self_signed(kit)):
        claims = kit.claims(kit.client(), cnf={"x5t#S256": client.thumbprint})
        bearer = (b"authorization", b"Bearer " + kit.sign(claims).encode())
        field = (NAME, value_of("percent", client.peer.der))
        for source, fields in (
            (preset("nginx", TRUST), [bearer, field]),
            (preset("nginx", TRUST, verify_header="X-Verify"), [bearer, field, said]),
        ):
            status, answer = proxied.ask(source, *fields)
            assert (200, client.thumbprint) == (status, answer["thumbprint"])


def test_attack_28_a_header_without_a_preset(proxied, kit, bearer, refused):
    """Attack 28: with TLS ending here, no header is looked at, wherever it comes from."""
    fields = [(header_of(name), value_of(form, kit.client().peer.der)) for form, name in WAYS]
    for peer in (STRANGER, ("10.0.0.1", 4711)):
        refused(Reason.CERTIFICATE_SOURCE_MISSING, 503, TLSConnection(), bearer, *fields, peer=peer)


def test_attack_29_around_the_proxy(proxied, kit, bearer, refused, caplog):
    """Attack 29: a direct client with the header is refused, reported as what it is, and told nothing of it."""
    field = (NAME, value_of("percent", kit.client().peer.der))
    refused(Reason.PROXY_UNTRUSTED, 400, preset("nginx", TRUST), bearer, field, peer=STRANGER)
    assert "192.0.2.9" in caplog.text
    assert "has the header of a client certificate" in caplog.text
    _, said = proxied.ask(preset("nginx", TRUST), bearer, field, peer=STRANGER)
    assert {"error", "error_description", "reference"} == set(said)
    assert "proxy" not in said["error_description"]


@pytest.mark.parametrize(("form", "name"), WAYS)
def test_attack_30_two_of_them(kit, bearer, refused, form, name):
    """Attack 30: two headers, or two values in one; the first or the last is the attacker's, who knows."""
    mine, victims = (value_of(form, kit.client(who).peer.der) for who in ("stranger", "client"))
    header, host = header_of(name), (b"host", b"api.example")
    for one, two in ((mine, victims), (victims, mine), (victims, victims)):
        if name != "traefik" or one != victims:  # to WSGI, a chain that begins with the victim's would be one
            refused(Reason.CERTIFICATE_MALFORMED, 400, preset(name, TRUST), bearer, host, (header, one + b";" + two))
            if name != "traefik":
                refused(
                    Reason.CERTIFICATE_MALFORMED, 400, preset(name, TRUST), bearer, host, (header, one), (header, two)
                )
                refused(
                    Reason.CERTIFICATE_MALFORMED, 400, preset(name, TRUST), bearer, host, (header, one + b", " + two)
                )


@pytest.mark.parametrize("twin", [b"x_k7qd2_cert", b"X_K7QD2-CERT", b"x-k7qd2_Cert"])
def test_attack_31_aliases(kit, bearer, refused, twin):
    """Attack 31: a name that WSGI makes the same is refused where it can be told, and never beside the real one."""
    field = (NAME, value_of("percent", kit.client("stranger").peer.der))
    spoof = (twin, value_of("percent", kit.client().peer.der))
    for fields in ([field, spoof], [spoof, field]):
        refused(Reason.CERTIFICATE_MALFORMED, 400, preset("nginx", TRUST), bearer, *fields)


def test_attack_31_an_alias_alone(proxied, kit, bearer, refused):
    """Attack 31: an ASGI server tells them apart; a WSGI server that keeps it does not, so its name must be unknown."""
    spoof = (b"x_k7qd2_cert", value_of("percent", kit.client().peer.der))
    if proxied.interface == "asgi":
        refused(Reason.CERTIFICATE_MALFORMED, 400, preset("nginx", TRUST), bearer, spoof)
    refused(Reason.CERTIFICATE_MISSING, 401, preset("nginx", TRUST), bearer, (b"x_ssl_client_cert", spoof[1]))


def test_attack_32_a_chain_alone(kit, bearer, refused):
    """Attack 32: RFC 9440 §2.3: no Client-Cert-Chain without Client-Cert; its first is never the leaf."""
    chain = (b"client-cert-chain", value_of("rfc9440", kit.client().peer.der))
    source = forwarded.rfc9440(trusted_proxy=TRUST)
    refused(Reason.CERTIFICATE_MALFORMED, 400, source, bearer, chain)
    refused(Reason.CERTIFICATE_MALFORMED, 400, source, bearer, chain, (b"client-cert", b""))


@pytest.mark.parametrize(
    "spoil",
    named(
        33,
        {
            "no-colons": (lambda value: value.strip(b":"),),
            "no-colon-before": (lambda value: value[1:],),
            "no-colon-behind": (lambda value: value[:-1],),
            "parameter": (lambda value: value + b";a=1",),
            "blank-within": (lambda value: value[:40] + b" " + value[40:],),
            "blank-around": (lambda value: b": " + value[1:],),
            "other-alphabet": (lambda value: value.replace(b"A", b"_"),),
            "no-padding": (lambda value: value.replace(b"=", b"")[:-2] + b":",),
            "empty": (lambda value: b"::",),
            "one-colon": (lambda value: b":",),
            "string": (lambda value: b'"' + value + b'"',),
        },
    ),
)
def test_attack_33_byte_sequences(kit, bearer, refused, spoil):
    """Attack 33: RFC 8941 is strict about them, and so are we."""
    value = value_of("rfc9440", kit.client().peer.der)
    source = forwarded.rfc9440(trusted_proxy=TRUST)
    refused(Reason.CERTIFICATE_MALFORMED, 400, source, bearer, (b"client-cert", spoil(value)))


@pytest.mark.parametrize("value", [b"", b"(null)"])
def test_attack_34_words_for_absence(kit, bearer, refused, value):
    """Attack 34: what Apache writes without a certificate is none; so bound tokens are refused, and nothing breaks."""
    refused(Reason.CERTIFICATE_MISSING, 401, preset("apache", TRUST), bearer, (NAME, value))


def test_attack_35_a_bundle(kit, bearer, refused):
    """Attack 35: two certificates in one PEM header, whichever comes first."""
    both = [value_of("percent", kit.client(who).peer.der) for who in ("client", "stranger")]
    for value in (both[0] + both[1], both[1] + both[0]):
        refused(Reason.CERTIFICATE_MALFORMED, 400, preset("nginx", TRUST), bearer, (NAME, value))
    bundle = pem(kit.client().peer.der) + pem(kit.client("stranger").peer.der)
    refused(
        Reason.CERTIFICATE_MALFORMED,
        400,
        preset("apache", TRUST),
        bearer,
        (NAME, bundle.strip().replace("\n", " ").encode()),
    )


@pytest.mark.parametrize(("form", "name"), WAYS)
def test_attack_36_a_header_of_a_mebibyte(kit, bearer, refused, form, name):
    """Attack 36: refused by its length, before anything is decoded."""
    value = (value_of(form, kit.client().peer.der) * 20_000)[: 1 << 20]
    refused(
        Reason.CERTIFICATE_MALFORMED,
        400,
        preset(name, TRUST),
        bearer,
        (header_of(name), value),
        (b"host", b"api.example"),
    )


@pytest.mark.parametrize("header", [b"x-forwarded-for", b"forwarded", b"x-real-ip", b"client-ip", b"true-client-ip"])
def test_attack_38_addresses_in_headers(kit, bearer, refused, header):
    """Attack 38: no header makes the proxy of anybody, not even where the server has put it into the client's place."""
    for value in (b"10.0.0.1", b"10.0.0.1:4711", b"for=10.0.0.1", b"10.0.0.1, 10.0.0.1"):
        field = (NAME, value_of("percent", kit.client().peer.der))
        refused(Reason.PROXY_UNTRUSTED, 400, preset("nginx", TRUST), bearer, field, (header, value), peer=STRANGER)


# What is not in the list, and in the real world.


@pytest.mark.parametrize(
    "value",
    [
        b"51fb71b1da8b5fe3ebaaeed835840da77992acde",
        b"UftxsdqLX+Prqu7YNYQNp3mSrN4=",
        b"(null)",
        b"::",
        b"%[ssl_c_der,sha2(256),hex]",
        b"{http.request.tls.client.certificate_pem}",
    ],
)
def test_what_is_no_sha256(kit, bearer, refused, value):
    """SHA-1, and other products' words."""
    refused(Reason.CERTIFICATE_MALFORMED, 400, preset("sha256", TRUST), bearer, (NAME, value))


def test_the_hash_of_nothing(kit, refused):
    """It is no certificate; and no token is bound to it that an honest server has made."""
    token = kit.sign(kit.claims(kit.client(), cnf={"x5t#S256": "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"}))
    bearer = (b"authorization", b"Bearer " + token.encode())
    refused(Reason.CERTIFICATE_MISSING, 401, preset("sha256", TRUST), bearer, (NAME, sha256(b"").hexdigest().encode()))


@pytest.mark.parametrize(
    "spoof",
    [
        b'Hash={attacker};Subject="CN=x";URI=spiffe://a,Hash={victim}',
        b'Hash={attacker};Subject="CN=x";URI=;DNS=a;Hash={victim}',
        b'Hash={attacker};URI=spiffe://a,Hash={victim};Cert="{certificate}"',
        b'Hash={attacker};URI=spiffe://a;Cert="{certificate}"',
    ],
)
def test_names_in_xfcc(kit, bearer, refused, spoof):
    """A certificate whose subjectAltName is another element, or another key, of X-Forwarded-Client-Cert."""
    parts = {"attacker": kit.client("stranger"), "victim": kit.client()}
    for name, client in parts.items():
        spoof = spoof.replace(b"{%b}" % name.encode(), sha256(client.peer.der).hexdigest().encode())
    spoof = spoof.replace(b"{certificate}", value_of("percent", kit.client().peer.der))
    field = (b"x-forwarded-client-cert", spoof)
    refused(Reason.CERTIFICATE_MALFORMED, 400, forwarded.envoy(trusted_proxy=TRUST), bearer, field)


def test_two_hops_are_not_confused(proxied, kit, bearer, refused):
    """With two Envoys, what the second adds is the first one's certificate, which is no client's."""
    client, gateway = (
        b"Hash=" + sha256(kit.client(name).peer.der).hexdigest().encode() for name in ("client", "gateway")
    )
    source = forwarded.envoy(trusted_proxy=TRUST, hops=2)
    assert 200 == proxied.ask(source, bearer, (b"x-forwarded-client-cert", client + b"," + gateway))[0]
    for value, reason, status in (
        (gateway, Reason.CERTIFICATE_MISSING, 401),
        (client, Reason.CERTIFICATE_MISSING, 401),
        (gateway + b"," + client, Reason.CERTIFICATE_MISMATCH, 401),
        (client + b"," + gateway + b"," + gateway, Reason.CERTIFICATE_MALFORMED, 400),
    ):
        refused(reason, status, source, bearer, (b"x-forwarded-client-cert", value))
    token = (b"authorization", b"Bearer " + kit.mint(kit.client("gateway")).encode())
    refused(Reason.CERTIFICATE_MISSING, 401, source, token, (b"x-forwarded-client-cert", gateway))


def test_attack_47_a_forgetful_virtual_host(proxied, kit, bearer, refused):
    """Attack 47: another host of the trusted proxy, which lets a client's own header pass."""
    field = (NAME, value_of("percent", kit.client().peer.der))
    source = preset("nginx", TRUST, hosts=["api.example"])
    assert 200 == proxied.ask(source, bearer, field, (b"host", b"api.example"))[0]
    for host in (b"shop.example", b"api.example.shop.example", None):
        refused(Reason.PROXY_UNTRUSTED, 400, source, bearer, field, (b"host", host))
        refused(
            Reason.PROXY_UNTRUSTED, 400, source, bearer, field, (b"host", host), (b"x-forwarded-host", b"api.example")
        )


def test_early_data(kit, bearer, refused):
    """What can be replayed proves nothing, whatever certificate the proxy has seen."""
    field = (NAME, value_of("percent", kit.client().peer.der))
    refused(Reason.EARLY_DATA, 425, preset("nginx", TRUST), bearer, field, (b"early-data", b"1"))


def test_the_application_sees_nothing_of_it(proxied, kit, bearer, tmp_path):
    """Certificate, chain, verdict and secret stop at the middleware, on exempt paths too; and so do their twins."""
    secret = tmp_path / "secret"
    secret.write_text("s" * 32)
    trust = Trust.secret_header("X-Proxy-Secret", file=secret) & TRUST
    for source, fields in (
        (
            forwarded.nginx(header=HEADER, verify_header="X-Verify", trusted_proxy=trust),
            [(NAME, value_of("percent", kit.client().peer.der)), (b"X-VERIFY", b"SUCCESS")],
        ),
        (
            forwarded.rfc9440(trusted_proxy=trust),
            [
                (b"Client-Cert", value_of("rfc9440", kit.client().peer.der)),
                (b"Client-Cert-Chain", value_of("rfc9440", kit.client("ca").peer.der)),
            ],
        ),
    ):
        all_of_them = [bearer, *fields, (b"x-proxy-secret", b"s" * 32), (b"x-other", b"x")]
        status, said = proxied.ask(source, *all_of_them)
        assert (200, ["authorization", "x-other"]) == (status, said["headers"])
        twins = [(name.replace(b"-", b"_"), value) for name, value in all_of_them[1:-1]]
        status, said = proxied.ask(source, *all_of_them, *twins, path="/health", peer=STRANGER)
        assert (200, None, ["authorization", "x-other"]) == (status, said["thumbprint"], said["headers"])
