"""The clients of the proxies: every kind of certificate, and those that are made to be misread."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import quote

from credentials import Credentials
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from tokenbind.testing import ClientCertificate


__all__ = ["Certificates", "sha256_hex"]


def sha256_hex(client: ClientCertificate) -> str:
    """As Envoy and some others write it."""
    return client.peer.x509.fingerprint(hashes.SHA256()).hex()


class Certificates(Credentials):
    """One CA for all; only the self-signed have none."""

    def __init__(self) -> None:
        super().__init__()
        ca = load_pem_private_key(self.kit.ca.private_key_pem.bytes(), None)
        self._ca = x509.load_pem_x509_certificate(self.kit.ca_pem), ca
        self.good = (
            self.owner,
            self._issue("rsa-2048", rsa.generate_private_key(65537, 2048)),
            self._issue("rsa-4096", rsa.generate_private_key(65537, 4096)),
            self._chained(),
            self._odd(),
        )
        self.rsa_4096 = self.good[2]
        self.self_signed = self._issue("self-signed", self_signed=True)
        self.proxy = self.kit.client("proxy")
        self.secret = token_hex(32)  # of the proxy, where it has one in place of a certificate
        sha256, pem = sha256_hex(self.owner), quote(self.owner.pem, safe="")
        self.misleading = tuple(
            self._issue(name, alternative_names=[alternative_name])
            for name, alternative_name in (
                ("uri-element", x509.UniformResourceIdentifier(f"spiffe://a,Hash={sha256}")),
                ("uri-certificate", x509.UniformResourceIdentifier(f'spiffe://a,Hash={sha256};Cert="{pem}"')),
                ("uri-key", x509.UniformResourceIdentifier(f"spiffe://a;Hash={sha256}")),
                ("dns-element", x509.DNSName(f"a,Hash={sha256}")),
                ("dns-key", x509.DNSName(f"a;Hash={sha256}")),
            )
        )
        everyone = (*self.good, self.self_signed, self.proxy, *self.misleading)
        self.tokens |= {client: self.kit.mint(client) for client in everyone}

    def write_proxy_files(self, folder: Path) -> None:
        """What the proxies of examples/proxies are configured with."""
        self.write_server_files(folder)
        (folder / "server-and-key.pem").write_bytes(
            (folder / "server.pem").read_bytes() + (folder / "server.key").read_bytes()
        )
        (folder / "proxy.pem").write_text(self.proxy.pem)
        (folder / "proxy.key").write_bytes(self.proxy.key_pem)
        (folder / "proxy-and-key.pem").write_bytes(self.proxy.pem.encode() + self.proxy.key_pem)

    def _chained(self) -> ClientCertificate:
        leaf = self.kit.ca.create_child_ca().issue_cert("chained.client.example", common_name="chained")
        pem = "".join(blob.bytes().decode() for blob in leaf.cert_chain_pems)
        return ClientCertificate("chained", pem, leaf.private_key_pem.bytes())

    def _odd(self) -> ClientCertificate:
        names = [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, 'Sm:th; & "Söhne", Inc. + C=DE \\ #1'),
            x509.NameAttribute(NameOID.COMMON_NAME, "odd"),
        ]
        alternative_names = [
            x509.UniformResourceIdentifier("urn:a,b;c=d:%0d%0a"),
            x509.DNSName("*.client.example"),
            x509.RFC822Name("odd+tag@client.example"),
        ]
        return self._issue("odd", subject=names, alternative_names=alternative_names)

    def _issue(
        self,
        name: str,
        key: Any = None,
        *,
        self_signed: bool = False,
        subject: list[x509.NameAttribute[str]] | None = None,
        alternative_names: list[x509.GeneralName] | None = None,
    ) -> ClientCertificate:
        key = key or ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(timezone.utc)
        named = x509.Name(subject or [x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer, signer = (None, key) if self_signed else self._ca
        builder = (
            x509.CertificateBuilder()
            .subject_name(named)
            .issuer_name(issuer.subject if issuer else named)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        )
        if alternative_names:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternative_names), critical=False)
        pem = builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
        return ClientCertificate(name, pem, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
