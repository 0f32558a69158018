"""`tokenbind explain` is total: whatever the token and the certificate are, it is an explanation or one sentence."""

from contextlib import redirect_stderr, redirect_stdout
import io
import json
from pathlib import Path

from hypothesis import given, settings, strategies as st
import pytest

from tokenbind.cli import main
from tokenbind.testing import BindingKit
from tokenbind.tokens.compact import base64url


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = (
    "cnf",
    "act",
    "iss",
    "aud",
    "exp",
    "iat",
    "nbf",
    "typ",
    "ver",
    "tid",
    "events",
    "nonce",
    "sub",
    "azp",
    "x5t#S256",
)
HEADERS = st.dictionaries(st.sampled_from(("alg", "kid", "typ", "cnf", "crit", "x5t#S256")), JSON)
CLAIMS = st.dictionaries(st.sampled_from(NAMES), JSON)
CNF = JSON | st.dictionaries(
    st.sampled_from(("x5t#S256", "x5t", "jkt", "osc")),
    JSON | st.text("abcdefABCDEF0123456789+/-_=:% \n", max_size=100) | st.binary(max_size=70).map(bytes.hex),
)
EVERYTHING = ["--jwks", "jwks.json", "--issuer", "https://as.example", "--audience", "https://api.example"]


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    """One kit for all examples, and the current folder with client.pem and jwks.json."""
    kit = BindingKit()
    folder = tmp_path_factory.mktemp("explain")
    kit.client().write(folder)
    (folder / "jwks.json").write_text(json.dumps(kit.issuer.jwks()))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield kit


def segment(value):
    return base64url(json.dumps(value).encode()).decode()


@settings(deadline=None)
@given(token=st.text(max_size=200) | st.text("ey.=Bar \"'", max_size=40))
def test_any_text(kit, explain, token):
    """Is not a match."""
    assert 1 == explain(token, "--cert", "client.pem", *EVERYTHING).status


@settings(deadline=None)
@given(header=HEADERS | JSON, claims=CLAIMS | JSON, signature=st.text(max_size=5))
def test_any_json(kit, explain, header, claims, signature):
    """Has an explanation too."""
    token = f"{segment(header)}.{segment(claims)}.{signature}"
    assert 1 == explain(token, "--cert", "client.pem", *EVERYTHING).status


@settings(deadline=None)
@given(cnf=CNF, also=st.sampled_from(([], ["--also", "client.pem"])))
def test_any_confirmation(kit, explain, cnf, also):
    """Of a token that is good but for it; explain and verify agree."""
    found = explain(kit.sign(kit.claims(kit.client(), cnf=cnf)), "--cert", "client.pem", *also, *EVERYTHING)
    assert 1 == found.status
    assert set(found.findings) <= {"token_malformed"}  # Infinity is no JSON
    assert found.causes != ["refused"]
    assert not found.report["verify"]["verified"]


@settings(deadline=None)
@given(
    content=st.binary(max_size=300)
    | st.binary(min_size=256, max_size=256).map(lambda rest: b"0\x82\x01\x01\x30" + rest)
)
def test_any_certificate(kit, explain, content):
    """Either one that is not the token's, or status 2."""
    Path("any.der").write_bytes(content)
    token = kit.mint(kit.client())
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()) as sentence:
        status = main(["explain", token, "--cert", "client.pem", "--also", "any.der"])
    if status == 2:
        assert sentence.getvalue().startswith("tokenbind: any.der: not a certificate")
    else:
        assert ["unknown_certificate"] == explain(token, "--cert", "any.der").causes
        assert ["matches"] == explain(token, "--cert", "client.pem", "--also", "any.der").causes
