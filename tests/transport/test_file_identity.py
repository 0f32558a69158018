"""`FileIdentity`: files rewritten in every way that is known, while they are used; and what must not be taken."""

import logging

import pytest
import trustme

from tokenbind import IdentityError
from tokenbind.transport import FileIdentity, PKCS12Identity, TrustAnchors, followed_files, identity as identity_module

from .rotating import LAYOUTS, Bundle, Clock, Kubernetes, Pair, Replaced, forked, presented, wait_for, writing


REWRITES = 100


@pytest.fixture(scope="module")
def root():
    return trustme.CA()


@pytest.fixture(scope="module")
def ca(root):
    """An intermediate one, so that a chain has two certificates."""
    return root.create_child_ca()


@pytest.fixture(scope="module")
def pairs(ca):
    return [Pair(ca) for _ in range(10)]


@pytest.fixture
def log(caplog):
    caplog.set_level(logging.INFO, "tokenbind")
    return lambda: [record.levelname for record in caplog.records]


def later(source, clock):
    """Its current identity after three seconds of use."""
    for _ in range(30):
        clock.now += 0.1
        identity = source.current()
    return identity


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rewrites_without_end_break_nothing(layout, pairs, tmp_path, monkeypatch):
    """No request fails, no chain is cut, no generation is older than the one before; the last pair stays."""
    monkeypatch.setattr(followed_files, "_LOOK_SECONDS", 0)
    monkeypatch.setattr(followed_files, "_SOON_SECONDS", 0)
    files = layout(tmp_path, pairs[0])
    source = FileIdentity(*files.files)
    ders, seen = {pair.der for pair in pairs}, set()
    last = source.current()
    with writing(lambda number: files.write(pairs[number % len(pairs)]), REWRITES) as goes_on:
        while goes_on():
            identity = source.current()
            assert identity.generation >= last.generation
            assert identity is last or identity.generation > last.generation
            assert identity.certificate.der in ders
            assert 2 == len(identity.certificate.chain)
            seen.add(identity.certificate.der)
            last = identity
    assert len(seen) > 1
    wait_for(lambda: source.current().certificate.der == pairs[(REWRITES - 1) % len(pairs)].der)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_start_while_they_are_written_succeeds(layout, pairs, tmp_path):
    """However torn they are at that moment."""
    files = layout(tmp_path, pairs[0])

    with writing(lambda number: files.write(pairs[number % len(pairs)]), 30, 0.02) as goes_on:
        started = 0
        while goes_on():
            assert FileIdentity(*files.files).current().certificate.der in {pair.der for pair in pairs}
            started += 1
    assert started > 1


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_rotation_is_in_use_within_a_second(layout, root, pairs, tmp_path, clock, log, caplog):
    """A server sees the new certificate with its chain, each certificate once. The log says which one was read."""
    files = layout(tmp_path, pairs[0])
    source = FileIdentity(*files.files)
    ca = root.cert_pem.bytes()
    for pair in pairs:
        files.write(pair)
        clock.now += 1
        identity = source.current()
        assert pair.der == identity.certificate.der
        assert list(identity.certificate.chain) == presented(identity.ssl_context(ca), root)
    assert {"INFO"} == set(log())
    assert caplog.messages[-1].endswith(f": {identity.thumbprint} was read, valid until {identity.not_after}")
    assert f"<FileIdentity {identity.thumbprint}>" == repr(source)


def test_a_new_key_type_is_presented(root, pairs, tmp_path, clock):
    """A live TLS context would have kept the old certificate; each generation has its own."""
    files = Replaced(tmp_path, pairs[0])
    source = FileIdentity(*files.files)
    rsa = Pair(root, key_type=trustme.KeyType.RSA)
    before = source.current().ssl_context(root.cert_pem.bytes())
    files.write(rsa)
    clock.now += 1
    after = source.current().ssl_context(root.cert_pem.bytes())
    assert rsa.der == presented(after, root)[0]
    assert pairs[0].der == presented(before, root)[0]


def test_the_key_and_then_the_certificate(pairs, tmp_path, clock, log):
    """Between the two they do not belong together: nothing changes, and nothing is logged."""
    files = Replaced(tmp_path, pairs[0])
    source = FileIdentity(*files.files)
    files.files[1].write_bytes(pairs[1].key)
    clock.now += 1
    assert pairs[0].der == source.current().certificate.der
    files.files[0].write_bytes(pairs[1].chain)
    clock.now += 0.06
    assert pairs[1].der == source.current().certificate.der
    assert ["INFO"] == log()


BREAKS = [
    (lambda files, ca: files.files[0].unlink(), "tls.crt': No such file"),
    (lambda files, ca: (files.folder / "..data").unlink(), "tls.crt': No such file"),
    (lambda files, ca: files.files[1].write_bytes(b""), "there is no private key"),
    (lambda files, ca: files.files[0].write_bytes(b"junk"), "there is no certificate"),
    (lambda files, ca: files.files[0].write_bytes(files.files[0].read_bytes()[:-30]), "cut off"),
    (lambda files, ca: files.files[1].write_bytes(files.files[1].read_bytes()[:-30]), "the private key is cut off"),
    (lambda files, ca: files.files[1].write_bytes(Pair(ca).key), "does not belong to the certificate"),
    (lambda files, ca: files.write(Pair(ca, -2, -1)), "expired at"),
    (lambda files, ca: files.write(Pair(ca, 1, 2)), "is not valid before"),
]


@pytest.mark.parametrize(("breaks", "why"), BREAKS)
def test_what_cannot_be_used_changes_nothing(breaks, why, ca, pairs, tmp_path, clock, log, caplog, monkeypatch):
    """One warning says so; and when the last good certificate has expired, the error says why there is no newer one."""
    files = Kubernetes(tmp_path, pairs[0])
    source = FileIdentity(*files.files)
    identity = source.current()
    breaks(files, ca)
    assert identity is later(source, clock)
    assert ["WARNING"] == log()
    assert why in caplog.text
    assert "PRIVATE" not in caplog.text
    identity.require_valid()
    monkeypatch.setattr(identity_module, "time", Clock(identity.not_after.timestamp()))
    with pytest.raises(IdentityError, match=f"^the client's certificate expired at .* UTC; its files .*: .*{why}"):
        identity.require_valid()


def test_a_certificate_is_used_as_soon_as_it_is_valid(ca, pairs, tmp_path, clock, monkeypatch):
    """Nothing is written again for that. Nor does an old one stay for a new one's date, once it has expired itself."""
    files = Replaced(tmp_path, pairs[0])
    source = FileIdentity(*files.files)
    tomorrow = Pair(ca, 0.5, 2)
    files.write(tomorrow)
    assert pairs[0].der == later(source, clock).certificate.der
    wall = Clock(identity_module.time() + 43_201)
    monkeypatch.setattr(identity_module, "time", wall)
    assert tomorrow.der == later(source, clock).certificate.der
    wall.now += 10 * 86_400
    expired = Pair(ca, 1, 3)
    files.write(expired)
    assert expired.der == later(source, clock).certificate.der


@pytest.mark.parametrize(("days", "why"), [((-2, -1), "expired at"), ((1, 2), "is not valid before")])
def test_an_expired_certificate_at_the_start_is_said_when_it_is_used(ca, pairs, tmp_path, clock, caplog, days, why):
    """Its successor may be on its way; a service need not crash for that. But the log names the files at once."""
    files = Replaced(tmp_path, Pair(ca, *days))
    source = FileIdentity(*files.files)
    [record] = caplog.records
    named = f"the client's certificate and key in {files.files[0]}, {files.files[1]}: the client's certificate {why} "
    assert ("WARNING", True) == (record.levelname, record.getMessage().startswith(named))
    with pytest.raises(IdentityError, match="UTC$"):
        source.current().require_valid()
    files.write(pairs[0])
    later(source, clock).require_valid()


def test_what_is_good_again_is_no_longer_a_problem(ca, pairs, tmp_path, clock, monkeypatch):
    """The error does not speak of what is over."""
    files = Replaced(tmp_path, pairs[0])
    source = FileIdentity(*files.files)
    files.files[1].write_bytes(b"junk")
    identity = later(source, clock)
    files.write(pairs[0])
    assert identity is later(source, clock)
    monkeypatch.setattr(identity_module, "time", Clock(identity.not_after.timestamp()))
    with pytest.raises(IdentityError, match="UTC$"):
        identity.require_valid()


def test_other_text_around_the_same_blocks_is_no_new_generation(pairs, tmp_path, clock):
    """Connections and token would end for nothing."""
    files = Bundle(tmp_path, pairs[0])
    source = FileIdentity(*files.files)
    identity = source.current()
    files.files[0].write_bytes(pairs[0].key + b"\n".join(pairs[0].blocks))
    assert identity is later(source, clock)


def test_a_password_is_asked_for_when_the_key_is_loaded(pairs, tmp_path, clock, log, encrypt):
    """By a function, at each change; one that raises, or returns junk, changes nothing and is not quoted."""
    asked, answers = [], ["open", b"shut", RuntimeError("secret"), 5, None]

    def password():
        answer = answers[len(asked)]
        asked.append(answer)
        if isinstance(answer, Exception):
            raise answer
        return answer

    files = Replaced(tmp_path, pairs[0])
    files.files[1].write_bytes(encrypt(pairs[0].key, b"open"))
    source = FileIdentity(*files.files, password=password)
    clock.now += 5
    source.current()
    assert 1 == len(asked)
    files.write(pairs[1])
    files.files[1].write_bytes(encrypt(pairs[1].key, b"shut"))
    clock.now += 1
    assert pairs[1].der == source.current().certificate.der
    for why in ("raised RuntimeError", "must be a str", "returned None"):
        files.files[0].write_bytes(pairs[2].chain + b"#" * len(asked))
        clock.now += 1
        assert pairs[1].der == source.current().certificate.der
        assert why in source.current()._problem
        assert "secret" not in source.current()._problem


def test_an_encrypted_key_in_place_of_a_plain_one_asks_nobody(pairs, tmp_path, clock, encrypt):
    """OpenSSL's own way would be to wait at the terminal, in the midst of a request."""
    files = Replaced(tmp_path, pairs[0])
    source = FileIdentity(*files.files)
    files.files[1].write_bytes(encrypt(pairs[0].key, b"open"))
    assert pairs[0].der == later(source, clock).certificate.der
    assert "is encrypted, and no password was given" in source.current()._problem


@pytest.mark.parametrize("names", [("key",), ("key", "crt")])
def test_a_key_that_is_open_to_others_is_warned_of(pairs, tmp_path, clock, log, caplog, names):
    """In a bundle and in a file of its own, at the start and once."""
    paths = [tmp_path / name for name in reversed(names)]
    paths[0].write_bytes(pairs[0].bundle)
    paths[-1].write_bytes(pairs[0].bundle)
    for path in paths:
        path.chmod(0o644)
    later(FileIdentity(*paths), clock)
    assert ["WARNING"] == log()
    assert str(tmp_path / "key") in caplog.text


def test_a_child_follows_its_files(pairs, tmp_path, clock):
    """Whatever locks were held when it was born; the parent does, too."""
    files = Kubernetes(tmp_path, pairs[0])
    source = FileIdentity(*files.files)
    identity = source.current()
    files.write(pairs[1])
    clock.now += 1
    with source._files._lock.mine(), identity._lock.mine():
        assert forked(lambda: source.current().certificate.der == pairs[1].der and identity.ssl_context() is not None)
    assert pairs[1].der == source.current().certificate.der


@pytest.mark.parametrize("kind", [FileIdentity, PKCS12Identity, TrustAnchors])
@pytest.mark.parametrize("name", [5, 0.5, "", "a\0b", ["x"], {}, object(), bytearray(b"x"), True])
def test_what_is_no_file_name_is_our_error(kind, name):
    """Whatever its type: at once."""
    with pytest.raises(Exception, match="no file name|must be the name of a file") as caught:
        kind(name)
    assert type(caught.value).__name__ in {"IdentityError", "ConfigurationError"}


def test_none_is_no_file_name():
    """For a CA it is the system's, for an identity it is nothing."""
    with pytest.raises(IdentityError, match="no file name"):
        FileIdentity(None)
