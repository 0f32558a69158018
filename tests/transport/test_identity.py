"""Identities: the certificate and key, loaded through memory, in contexts that nobody can change."""

from concurrent.futures import ThreadPoolExecutor
import copy
from datetime import datetime, timedelta, timezone
import os
from pathlib import Path
import pickle
import re
import ssl
from time import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa, x25519
from cryptography.hazmat.primitives.serialization import pkcs12
from hypothesis import HealthCheck, given, settings, strategies as st
import pytest
import trustme

from tokenbind import ConfigurationError, IdentityError, PeerCertificate
from tokenbind.transport import FileIdentity, Identity, MemoryIdentity, PKCS12Identity, followed_files, tls_context


@pytest.fixture
def encrypted_key(tokenbind_client, encrypt):
    """The client's key, encrypted with the password ``open``."""
    return encrypt(tokenbind_client.key_pem, b"open")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    """Files are not waited for."""
    monkeypatch.setattr(followed_files, "_FIRST_SECONDS", 0)


def test_an_identity_says_what_the_server_will_see(tokenbind_client):
    """Thumbprint and end of validity are those of the certificate."""
    identity = MemoryIdentity(tokenbind_client.pem.encode(), tokenbind_client.key_pem.decode()).current()

    assert tokenbind_client.thumbprint == identity.thumbprint
    assert tokenbind_client.peer.not_after == identity.not_after
    assert tokenbind_client.peer == identity.certificate


def test_files_are_read_with_text_around_the_blocks(tokenbind_client, tmp_path):
    """A bundle of key, comments and certificate in one file works, and so do two files."""
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(tokenbind_client.key_pem + b"Bag Attributes: none\n" + tokenbind_client.pem.encode())

    assert tokenbind_client.thumbprint == FileIdentity(bundle).current().thumbprint
    assert tokenbind_client.thumbprint == FileIdentity(*tokenbind_client.write(tmp_path)).current().thumbprint


@pytest.mark.parametrize("missing", ["client.pem", "client.key"])
def test_a_file_that_does_not_exist_is_named(tokenbind_client, tmp_path, missing):
    """The error says which file, and why."""
    paths = tokenbind_client.write(tmp_path)
    (tmp_path / missing).unlink()

    with pytest.raises(IdentityError, match=f"{missing}.*No such file"):
        FileIdentity(*paths)


def test_an_error_at_the_start_names_the_files(tokenbind_client, tokenbind_stranger, tmp_path):
    """As the warning does later."""
    certificate, key = tokenbind_client.write(tmp_path)
    Path(key).write_bytes(tokenbind_stranger.key_pem)
    named = (
        f"the client's certificate and key in {certificate}, {key}: the private key does not belong to the certificate"
    )
    with pytest.raises(IdentityError, match=f"^{re.escape(named)}$"):
        FileIdentity(certificate, key)
    junk = tmp_path / "junk.p12"
    junk.write_bytes(b"junk")
    with pytest.raises(IdentityError, match=f"^the client's certificate and key in {junk}: this is not PKCS#12"):
        PKCS12Identity(junk)


def test_a_key_of_a_type_that_tls_does_not_know_is_refused_by_name(tokenbind_client):
    """It is whole."""
    key = x25519.X25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(IdentityError, match=r"OpenSSL refuses the certificate or the private key: [A-Z_]+$"):
        MemoryIdentity(tokenbind_client.pem, key)


def test_certificates_alone_have_no_key(tokenbind_client, tmp_path):
    """In the one file that was named, in both, and in memory."""
    file = tmp_path / "client.pem"
    file.write_text(tokenbind_client.pem)
    why = "there is no private key: these are certificates; give it as key="
    with pytest.raises(IdentityError, match=f"client.pem: {why}$"):
        FileIdentity(file)
    with pytest.raises(IdentityError, match=f"client.pem, .*client.pem: {why}$"):
        FileIdentity(file, file)
    with pytest.raises(IdentityError, match=f"^{why}$"):
        MemoryIdentity(tokenbind_client.pem, tokenbind_client.pem)


def test_another_class_is_named_where_it_is_the_right_one(tokenbind_client, tmp_path):
    """For PKCS#12, and for the names of files."""
    file, key = tmp_path / "client.p12", serialization.load_pem_private_key(tokenbind_client.key_pem, None)
    certificate, encryption = tokenbind_client.peer.x509, serialization.BestAvailableEncryption(b"open")
    file.write_bytes(pkcs12.serialize_key_and_certificates(b"client", key, certificate, None, encryption))
    with pytest.raises(IdentityError, match="client.p12: there is no certificate: this is PKCS#12; use PKCS12Identity"):
        FileIdentity(file)
    for names in (("client.pem", "client.key"), (Path("client.pem"), Path("client.key")), (tokenbind_client.pem, "k")):
        with pytest.raises(IdentityError, match="for (the name of a file|files) use FileIdentity"):
            MemoryIdentity(*names)


def test_a_key_of_another_certificate_is_refused(tokenbind_client, tokenbind_stranger):
    """The error says so in words, not in OpenSSL's."""
    with pytest.raises(IdentityError, match="does not belong to the certificate"):
        MemoryIdentity(tokenbind_client.pem, tokenbind_stranger.key_pem)


@pytest.mark.parametrize("certificate", ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"])
def test_junk_instead_of_a_certificate_is_refused(tokenbind_client, certificate):
    """There is nothing to present, and the error says so."""
    with pytest.raises(IdentityError, match="certificate"):
        MemoryIdentity(certificate, tokenbind_client.key_pem)


def test_junk_instead_of_a_key_is_refused_and_not_quoted(tokenbind_client):
    """Whatever stood where the key belongs may be a secret."""
    with pytest.raises(IdentityError) as caught:
        MemoryIdentity(tokenbind_client.pem, b"-----BEGIN SECRET")

    assert "SECRET" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_an_encrypted_key_needs_its_password_and_never_asks(tokenbind_client, encrypted_key):
    """With the password it works; without, and with a wrong one, it is an error instead of a prompt."""
    identity = MemoryIdentity(tokenbind_client.pem, encrypted_key, "open").current()

    assert tokenbind_client.thumbprint == identity.thumbprint
    with pytest.raises(IdentityError, match="no password was given"):
        MemoryIdentity(tokenbind_client.pem, encrypted_key)
    with pytest.raises(IdentityError, match="is the password right"):
        MemoryIdentity(tokenbind_client.pem, encrypted_key, "wrong")


def _no_noexec_seal(monkeypatch):
    """As on a kernel before 6.3, which does not know the flag."""
    real = os.memfd_create

    def memfd_create(name, flags):
        if flags & 0x8:
            raise OSError(22, "Invalid argument")
        return real(name, flags)

    monkeypatch.setattr(os, "memfd_create", memfd_create)


def _memfd_refused(monkeypatch):
    """As under a seccomp filter."""

    def memfd_create(name, flags):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "memfd_create", memfd_create)


def _no_memfd(monkeypatch):
    """As on macOS."""
    monkeypatch.delattr(os, "memfd_create")


def _no_proc(monkeypatch):
    """As where /proc is not mounted."""
    real = Path.exists
    monkeypatch.setattr(Path, "exists", lambda path, **options: not str(path).startswith("/proc") and real(path))


def _only_files(monkeypatch):
    """As on Windows."""
    _no_memfd(monkeypatch)
    real = Path.is_dir
    monkeypatch.setattr(Path, "is_dir", lambda path, **options: str(path) != "/dev/fd" and real(path))


@pytest.mark.parametrize("platform", [_no_noexec_seal, _memfd_refused, _no_memfd, _no_proc, _only_files])
@pytest.mark.parametrize("password", [None, "open"])
def test_every_way_of_loading_a_key_works_and_refuses_alike(
    tokenbind_client, tokenbind_stranger, encrypted_key, monkeypatch, platform, password
):
    """Memory file, pipes and encrypted file: the right key loads, the key of another certificate does not."""
    platform(monkeypatch)
    key = encrypted_key if password else tokenbind_client.key_pem

    assert tokenbind_client.thumbprint == MemoryIdentity(tokenbind_client.pem, key, password).current().thumbprint
    with pytest.raises(IdentityError, match="does not belong"):
        MemoryIdentity(tokenbind_stranger.pem, key, password)
    for junk in (b"junk", b"-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----\n" + b"junk\n" * 50_000):
        with pytest.raises(IdentityError):
            MemoryIdentity(tokenbind_client.pem, junk, password)


def _public(key):
    loaded = serialization.load_pem_private_key(key, None)
    return loaded.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _of_openssh(key):
    loaded = serialization.load_pem_private_key(key, None)
    encoding, clear = serialization.Encoding.PEM, serialization.NoEncryption()
    return loaded.private_bytes(encoding, serialization.PrivateFormat.OpenSSH, clear)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_public, "there is no private key: this is a public key"),
        (_of_openssh, "in OpenSSH's own format; ssh-keygen"),
        (lambda key: key[:-30], "the private key is cut off: its END line is not there"),
        (lambda key: key[:100], "the private key is cut off: its END line is not there"),
        (lambda key: key[:60] + key[80:], "the private key is damaged or cut off"),
        (lambda key: key.replace(b"PRIVATE KEY", b"FOREIGN PRIVATE KEY"), "certificate or the private key cannot be"),
        (lambda key: b"", "there is no private key: no PEM block was found"),
    ],
)
@pytest.mark.parametrize("platform", [lambda monkeypatch: None, _only_files])
def test_what_is_wrong_with_a_key_is_said(tokenbind_client, monkeypatch, change, why, platform):
    """Nobody is asked for a password that there never was."""
    platform(monkeypatch)
    with pytest.raises(IdentityError, match=why) as caught:
        MemoryIdentity(tokenbind_client.pem, change(tokenbind_client.key_pem))
    assert "password" not in str(caught.value)


@pytest.mark.parametrize("platform", [lambda monkeypatch: None, _only_files])
def test_a_password_is_for_an_encrypted_key(tokenbind_client, encrypted_key, monkeypatch, platform):
    """One that is not needed does no harm; one that is, is asked for; and one cannot open what is cut off."""
    platform(monkeypatch)
    MemoryIdentity(tokenbind_client.pem, tokenbind_client.key_pem, "open")
    with pytest.raises(IdentityError, match="the private key is encrypted, and no password was given"):
        MemoryIdentity(tokenbind_client.pem, encrypted_key)
    with pytest.raises(IdentityError, match="the private key is cut off"):
        MemoryIdentity(tokenbind_client.pem, encrypted_key[:-30], "open")


def test_the_last_resort_never_writes_the_key_in_the_clear(tokenbind_client, monkeypatch):
    """Where only files are left, what is written is encrypted, and gone afterwards."""
    _only_files(monkeypatch)
    written = {}
    real = Path.write_bytes

    def write_bytes(path, data):
        written[path] = data
        return real(path, data)

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    MemoryIdentity(tokenbind_client.pem, tokenbind_client.key_pem)

    [(path, data)] = written.items()
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in data
    assert tokenbind_client.key_pem.splitlines()[1] not in data
    assert not path.exists()


def test_an_identity_has_one_frozen_context_for_each_ca(tokenbind_kit, tokenbind_client, tmp_path):
    """From a file or from bytes; the same object each time."""
    identity = tokenbind_client.identity.current()
    path = tmp_path / "ca.pem"
    path.write_bytes(tokenbind_kit.ca_pem)

    assert identity.ssl_context(tokenbind_kit.ca_pem) is identity.ssl_context(tokenbind_kit.ca_pem)
    assert identity.ssl_context(path) is identity.ssl_context(path)
    for ca in (tokenbind_kit.ca_pem, path, str(path)):
        assert 1 == len(identity.ssl_context(ca).get_ca_certs())


def test_without_ca_the_system_decides(tokenbind_client):
    """The defaults of the platform are loaded, and host names are checked."""
    context = tokenbind_client.identity.current().ssl_context()

    assert ssl.CERT_REQUIRED == context.verify_mode
    assert context.check_hostname


@pytest.mark.parametrize(
    ("ca", "message"),
    [
        ("no-such.pem", "does not exist: 'no-such.pem'"),
        (b"junk", "no PEM certificates"),
        (b"\xff", "no PEM certificates"),
        (7, "must be the name of a file"),
    ],
)
def test_a_ca_that_cannot_be_read_is_a_configuration_error(ca, message):
    """Said where it is built, not at the first request."""
    with pytest.raises(ConfigurationError, match=message):
        tls_context.client_context(ca)


@pytest.mark.parametrize(
    "change",
    [
        lambda context: context.load_verify_locations(cadata=""),
        lambda context: context.load_default_certs(),
        lambda context: context.load_cert_chain("x"),
        lambda context: setattr(context, "verify_mode", ssl.CERT_NONE),
        lambda context: setattr(context, "check_hostname", False),
    ],
)
def test_a_frozen_context_refuses_to_be_changed(tokenbind_kit, tokenbind_client, change):
    """What urllib3 and others do to contexts that they are given is refused, loudly."""
    context = tokenbind_client.identity.current().ssl_context(tokenbind_kit.ca_pem)

    with pytest.raises(ssl.SSLError, match="frozen"):
        change(context)
    assert 1 == len(context.get_ca_certs())
    assert ssl.CERT_REQUIRED == context.verify_mode


def test_a_frozen_context_lets_pass_what_changes_nothing(tokenbind_kit, tokenbind_client):
    """urllib3 sets verify_mode and ALPN again at every connection."""
    context = tokenbind_client.identity.current().ssl_context(tokenbind_kit.ca_pem)
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["h2"])


def test_an_identity_does_not_leave_the_process(tokenbind_client):
    """It is not pickled, copies are itself, and its repr shows the thumbprint alone."""
    identity = tokenbind_client.identity.current()

    with pytest.raises(TypeError, match="private key"):
        pickle.dumps(identity)
    assert identity is copy.copy(identity)
    assert identity is copy.deepcopy([identity])[0]
    assert f"<Identity {tokenbind_client.thumbprint}>" == repr(identity)
    assert f"<MemoryIdentity {tokenbind_client.thumbprint}>" == repr(tokenbind_client.identity)
    assert isinstance(identity, Identity)


def test_pem_text_instead_of_a_file_name_is_not_shown(tokenbind_client):
    """It may be the private key, and errors end up in logs."""
    key = tokenbind_client.key_pem.decode()
    secret = key.splitlines()[1]
    for call, hint in (
        (lambda: FileIdentity(__file__, key), "MemoryIdentity"),
        (lambda: FileIdentity(key), "MemoryIdentity"),
        (lambda: tls_context.client_context(key), "as bytes"),
        (lambda: FileIdentity("a\0b"), "no file name"),
    ):
        with pytest.raises((IdentityError, ConfigurationError), match=hint) as caught:
            call()
        assert secret not in repr(caught.value) + repr(caught.value.__context__)


@pytest.mark.parametrize("swapped", ["key", "der", "request", "junk"])
def test_what_is_no_certificate_says_what_it_is(tokenbind_client, swapped):
    """The usual mistakes by name: swapped files, DER, a request."""
    text, hint = {
        "key": (tokenbind_client.key_pem, "swapped"),
        "der": (tokenbind_client.peer.der, "openssl"),
        "request": (b"-----BEGIN CERTIFICATE REQUEST-----", "certificate request"),
        "junk": (b"junk", "no PEM block"),
    }[swapped]
    with pytest.raises(IdentityError, match=hint):
        MemoryIdentity(text, tokenbind_client.key_pem)
    if swapped in ("der", "junk"):
        with pytest.raises(IdentityError, match=f"no private key.*{hint}"):
            MemoryIdentity(tokenbind_client.pem, text)


def test_secrets_that_are_no_text_are_not_shown(tokenbind_client, encrypted_key):
    """A lone surrogate in key or password is our own error, and not a UnicodeEncodeError that holds all of it."""
    for key, password in ((tokenbind_client.key_pem.decode()[:60] + "\udc80", None), (encrypted_key, "secret\udc80")):
        with pytest.raises(IdentityError) as caught:
            MemoryIdentity(tokenbind_client.pem, key, password)
        assert not isinstance(caught.value.__context__, UnicodeError)


def test_an_identity_in_memory_is_replaced_all_at_once(tokenbind_kit, tokenbind_client, encrypt):
    """The same again changes nothing; what was taken before stays as it was."""
    source = MemoryIdentity(tokenbind_client.pem, tokenbind_client.key_pem)
    first, other = source.current(), tokenbind_kit.client("other")
    source.replace(tokenbind_client.pem.encode(), tokenbind_client.key_pem.decode())
    assert first is source.current()
    source.replace(other.pem, encrypt(other.key_pem, b"open"), password=lambda: "open")
    assert (other.thumbprint, tokenbind_client.thumbprint) == (source.current().thumbprint, first.thumbprint)
    assert source.current().generation > first.generation


def test_what_cannot_replace_an_identity_leaves_it(tokenbind_kit, tokenbind_client, tokenbind_stranger):
    """And is an error."""
    source = MemoryIdentity(tokenbind_client.pem, tokenbind_client.key_pem)
    first, expired = source.current(), tokenbind_kit.expired()
    for certificates, key, why in (
        (tokenbind_client.pem, tokenbind_stranger.key_pem, "does not belong"),
        (expired.pem, expired.key_pem, "expired at"),
        ("junk", expired.key_pem, "no certificate"),
    ):
        with pytest.raises(IdentityError, match=why):
            source.replace(certificates, key)
        assert first is source.current()


def test_of_two_threads_the_newer_pair_wins(tokenbind_kit, tokenbind_client, monkeypatch):
    """Generations only go forward."""
    source, other, newer = tokenbind_client.identity, tokenbind_kit.client("other"), tokenbind_kit.client("newer")
    real = Identity.__init__

    def overtaken(identity, *given):
        monkeypatch.setattr(Identity, "__init__", real)
        real(identity, *given)
        source.replace(newer.pem, newer.key_pem)

    monkeypatch.setattr(Identity, "__init__", overtaken)
    source.replace(other.pem, other.key_pem)
    assert newer.thumbprint == source.current().thumbprint


def test_a_certificate_that_is_cut_off_is_refused(tokenbind_client):
    """A chain of which the end is missing could be sent, and would be refused by every server."""
    pem = tokenbind_client.pem
    for cut in (pem + pem[:60], pem[:60], pem[:-10]):
        with pytest.raises(IdentityError, match="a certificate is cut off: its END line is not there"):
            MemoryIdentity(cut, tokenbind_client.key_pem)
    with pytest.raises(IdentityError, match="a certificate has no line breaks"):
        MemoryIdentity(pem.replace("\n", "\\n"), tokenbind_client.key_pem)


def test_a_weak_certificate_is_called_so():
    """It is not the password."""
    key = rsa.generate_private_key(65537, 1024)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "weak")])
    now = datetime.now(timezone.utc)
    certificate = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    with pytest.raises(IdentityError, match="refuses the certificate: EE_KEY_TOO_SMALL"):
        MemoryIdentity(
            certificate.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM),
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        )


def test_dates_that_are_none_are_our_error(tokenbind_client, monkeypatch):
    """cryptography reads them when they are asked for."""

    class Dateless:
        @property
        def not_valid_before_utc(self):
            raise ValueError("year 10000 is out of range")

    monkeypatch.setattr(PeerCertificate, "x509", Dateless())
    with pytest.raises(IdentityError, match="its dates are none"):
        MemoryIdentity(tokenbind_client.pem, tokenbind_client.key_pem)


@pytest.mark.parametrize(
    "password",
    ["x" * 1025, 5, ["open"], b"", "", lambda: "wrong", lambda: 5, lambda: None, lambda: 1 / 0, bytearray(b"open")],
)
def test_whatever_is_given_as_a_password_is_never_more_than_our_error(tokenbind_client, encrypted_key, password):
    """And never a prompt."""
    with pytest.raises(IdentityError, match="password") as caught:
        MemoryIdentity(tokenbind_client.pem, encrypted_key, password)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("junk", [None, 5, [], bytearray(b"x"), Path("x"), object()])
def test_what_is_no_text_is_our_error(tokenbind_client, junk):
    """Certificate, key, and the CA of a context."""
    with pytest.raises(IdentityError, match="certificates= must be PEM"):
        MemoryIdentity(junk, tokenbind_client.key_pem)
    with pytest.raises(IdentityError, match="key= must be PEM"):
        MemoryIdentity(tokenbind_client.pem, junk)
    if junk is not None:
        with pytest.raises(ConfigurationError, match="ca="):
            tokenbind_client.identity.current().ssl_context(junk)


def test_a_certificate_has_dates(tokenbind_kit, tokenbind_client):
    """And is said to be expired before a server says it in worse words."""
    identity = tokenbind_client.identity.current()
    identity.require_valid()
    assert identity.remaining_seconds() == pytest.approx(identity.not_after.timestamp() - time(), abs=60)
    expired = tokenbind_kit.expired().identity.current()
    with pytest.raises(
        IdentityError, match=r"^the client's certificate expired at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$"
    ):
        expired.require_valid()
    assert expired.remaining_seconds() < 0


def test_only_the_latest_contexts_are_kept(tokenbind_client):
    """One for each CA bundle; bundles change, too."""
    identity = tokenbind_client.identity.current()
    contexts = [identity.ssl_context(trustme.CA().cert_pem.bytes()) for _ in range(34)]
    assert contexts[2:] == list(identity._contexts.values())


def test_threads_that_ask_at_once_share_a_context(tokenbind_kit, tokenbind_client):
    """A context is a connection pool's key."""
    identity = tokenbind_client.identity.current()
    with ThreadPoolExecutor(8) as pool:
        contexts = set(pool.map(identity.ssl_context, [tokenbind_kit.ca_pem] * 32))
    assert 1 == len(contexts)


def test_a_pipe_that_nobody_reads_any_more_is_left():
    """OpenSSL gives up at the certificate, and the key is still to be written."""
    reading, writing = os.pipe()
    os.close(reading)
    tls_context._write_and_close(writing, b"junk" * 50_000)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(writing)


CHANGES = st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 100), st.binary(max_size=20)), max_size=3)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CHANGES, CHANGES, st.none() | st.text(max_size=5) | st.binary(max_size=5))
def test_whatever_was_written_is_an_identity_or_our_error(tokenbind_client, certificate, key, password):
    """Totality: pieces are taken away from certificate and key, and others put in."""
    texts = []
    for text, changes in ((tokenbind_client.pem.encode(), certificate), (tokenbind_client.key_pem, key)):
        for start, length, new in changes:
            text = text[:start] + new + text[start + length :]  # noqa: PLW2901
        texts.append(text)
    try:
        identity = MemoryIdentity(*texts, password).current()
    except IdentityError:
        pass
    else:
        assert tokenbind_client.thumbprint == identity.thumbprint


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.tuples(st.integers(0, 1000), st.integers(0, 5), st.binary(max_size=5)))
def test_whatever_der_is_in_a_certificate_is_an_identity_or_our_error(tokenbind_client, change):
    """Totality, within the base64."""
    start, length, new = change
    der = tokenbind_client.peer.der
    pem = ssl.DER_cert_to_PEM_cert(der[:start] + new + der[start + length :])
    try:
        MemoryIdentity(pem, tokenbind_client.key_pem)
    except IdentityError:
        pass
