"""`TrustAnchors`: a CA bundle that is followed; one that cannot be used is not taken."""

import logging
import os

import pytest
import trustme

from tokenbind import ConfigurationError
from tokenbind.transport import Anchors, TrustAnchors


@pytest.fixture(scope="module")
def pems():
    return [trustme.CA().cert_pem.bytes() for _ in range(3)]


def later(anchors, clock):
    for _ in range(30):
        clock.now += 0.1
        current = anchors.current()
    return current


def test_a_bundle_is_followed(pems, tmp_path, clock, caplog):
    """The number grows when its content is another one, and only then; the log says so."""
    caplog.set_level(logging.INFO, "tokenbind")
    file = tmp_path / "ca.pem"
    file.write_bytes(pems[0])
    anchors = TrustAnchors(str(file))
    first = anchors.current()
    assert pems[0] == first.pem
    os.utime(file, (1, 1))
    assert first is later(anchors, clock)
    for number, pem in enumerate(pems, first.number):
        file.write_bytes(pem)
        clock.now += 1
        assert Anchors(number, pem) == anchors.current()
    assert [f"the CA certificates in {file}: new ones were read"] * 2 == caplog.messages


@pytest.mark.parametrize("content", [b"", b"junk", b"\xff", "cut", "half"])
def test_a_bundle_that_cannot_be_used_is_not_taken(pems, tmp_path, clock, caplog, content):
    """One warning names it; at the start it is an error. One that is cut off is none, even if a part can be read."""
    file = tmp_path / "ca.pem"
    file.write_bytes(pems[0] + pems[1])
    anchors = TrustAnchors(file)
    first = anchors.current()
    file.write_bytes({"cut": pems[0] + pems[1][:-30], "half": pems[0] + pems[1][:40]}.get(content, content))
    assert first is later(anchors, clock)
    assert first is later(anchors, clock)
    [record] = caplog.records
    assert logging.WARNING == record.levelno
    assert f"the CA certificates in {file}: " in record.getMessage()
    with pytest.raises(ConfigurationError, match="ca= cannot be used: .*ca.pem has no PEM certificates"):
        TrustAnchors(file)


def test_a_bundle_that_has_become_shorter_is_believed_when_it_lasts(pems, tmp_path, clock):
    """A CA that is removed is gone; but while a bundle is written, none is missing."""
    file = tmp_path / "ca.pem"
    file.write_bytes(pems[0] + pems[1])
    anchors = TrustAnchors(file)
    file.write_bytes(pems[0])
    clock.now += 1
    assert pems[0] + pems[1] == anchors.current().pem
    assert pems[0] == later(anchors, clock).pem


def test_names_of_cas_need_not_be_ascii(pems, tmp_path):
    """They stand beside the certificates in many bundles; within one, such a character is none."""
    file = tmp_path / "ca.pem"
    file.write_bytes("# Főtanúsítvány\n".encode() + pems[0])
    assert 1 == TrustAnchors(file).current().number
    with pytest.raises(ConfigurationError):
        TrustAnchors(pems[0][:100] + b"\xff" + pems[0][100:])


@pytest.mark.parametrize("which", ["bytes", None])
def test_bytes_and_the_systems_never_change(pems, clock, which):
    """None stays None: what the system trusts is up to OpenSSL."""
    anchors = TrustAnchors(which and pems[0])
    assert Anchors(1, which and pems[0]) == anchors.current()
    assert anchors.current() is later(anchors, clock)


def test_a_file_that_is_not_there_is_an_error(tmp_path, clock):
    """Which names it; and so is a text in place of a name, which is not shown."""
    with pytest.raises(ConfigurationError, match="does not exist: '.*/no-such.pem'"):
        TrustAnchors(tmp_path / "no-such.pem")
    with pytest.raises(ConfigurationError, match="PEM text.*as bytes") as caught:
        TrustAnchors("-----BEGIN CERTIFICATE-----\nsecret")
    assert "secret" not in str(caught.value)
    with pytest.raises(ConfigurationError, match="no PEM certificates"):
        TrustAnchors(b"junk")
    with pytest.raises(ConfigurationError, match="the given bytes"):
        TrustAnchors(b"")


class Source:
    """A trust source of the caller's."""

    def __init__(self, value):
        self.value = value

    def current(self):
        return self.value


def test_anything_that_gives_anchors_will_do(pems):
    """Such as another `TrustAnchors`, or one that follows SPIFFE bundles. Its first answer is looked at."""
    source = Source(Anchors(7, pems[0]))
    for anchors in (TrustAnchors(source), TrustAnchors(TrustAnchors(source))):
        assert Anchors(7, pems[0]) == anchors.current()
    source.value = Anchors(8, pems[1])
    assert 8 == anchors.current().number
    for junk in (None, pems[0], (1, pems[0]), Anchors(1, b"junk")):
        with pytest.raises(ConfigurationError):
            TrustAnchors(Source(junk))
