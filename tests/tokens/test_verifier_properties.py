"""Properties of `TokenVerifier`: it is total, and one token has one spelling."""

import json

from hypothesis import given, strategies as st
import pytest

from tokenbind import InvalidToken
from tokenbind.testing import BindingKit
from tokenbind.tokens.compact import base64url


KIT = BindingKit()
PEER = KIT.client().peer
TOKEN = KIT.mint(KIT.client())
CLAIMS = KIT.claims(KIT.client())
HEADER, PAYLOAD, SIGNATURE = TOKEN.split(".")

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=5,
)
headers = st.fixed_dictionaries({}, optional=dict.fromkeys(["alg", "kid", "typ", "crit", "b64"], json_values))
segments = st.sampled_from(TOKEN.split(".")) | st.binary().map(lambda data: base64url(data).decode()) | st.text()
anything = st.one_of(
    st.text(),
    st.binary(),
    st.lists(segments, min_size=2, max_size=4).map(".".join),
    st.integers(0, len(TOKEN) - 1).flatmap(
        lambda at: st.characters().map(lambda character: TOKEN[:at] + character + TOKEN[at + 1 :])
    ),
    headers.map(lambda header: f"{base64url(json.dumps(header).encode()).decode()}.{PAYLOAD}.{SIGNATURE}"),
)


@given(anything)
def test_verify_is_total(token):
    """Property: every text and all bytes but the token as it was minted are refused, with InvalidToken."""
    try:
        KIT.verifier.verify(token, PEER)
    except InvalidToken:
        assert token != TOKEN
    else:
        assert token == TOKEN


@given(st.dictionaries(st.sampled_from([*CLAIMS, "nbf"]), json_values))
def test_whatever_the_issuer_signs(changes):
    """Property: claims of any type, well signed, give a bound token with the peer's thumbprint, or InvalidToken."""
    token = KIT.sign({**CLAIMS, **changes})
    try:
        assert KIT.verifier.verify(token, PEER).thumbprint == PEER.thumbprint
    except InvalidToken:
        assert changes


@given(st.binary(), st.booleans())
def test_whatever_bytes_the_issuer_signs(data, as_header):
    """Property: the same for a payload, and for a header, that are any bytes at all."""
    token = KIT.sign(CLAIMS, header=data) if as_header else KIT.sign(data)
    with pytest.raises(InvalidToken):
        KIT.verifier.verify(token, PEER)
