"""Which other certificate a token is bound to: one of before a renewal, of the chain, of somebody else, or unknown."""

from datetime import datetime, timedelta, timezone
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
import trustme

from tokenbind import thumbprint
from tokenbind.tokens.compact import base64url


X5T = "x5t#S256"


def der_of(pem):
    return x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)


def certificate(name, public_key, *, signer, begin=datetime(2020, 1, 1, tzinfo=timezone.utc)):
    """The DER of a certificate with nothing but this."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(public_key)
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(begin)
    builder = builder.not_valid_after(datetime.now(timezone.utc) + timedelta(days=9))
    algorithm = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(signer, algorithm).public_bytes(serialization.Encoding.DER)


def test_a_renewal_with_the_same_key(explain, files, tokenbind_kit, tokenbind_client, tokenbind_token):
    """The token is bound to the old certificate, or to the new one if the client still has the old one."""
    renewed = tokenbind_kit.renewed(tokenbind_client)
    renewed.name = "renewed"
    renewed.write(files)
    found = explain(tokenbind_token, "--cert", "renewed.pem", "--also", "stranger.pem", "--also", "client.pem")
    assert (1, ["renewed_same_key"]) == found[:2]
    assert "client.pem" in found.text
    assert "(RFC 8705 §6.3)" in " ".join(found.text.split())
    assert [tokenbind_client.thumbprint, renewed.thumbprint] == [found.report["expected"], found.report["presented"]]
    assert ["unknown_certificate"] == explain(tokenbind_token, "--cert", "renewed.pem").causes


def test_a_renewal_with_a_new_key(explain, files, tokenbind_kit, tokenbind_client):
    """Of a self-signed certificate too, which is no CA's; the later of two is what the client should present."""
    first, second = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    old = certificate("client", first.public_key(), signer=first)
    new = certificate("client", second.public_key(), signer=second, begin=datetime(2021, 1, 1, tzinfo=timezone.utc))
    (files / "old.der").write_bytes(old)
    (files / "new.der").write_bytes(new)
    for bound_to, presented, other, todo in (
        (old, "new.der", "old.der", "Get a new token"),
        (new, "old.der", "new.der", "must present its new certificate"),
    ):
        claims = tokenbind_kit.claims(tokenbind_client, cnf={X5T: thumbprint(bound_to)})
        found = explain(tokenbind_kit.sign(claims), "--cert", presented, "--also", other)
        assert (["renewed_new_key"], True) == (found.causes, todo in found.text)


def test_a_token_from_before_the_certificate(explain, files, tokenbind_kit, tokenbind_token):
    """It must be bound to an earlier one; a time that is none says nothing."""
    tomorrow = datetime.now(timezone.utc) + timedelta(days=1)
    young = tokenbind_kit.ca.issue_cert("young", not_before=tomorrow).cert_chain_pems[0].bytes()
    (files / "young.pem").write_bytes(young)
    found = explain(tokenbind_token, "--cert", "young.pem")
    assert (["renewed_since"], ["certificate_not_yet_valid"]) == (found.causes, found.findings)

    unknown = {X5T: thumbprint((files / "stranger.pem").read_text())}
    for issued_at, cause in ((-1e300, "renewed_since"), (10**30, "unknown_certificate"), ("x", "unknown_certificate")):
        claims = {"cnf": unknown, "iat": issued_at, "exp": 1}
        assert [cause] == explain(tokenbind_kit.sign(claims), "--cert", "young.pem").causes


def test_a_certificate_of_the_chain(explain, files, tokenbind_kit):
    """The issuer's, the one above it, or another one that stands in the file; each by its subject."""
    intermediate = tokenbind_kit.ca.create_child_ca()
    leaf = intermediate.issue_cert("leaf", common_name="leaf").cert_chain_pems[0].bytes()
    (files / "chain.pem").write_bytes(leaf + intermediate.cert_pem.bytes() + tokenbind_kit.ca_pem)
    (files / "leaf.pem").write_bytes(leaf)
    (files / "intermediate.pem").write_bytes(intermediate.cert_pem.bytes())
    for pem, number, cause, in_a_file_of_its_own in (
        (intermediate.cert_pem.bytes(), 2, "issuer_certificate", "issuer_certificate"),
        (tokenbind_kit.ca_pem, 3, "chain_certificate", "another_certificate"),
    ):
        token = tokenbind_kit.sign({"cnf": {X5T: thumbprint(pem.decode())}})
        found = explain(token, "--cert", "chain.pem")
        assert (1, [cause]) == found[:2]
        assert f"chain.pem (certificate {number})" in " ".join(found.text.split())
        also = ("--also", "intermediate.pem", "--also", "ca.pem")
        assert [in_a_file_of_its_own] == explain(token, "--cert", "leaf.pem", *also).causes


def test_certificates_that_do_not_parse(explain, files, tokenbind_kit, tokenbind_client, tokenbind_token):
    """They have a thumbprint all the same, and no parts."""
    broken_name = tokenbind_client.peer.der.replace(b"client", b"\xff\xfe\xfd\xfc\xfb\xfa")
    nothing = b"\x30\x82\x01\x00\x30" + b"\0" * 255
    for der, cause in ((broken_name, "renewed_same_key"), (nothing, "another_certificate")):
        (files / "odd.der").write_bytes(der)
        token = tokenbind_kit.sign(tokenbind_kit.claims(tokenbind_client, cnf={X5T: thumbprint(der)}))
        found = explain(token, "--cert", "odd.der")
        assert (0, ["matches"], True) == (*found[:2], "a subject that cannot be read" in found.text)
        assert [cause] == explain(token, "--cert", "client.pem", "--also", "odd.der").causes
        assert [cause] == explain(tokenbind_token, "--cert", "odd.der", "--also", "client.pem").causes
        assert ["unknown_certificate"] == explain(tokenbind_token, "--cert", "odd.der").causes


def test_key_bits_of_another_type_of_key(explain, files, tokenbind_kit):
    """The bits of RSA keys have longer lengths; those of Ed25519 keys are the key."""
    rsa = tokenbind_kit.ca.issue_cert("rsa", key_type=trustme.KeyType.RSA).cert_chain_pems[0].bytes()
    (files / "rsa.pem").write_bytes(rsa)
    key = x509.load_pem_x509_certificate(rsa).public_key()
    bits = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    token = tokenbind_kit.sign({"cnf": {X5T: base64url(sha256(bits).digest()).decode()}})
    assert ["key_bits_hashed"] == explain(token, "--cert", "rsa.pem").causes

    signer = ed25519.Ed25519PrivateKey.generate()
    self_signed = certificate("client", signer.public_key(), signer=signer)
    (files / "ed.der").write_bytes(self_signed)
    bits = signer.public_key().public_bytes_raw()
    token = tokenbind_kit.sign({"cnf": {X5T: base64url(sha256(bits).digest()).decode()}})
    assert ["key_bits_hashed"] == explain(token, "--cert", "ed.der").causes
