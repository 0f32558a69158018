"""`RemoteKeySet`: which of the published keys verify which token, and where they may be published."""

from cryptography.hazmat.primitives.asymmetric import ed448
import jwt
import pytest

from tokenbind import Reason, SigningKey, Unavailable
from tokenbind.testing import BindingKit

from .issuing_server import IssuingServer, document, eventually


@pytest.fixture
def issuer(tokenbind_kit):
    with IssuingServer(tokenbind_kit) as server:
        yield server


@pytest.fixture
def publishing(issuer):
    """A function of keys, which are published, and a verifier that fetches whenever it is asked."""
    verifier = issuer.verifier(issuer.keys(cooldown_seconds=1e-6))

    def publish(*keys):
        issuer.publish(*keys)
        verifier._keys.refetch(None)
        try:
            verifier._keys.refetch(verifier._keys.current())
        except Unavailable:
            pass
        return verifier

    return publish


def without(jwk, *names):
    return {name: value for name, value in jwk.items() if name not in names}


def test_a_hundred_keys_and_no_more(issuer, publishing):
    """The hundredth counts, and what comes after is not looked at."""
    hundred = [SigningKey.generate("EdDSA") for _ in range(100)]
    verifier = publishing(*hundred)
    assert issuer.accepts(verifier, issuer.mint(hundred[99]))
    assert 200 == len(verifier.describe()["keys"]["keys"])  # EdDSA and Ed25519

    verifier = publishing(*hundred[1:], SigningKey.generate(), issuer.key)
    assert Reason.KEY_UNKNOWN is issuer.refuses(verifier, issuer.mint())
    assert "more than 100 keys" in verifier.describe()["keys"]["problem"]
    assert issuer.accepts(verifier, issuer.mint(hundred[99]))


@pytest.mark.parametrize("content_type", ["application/jwk-set+json", "text/plain", "text/html", "x", ""])
def test_the_content_type_does_not_matter(issuer, content_type):
    """Many serve their keys as whatever their web server thinks."""
    issuer.answer = document({"keys": [issuer.key.public_jwk]}, f"Content-Type: {content_type}")

    assert issuer.accepts(issuer.verifier(issuer.keys()), issuer.mint())


def test_another_key_type_under_the_same_kid(issuer, publishing):
    """What was known of the old key is forgotten, and neither passes for the other."""
    ec, okp = SigningKey.generate(kid="k"), SigningKey.generate("EdDSA", kid="k")
    verifier = publishing(ec)
    old, new = issuer.mint(ec), issuer.mint(okp)
    assert issuer.accepts(verifier, old)
    assert Reason.ALGORITHM_REFUSED is issuer.refuses(verifier, new)

    publishing(okp)
    assert issuer.accepts(verifier, new)
    assert Reason.ALGORITHM_REFUSED is issuer.refuses(verifier, old)
    other = SigningKey.generate(kid="k")
    publishing(other)
    assert issuer.accepts(verifier, issuer.mint(other))
    assert Reason.SIGNATURE_INVALID is issuer.refuses(verifier, old)


def test_ed448_under_eddsa(issuer, publishing, caplog):
    """EdDSA means Ed25519 here; a key of the other curve is not for us, and no error."""
    jwk = jwt.algorithms.OKPAlgorithm.to_jwk(ed448.Ed448PrivateKey.generate().public_key(), as_dict=True)
    key = SigningKey.generate("EdDSA", kid="k")
    verifier = publishing({**jwk, "kid": "k", "alg": "EdDSA", "use": "sig"}, key)

    assert issuer.accepts(verifier, issuer.mint(key))
    assert [{"kid": "k", "alg": "Ed25519"}, {"kid": "k", "alg": "EdDSA"}] == verifier.describe()["keys"]["keys"]
    assert "" == caplog.text


def test_one_kid_for_several_keys(issuer, publishing, key_for, caplog):
    """They are told apart by type, algorithm and use (RFC 7517 §4.5)."""
    ec = SigningKey.generate(kid="k")
    okp = SigningKey.generate("EdDSA", kid="k")
    ps256 = SigningKey(key_for("PS256")._private_key, kid="k")
    encryption = SigningKey.generate(kid="k").public_jwk | {"use": "enc"}
    verifier = publishing(encryption, without(okp.public_jwk, "alg", "use"), ps256, without(ec.public_jwk, "use"))

    for key in (ec, okp, ps256):
        assert issuer.accepts(verifier, issuer.mint(key))
    assert "" == caplog.text


def test_two_keys_that_cannot_be_told_apart(issuer, publishing, caplog):
    """The first counts, and it is logged."""
    first, second = SigningKey.generate(kid="k"), SigningKey.generate(kid="k")
    verifier = publishing(first, second)

    assert issuer.accepts(verifier, issuer.mint(first))
    assert Reason.SIGNATURE_INVALID is issuer.refuses(verifier, issuer.mint(second))
    assert "two keys for ES256 with the same kid" in caplog.text


def problem(issuer, verifier):
    with pytest.raises(Unavailable) as caught:
        verifier.verify(issuer.mint(), issuer.client.peer)
    assert "/jwks" not in issuer.requests
    return str(caught.value)


@pytest.mark.parametrize("named", ["https://as.example", None, "{url}/", ["{url}"]])
def test_metadata_of_another_issuer(issuer, named):
    """Mix-up: they are not taken (RFC 8414 §3.3), and their keys are not fetched."""
    issuer.metadata["issuer"] = named.replace("{url}", issuer.url) if isinstance(named, str) else named

    assert "is the metadata of the issuer" in problem(issuer, issuer.discovering())


@pytest.mark.parametrize("jwks_uri", [None, "http://127.0.0.1/jwks", "https://a@127.0.0.1/jwks", 7, "/jwks"])
def test_metadata_without_a_good_jwks_uri(issuer, jwks_uri):
    """It must be an https URL."""
    issuer.metadata["jwks_uri"] = jwks_uri

    assert "jwks_uri" in problem(issuer, issuer.discovering())


def test_keys_elsewhere(issuer):
    """On another host, they are taken only if it is allowed."""
    with IssuingServer(issuer.kit) as elsewhere:
        issuer.metadata["jwks_uri"] = f"{elsewhere.url}/jwks"
        elsewhere.publish(issuer.key)
        assert "name it in allowed_hosts=" in problem(issuer, issuer.discovering())
        assert [] == elsewhere.requests

        allowed = [elsewhere.url.removeprefix("https://")]
        assert issuer.accepts(issuer.discovering(allowed_hosts=allowed), issuer.mint())
        assert ["/jwks"] == elsewhere.requests


def test_a_jwks_uri_that_moves_is_followed_within_bounds(issuer):
    """The metadata are read at every refresh; what leads elsewhere changes nothing."""
    verifier = issuer.discovering(refresh_seconds=0.05)
    assert issuer.accepts(verifier, issuer.mint())
    issuer.metadata = issuer.metadata | {"jwks_uri": f"{issuer.url}/new"}
    issuer.wait_for_requests(eventually(lambda: "/new" in issuer.requests and len(issuer.requests)))
    assert issuer.accepts(verifier, issuer.mint())
    issuer.metadata = issuer.metadata | {"jwks_uri": "https://evil.example/jwks"}

    assert "is on another host" in eventually(lambda: verifier.describe()["keys"]["problem"])
    assert issuer.accepts(verifier, issuer.mint())


def test_a_name_that_is_not_the_address(issuer):
    """``address=`` is where it is reached; the name in tokens and metadata stays."""
    name = "https://keycloak.example/realms/shop"
    verifier = issuer.discovering(issuer=name, address=issuer.url)
    issuer.metadata = {"issuer": name, "jwks_uri": f"{name}/jwks"}
    token = issuer.mint(issuer=name)

    assert issuer.accepts(verifier, token)
    assert ["/.well-known/oauth-authorization-server/realms/shop", "/realms/shop/jwks"] == issuer.requests
    assert Reason.ISSUER_MISMATCH is issuer.refuses(verifier, issuer.mint())


def test_a_server_of_another_ca(issuer):
    """It is not asked for anything."""
    verifier = issuer.discovering(ca=BindingKit().ca_pem)

    with pytest.raises(Unavailable, match="certificate"):
        verifier.verify(issuer.mint(), issuer.client.peer)
    assert [] == issuer.requests
