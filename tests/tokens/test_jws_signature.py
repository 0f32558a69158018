"""`jws_signature`: from DER, as most KMS give ECDSA signatures, to the form of JWS; total."""

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import example, given, strategies as st
import pytest

from tokenbind import ConfigurationError
from tokenbind.tokens import jws_signature
from tokenbind.tokens.algorithms import ALGORITHMS

from .signers import in_der


ECDSA = [name for name, algorithm in ALGORITHMS.items() if algorithm.kty == "EC"]


@given(st.binary(max_size=200), st.sampled_from(ECDSA))
@example(b"", "ES256")
@example(encode_dss_signature(0, 0), "ES256")
@example(encode_dss_signature(2**256, 1), "ES256")
@example(encode_dss_signature(1, 2**256), "ES256")
@example(encode_dss_signature(1, 2**528), "ES512")
@example(encode_dss_signature(1, 1) + b"\0", "ES384")
@example(bytes.fromhex("3006020180020101"), "ES256")  # a negative r
def test_jws_signature_is_total(der, algorithm):
    """Property: r and s of their length, which make the same DER again, or our own error."""
    try:
        signature = jws_signature(der, algorithm)
    except ConfigurationError:
        return
    assert 2 * ALGORITHMS[algorithm].size == len(signature)
    assert der == in_der(signature)


@given(st.sampled_from(ECDSA), st.data())
def test_jws_signature_of_every_pair(algorithm, data):
    """Property: what fits into the length comes out as it is; a bit more is refused."""
    size = ALGORITHMS[algorithm].size
    r, s = (data.draw(st.integers(0, 256**size - 1)) for _ in "rs")

    assert r.to_bytes(size) + s.to_bytes(size) == jws_signature(encode_dss_signature(r, s), algorithm)
    for larger in ((r + 256**size, s), (r, s + 256**size)):
        with pytest.raises(ConfigurationError):
            jws_signature(encode_dss_signature(*larger), algorithm)


@pytest.mark.parametrize("der", [None, "x", 7, [], encode_dss_signature(0, 0)])
def test_jws_signature_of_something_else(der):
    """The wrong type, an algorithm that has no DER, and one that does not exist."""
    for algorithm, hint in (("PS256", "the same in JWS"), ("EdDSA", "the same in JWS"), ("HS256", "must be one of")):
        with pytest.raises(ConfigurationError, match=hint):
            jws_signature(der, algorithm)
    if type(der) is not bytes:
        with pytest.raises(ConfigurationError, match="in DER"):
            jws_signature(der, "ES256")
