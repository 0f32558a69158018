"""What the tests of forwarded certificates share: the captured headers, and how each preset reads them."""

from base64 import b64encode
from functools import cache
from hashlib import sha256
import json
from pathlib import Path
import ssl
from urllib.parse import quote

import pytest

from tokenbind import InvalidRequest, Reason
from tokenbind.peer import Trust, forwarded


CAPTURES = Path(__file__).parents[1] / "vectors" / "proxy-captures"
CERTIFICATES = {path.stem: ssl.PEM_cert_to_DER_cert(path.read_text()) for path in CAPTURES.glob("certs/*.pem")}
DER = CERTIFICATES["client-ec"]
INDEX = json.loads((CAPTURES / "index.json").read_text())
ANYONE = Trust.unsafe_anyone()
HOSTS = ["api.example"]


@cache
def capture(name):
    """The header lines of a capture, as a server reads them."""
    lines = (CAPTURES / name).read_bytes().splitlines()
    return tuple((field, value.strip(b" ")) for field, _, value in (line.partition(b":") for line in lines if line))


def named(header):
    return {"header": header, "trusted_proxy": ANYONE}


#: For the beginning of a capture's name and its header, the preset; the longest beginning counts.
PRESETS = {
    ("apache24-9440", "Client-Cert"): forwarded.rfc9440(trusted_proxy=ANYONE),
    ("apache24-escape", "X-Esc-Cert"): forwarded.nginx(**named("X-Esc-Cert")),
    ("apache24", "X-SSL-Client-Cert"): forwarded.apache(
        **named("X-SSL-Client-Cert"), verify_header="X-SSL-Client-Verify"
    ),
    ("caddy211", "Client-Cert"): forwarded.caddy(**named("Client-Cert")),
    ("envoy140", "x-forwarded-client-cert"): forwarded.envoy(trusted_proxy=ANYONE),
    ("haproxy28", "client-cert"): forwarded.haproxy(**named("Client-Cert")),
    ("nginx131", "X-SSL-Cert"): forwarded.nginx(**named("X-SSL-Cert"), verify_header="X-SSL-Verify"),
    ("synthetic-aws-alb-passthrough", "X-Amzn-Mtls-Clientcert"): forwarded.aws_alb(
        trusted_proxy=ANYONE, hosts=HOSTS, passthrough=True
    ),
    ("synthetic-aws-alb-verify", "X-Amzn-Mtls-Clientcert-Leaf"): forwarded.aws_alb(trusted_proxy=ANYONE, hosts=HOSTS),
    ("synthetic-azure-appgw", "X-Client-Cert"): forwarded.azure_application_gateway(
        **named("X-Client-Cert"), hosts=HOSTS
    ),
    ("synthetic-azure-appservice", "X-ARR-ClientCert"): forwarded.azure_app_service(trusted_proxy=ANYONE),
    ("synthetic-cloudflare", "Cf-Client-Cert-Der-Base64"): forwarded.cloudflare(trusted_proxy=ANYONE),
    ("synthetic-cloudflare", "Cf-Client-Cert-Sha256"): forwarded.sha256(**named("Cf-Client-Cert-Sha256")),
    ("synthetic-gcp-leaf", "X-Client-Cert-Leaf"): forwarded.gcp(**named("X-Client-Cert-Leaf")),
    ("synthetic-gcp-leaf", "X-Client-Cert-Hash"): forwarded.sha256(**named("X-Client-Cert-Hash")),
    ("synthetic-ingress-nginx", "ssl-client-cert"): forwarded.ingress_nginx(trusted_proxy=ANYONE, hosts=HOSTS),
    ("synthetic-rfc9440", "Client-Cert"): forwarded.rfc9440(trusted_proxy=ANYONE),
    ("traefik37", "X-Forwarded-Tls-Client-Cert"): forwarded.traefik(trusted_proxy=ANYONE),
}


def presets_of(name):
    """The presets that read the capture *name*, by their headers."""
    longest = max((start for start, _ in PRESETS if name.startswith(start)), key=len)
    return {header: source for (start, header), source in PRESETS.items() if start == longest}


def pem(der):
    return ssl.DER_cert_to_PEM_cert(der)


def base64(der):
    return b64encode(der).decode()


def xfcc(der):
    return f'Hash={sha256(der).hexdigest()};Cert="{quote(pem(der), safe="")}";Subject="CN=\\"x\\",O=y";URI=;DNS=a.test'


#: Each form of a header, as a function of the DER, and the presets that read it.
FORMS = {
    "rfc9440": (lambda der: f":{base64(der)}:", ["rfc9440", "haproxy", "caddy", "gcp"]),
    "percent": (lambda der: quote(pem(der), safe=""), ["nginx", "azure_application_gateway"]),
    "percent_of_apache": (lambda der: quote(pem(der), safe="+/=").replace("%0A", "%0a"), ["nginx"]),
    "one_line": (lambda der: pem(der).strip().replace("\n", " "), ["apache"]),
    "xfcc": (xfcc, ["envoy"]),
    "base64_list": (base64, ["traefik", "azure_app_service", "cloudflare"]),
    "hex": (lambda der: sha256(der).hexdigest(), ["sha256"]),
}
HEADERS = {
    "envoy": "X-Forwarded-Client-Cert",
    "traefik": "X-Forwarded-Tls-Client-Cert",
    "azure_app_service": "X-ARR-ClientCert",
    "cloudflare": "Cf-Client-Cert-Der-Base64",
}
HEADER = "X-K7Qd2-Cert"


def preset(name, trusted_proxy=ANYONE, **options):
    """The preset *name*, with a header of that name where one can be chosen."""
    if name not in HEADERS:
        options |= {"header": HEADER}
    if name in ("azure_application_gateway", "aws_alb", "ingress_nginx"):
        options |= {"hosts": HOSTS}
    return getattr(forwarded, name)(trusted_proxy=trusted_proxy, **options)


def header_of(name):
    return HEADERS.get(name, HEADER).encode()


#: Pairs of a form and a preset that reads it.
WAYS = [(form, name) for form, (_, names) in FORMS.items() for name in names]


def value_of(form, der):
    """The header's value for a certificate."""
    return FORMS[form][0](der).encode()


def malformed(source, *fields):
    """The error that *source* refuses *fields* with."""
    with pytest.raises(InvalidRequest) as refusal:
        source.unsafe_parse(list(fields))
    assert Reason.CERTIFICATE_MALFORMED == refusal.value.reason
    return str(refusal.value)
