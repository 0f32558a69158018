"""The strict readers of certificates as DER bytes and as PEM text."""

from base64 import b64encode
from datetime import datetime, timezone
import ssl

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, strategies as st
import pytest

from tokenbind import InvalidRequest, Reason
from tokenbind.binding.pem import BEGINNINGS_OF_DER, MAX_CHAIN_LENGTH, read_base64_der, read_certificates, require_der


BEGIN, END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


def shaped(size):
    """As many bytes as *size* with the outer shape of a certificate, and nothing inside."""
    length = bytes([0x82, *divmod(size - 4, 256)]) if size > 259 else bytes([0x81, size - 3])
    return (b"\x30" + length + b"\x30").ljust(size, b"\0")


def pem_of(der):
    return f"{BEGIN}\n{b64encode(der).decode()}\n{END}\n"


def refusal(read, value):
    """The message with which *read* refuses *value*."""
    with pytest.raises(InvalidRequest) as caught:
        read(value)
    assert Reason.CERTIFICATE_MALFORMED == caught.value.reason
    return str(caught.value)


@pytest.mark.parametrize("size", [131, 200, 258, 260, 261, 5000, 65_535])
def test_the_outer_shape_of_der(size):
    """Lengths of one and of two bytes are read; one byte less, one more, or another tag is refused."""
    der = shaped(size)
    require_der(der)

    for wrong in (der[:-1], der + b"\0", der + b"\n", b"\x31" + der[1:], der.replace(b"\x30", b"\x31"), der * 2):
        refusal(require_der, wrong)


@pytest.mark.parametrize(
    "der",
    [
        pytest.param(b"\x30\x80\x30" + bytes(297), id="indefinite length"),
        pytest.param(b"\x30\x82\x00\xfb\x30" + bytes(250), id="length of two bytes where one does"),
        pytest.param(b"\x30\x83\x00\x01\x00\x30" + bytes(255), id="length of three bytes"),
        pytest.param(b"\x30\x7e\x30" + bytes(125), id="too small for any certificate"),
        pytest.param(b"\x30\x81\x7d\x30" + bytes(124), id="length of one byte where none is needed"),
        pytest.param(b"\x30\x82\x01\x00\x31" + bytes(255), id="no SEQUENCE inside"),
        pytest.param(b"\x30\x81\xc8\x31" + bytes(199), id="no SEQUENCE inside a small one"),
    ],
)
def test_other_encodings_than_der_are_refused(der):
    """Attack 20: BER spellings of one certificate would have thumbprints of their own."""
    refusal(require_der, der)


@pytest.mark.parametrize("common_name", ["", "c" * 10, "c" * 60])
def test_tiny_certificates_are_read(common_name):
    """Real Ed25519 certificates of fewer than 260 bytes, whose outer length has one byte, are read."""
    key = Ed25519PrivateKey.generate()
    names = [x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)] if common_name else []
    certificate = (
        x509.CertificateBuilder(x509.Name([]), x509.Name(names), key.public_key(), 1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=timezone.utc))
        .not_valid_after(datetime(2040, 1, 1, tzinfo=timezone.utc))
        .sign(key, None)
    )
    der = certificate.public_bytes(Encoding.DER)

    assert len(der) < 260
    assert (der,) == read_certificates(certificate.public_bytes(Encoding.PEM).decode())
    refusal(require_der, der[:-1])
    refusal(require_der, der + b"\0")


def test_bytes_that_are_pem_text_are_named(appendix_a):
    """PEM given as bytes, and DER given as text, say what to do."""
    assert "decode them to str" in refusal(require_der, appendix_a.pem.encode())
    assert "DER as bytes" in refusal(read_certificates, appendix_a.der)


def test_one_certificate_in_its_usual_spellings(appendix_a):
    """Line ends, blank lines around and between, a missing last line end and other line lengths change nothing."""
    body = appendix_a.pem.removeprefix(BEGIN).strip().removesuffix(END)
    spellings = [
        appendix_a.pem,
        appendix_a.pem.strip(),
        appendix_a.pem.replace("\n", "\r\n"),
        "\n\n" + appendix_a.pem + "\n\n\n",
        "\r\n" + appendix_a.pem.replace("\n", "\r\n") + "\r\n",
        pem_of(appendix_a.der),
        f"{BEGIN}\n\n{body}\n{END}\n",
        ssl.DER_cert_to_PEM_cert(appendix_a.der),
    ]

    assert [(appendix_a.der,)] * len(spellings) == [read_certificates(text) for text in spellings]


def test_a_chain_keeps_its_order(appendix_a, tokenbind_client):
    """A chain is read in its order, with or without blank lines between, up to the longest one."""
    leaf = tokenbind_client.peer.der
    longest = appendix_a.pem * MAX_CHAIN_LENGTH

    assert (leaf, appendix_a.der) == read_certificates(tokenbind_client.pem + appendix_a.pem)
    assert (appendix_a.der, leaf) == read_certificates(appendix_a.pem + "\n\r\n" + tokenbind_client.pem)
    assert MAX_CHAIN_LENGTH == len(read_certificates(longest))
    assert "too long" in refusal(read_certificates, longest + appendix_a.pem)


@pytest.mark.parametrize(
    ("spoil", "hint"),
    [
        pytest.param(lambda pem: "CN=mtls\n" + pem, "before, between or after", id="text before"),
        pytest.param(lambda pem: pem + "CN=mtls\n", "before, between or after", id="text after"),
        pytest.param(lambda pem: pem + "# the CA\n" + pem, "before, between or after", id="text between"),
        pytest.param(lambda pem: pem.strip() + pem, "before, between or after", id="blocks on one line"),
        pytest.param(lambda pem: " " + pem, "before, between or after", id="space before"),
        pytest.param(lambda pem: pem + "\t", "before, between or after", id="tab after"),
        pytest.param(lambda pem: "\ufeff" + pem, "before, between or after", id="byte order mark"),
        pytest.param(lambda pem: pem + "\0", "before, between or after", id="NUL after"),
        pytest.param(lambda pem: pem.replace("\n", "\r"), "before, between or after", id="line ends of old"),
        pytest.param(lambda pem: pem.replace("CERTIFICATE", "TRUSTED CERTIFICATE"), "no PEM block", id="trusted"),
        pytest.param(lambda pem: pem.replace("CERTIFICATE", "X509 CERTIFICATE"), "no PEM block", id="x509"),
        pytest.param(lambda pem: pem.replace("-----BEGIN", "----BEGIN"), "no PEM block", id="four dashes"),
        pytest.param(lambda pem: pem.lower(), "no PEM block", id="lower case"),
        pytest.param(lambda pem: "", "no PEM block", id="empty"),
        pytest.param(lambda pem: "\n\r\n", "no PEM block", id="line ends only"),
        pytest.param(lambda pem: pem.replace("CERTIFICATE", "CERTIFICATE REQUEST"), "request", id="request"),
        pytest.param(lambda pem: pem.replace("CERTIFICATE", "PRIVATE KEY"), "private key", id="private key"),
        pytest.param(lambda pem: pem + pem.replace("CERTIFICATE", "EC PRIVATE KEY"), "private key", id="and its key"),
        pytest.param(lambda pem: pem.replace(END, ""), "does not end", id="no end"),
        pytest.param(lambda pem: pem[:-40], "does not end", id="cut off"),
        pytest.param(lambda pem: f"{BEGIN}\n{END}\n", "does not end", id="empty block"),
        pytest.param(lambda pem: f"{BEGIN}\n\n{END}\n", "the DER of one certificate", id="blank block"),
        pytest.param(lambda pem: pem.replace("MIIB", "MIIB!", 1), "base64", id="not base64"),
        pytest.param(lambda pem: pem.replace("MIIB", "MIIB ", 1), "base64", id="space inside"),
        pytest.param(lambda pem: pem.replace("MIIB", "MIIBÄ", 1), "base64", id="not ASCII"),
        pytest.param(lambda pem: pem.replace("SY=", "SY"), "base64", id="padding missing"),
        pytest.param(lambda pem: pem.replace("SY=", "SY=="), "base64", id="padding too long"),
        pytest.param(lambda pem: pem.replace("+SY=", "+SY=AAAA"), "base64", id="data after the padding"),
        pytest.param(lambda pem: pem.replace("MIIB", "MIIC", 1), "the DER of one certificate", id="wrong length"),
        pytest.param(lambda pem: "\n" * 1_000_000, "too long", id="huge"),
    ],
)
def test_pem_that_is_not_strict_is_refused(appendix_a, spoil, hint):
    """Whatever a lenient reader would skip or guess at is refused, with a hint at what it is; the original is read."""
    assert (appendix_a.der,) == read_certificates(appendix_a.pem)
    assert hint in refusal(read_certificates, spoil(appendix_a.pem))


@pytest.mark.parametrize("inside", [b"\0", b"\0\0", b"junk"])
def test_bytes_after_the_certificate_inside_the_base64_are_refused(appendix_a, inside):
    """Attack 20: trailing bytes inside a PEM block or a bare base64 value would change the thumbprint."""
    refusal(read_certificates, pem_of(appendix_a.der + inside))
    refusal(read_base64_der, b64encode(appendix_a.der + inside).decode())
    assert appendix_a.der == read_base64_der(b64encode(appendix_a.der).decode())


pieces = st.sampled_from([BEGIN, END, "\n", "\r\n", "\r", " ", "MIIB", "=", b64encode(shaped(300)).decode(), "Ä", "\0"])
pem_like = st.one_of(st.lists(pieces).map("".join), st.text())


@given(st.one_of(pem_like, st.binary(), st.none(), st.integers()))
def test_read_certificates_is_total(value):
    """Property: a tuple of DERs that are good by themselves, or our own error."""
    try:
        chain = read_certificates(value)
    except InvalidRequest:
        return
    assert chain
    for der in chain:
        require_der(der)


@given(st.lists(st.integers(131, 2000).filter(lambda size: size != 259).map(shaped), min_size=1, max_size=10))
def test_what_is_written_is_read(chain):
    """Property: PEM as the standard library writes it is read back, byte for byte."""
    assert tuple(chain) == read_certificates("".join(ssl.DER_cert_to_PEM_cert(der) for der in chain))


@given(st.binary(max_size=300))
def test_what_does_not_fill_its_length_is_refused(data):
    """Property: nothing but the exact length passes, so no two inputs stand for one certificate."""
    try:
        require_der(data)
    except InvalidRequest:
        return
    for wrong in (data[:-1], data + b"\0"):
        refusal(require_der, wrong)


def test_the_sizes_that_are_remembered_are_bounded():
    """A stranger's certificates can be of any size."""
    for size in range(700):
        with pytest.raises(InvalidRequest):
            require_der(b"x" * size)
        assert 256 >= len(BEGINNINGS_OF_DER)
