"""Who the client is: each method against a server that checks it, and everyone who is not."""

from base64 import b64decode
import json

from hypothesis import given, strategies as st
import pytest

from tokenbind import ClientError, ConfigurationError, GrantError, Reason, SigningKey
from tokenbind.client.client_authentication import ClientSecretBasic, PrivateKeyJWT, prove
from tokenbind.client.grants import ClientCredentials
from tokenbind.tokens.compact import read_base64url, read_compact


SECRETS = ["s3cret", "a:b +&=%", "\u00fc\u20ac~*"]


def refused(grant, client, error="invalid_client", status=401):
    """It gets no token, and the error is the server's."""
    with pytest.raises(GrantError) as caught:
        grant.fetch(client.identity.current())
    assert (error, status) == (caught.value.error, caught.value.status)
    return str(caught.value)


@pytest.mark.parametrize("method", ["tls_client_auth", "self_signed_tls_client_auth"])
def test_the_certificate_says_who_it_is(
    authorization_server, grant_of, tokenbind_client, tokenbind_stranger, caplog, method
):
    """RFC 8705 §2: with the client_id in the form, and nothing else."""
    authorization_server.clients["billing"]["method"] = method
    grant = grant_of(ClientCredentials, authentication=method)
    issued = grant.fetch(tokenbind_client.identity.current())

    assert True is authorization_server.holds(issued.access_token, tokenbind_client)
    assert {"grant_type", "client_id"} == set(dict(authorization_server.forms[0]))
    message = refused(grant, tokenbind_stranger)
    assert message.endswith(f"is the certificate {tokenbind_stranger.thumbprint} registered for client_id 'billing'?")
    message = refused(grant_of(ClientCredentials, client_id="other", authentication=method), tokenbind_client)
    assert message.endswith(f"is the certificate {tokenbind_client.thumbprint} registered for client_id 'other'?")
    assert [] == caplog.records


@pytest.mark.parametrize("algorithm", ["ES256", "PS256", "EdDSA"])
def test_a_jwt_says_who_it_is(authorization_server, grant_of, tokenbind_client, tokenbind_stranger, algorithm):
    """RFC 7523; the token is bound to the certificate that came with it, whoever's it is."""
    key = SigningKey.generate(algorithm)
    authorization_server.clients["billing"] = {"method": "private_key_jwt", "key": key}
    grant = grant_of(ClientCredentials, authentication=PrivateKeyJWT(key))
    for client, thief in ((tokenbind_client, tokenbind_stranger), (tokenbind_stranger, tokenbind_client)):
        issued = grant.fetch(client.identity.current())
        assert True is authorization_server.holds(issued.access_token, client)
        assert Reason.CERTIFICATE_MISMATCH is authorization_server.holds(issued.access_token, thief)
    form = dict(authorization_server.forms[0])
    assert {"grant_type", "client_id", "client_assertion_type", "client_assertion"} == set(form)

    other = PrivateKeyJWT(SigningKey.generate(algorithm, kid=key.kid))
    message = refused(grant_of(ClientCredentials, authentication=other), tokenbind_client)
    assert "the authorization server refused: invalid_client" == message
    refused(grant_of(ClientCredentials), tokenbind_client)
    refused(grant_of(ClientCredentials, authentication=PrivateKeyJWT(key), client_id="other"), tokenbind_client)
    elsewhere = PrivateKeyJWT(key, audience="https://elsewhere.example")
    refused(grant_of(ClientCredentials, authentication=elsewhere), tokenbind_client)


def test_a_jwt_is_for_one_request(authorization_server, grant_of, tokenbind_client, monkeypatch):
    """Sent once more, by whoever saw it, it is refused; we make a new one each time."""
    key = SigningKey.generate()
    authorization_server.clients["billing"] = {"method": "private_key_jwt", "key": key}
    authentication = PrivateKeyJWT(key)
    grant = grant_of(ClientCredentials, authentication=authentication)
    grant.fetch(tokenbind_client.identity.current())
    grant.fetch(tokenbind_client.identity.current())
    first, second = (dict(form)["client_assertion"] for form in authorization_server.forms)
    assert first != second
    monkeypatch.setattr(authentication, "assertion", lambda *_: first)
    refused(grant, tokenbind_client)


def test_what_the_jwt_says():
    """RFC 7523 §3: who, to whom, which one, and for one minute."""
    key = SigningKey.generate(kid="k1")

    def parts(authentication):
        compact = read_compact(authentication.assertion("billing", "https://as.example").encode())
        return json.loads(read_base64url(compact.header)), json.loads(read_base64url(compact.payload))

    header, claims = parts(PrivateKeyJWT(key))
    assert {"alg": "ES256", "typ": "JWT", "kid": "k1"} == header
    assert ("billing", "billing", "https://as.example") == (claims["iss"], claims["sub"], claims["aud"])
    assert 60 == claims["exp"] - claims["iat"]
    assert 22 == len(claims["jti"])
    assert "https://as.example/token" == parts(PrivateKeyJWT(key, audience="https://as.example/token"))[1]["aud"]
    for wrong in ({"audience": ""}, {"audience": 5}):
        with pytest.raises(ConfigurationError, match="audience="):
            PrivateKeyJWT(key, **wrong)
    with pytest.raises(ConfigurationError, match="a key must be"):
        PrivateKeyJWT("-----BEGIN PRIVATE KEY-----")


class FarKey:
    """A key in a KMS, which may be away."""

    def __init__(self, key):
        self.algorithm, self.kid, self.public_jwk = key.algorithm, key.kid, key.public_jwk
        self.key, self.away = key, False

    def sign(self, message):
        if self.away:
            raise ConnectionError("kms.example")
        return self.key.sign(message)


def test_the_key_may_be_elsewhere(authorization_server, grant_of, tokenbind_client):
    """While it is away there is no token, and nothing is sent."""
    key = FarKey(SigningKey.generate())
    authorization_server.clients["billing"] = {"method": "private_key_jwt", "key": key.key}
    grant = grant_of(ClientCredentials, authentication=PrivateKeyJWT(key))
    grant.fetch(tokenbind_client.identity.current())
    key.away = True
    with pytest.raises(ClientError, match="^no token: the signer failed: ConnectionError$") as caught:
        grant.fetch(tokenbind_client.identity.current())
    assert Reason.SIGNER_UNAVAILABLE is caught.value.reason
    assert 1 == len(authorization_server.forms)


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_says_who_it_is(authorization_server, grant_of, tokenbind_client, tokenbind_stranger, secret):
    """RFC 6749 §2.3.1, with a colon in the name too; it is nowhere else in the request."""
    authorization_server.clients["bill:ing"] = {"method": "client_secret_basic", "secret": secret}
    for given_secret in (secret, lambda: secret):
        grant = grant_of(ClientCredentials, client_id="bill:ing", authentication=ClientSecretBasic(given_secret))
        issued = grant.fetch(tokenbind_client.identity.current())
        assert True is authorization_server.holds(issued.access_token, tokenbind_client)
        assert Reason.CERTIFICATE_MISMATCH is authorization_server.holds(issued.access_token, tokenbind_stranger)
        assert [("grant_type", "client_credentials")] == authorization_server.forms[-1]
    for wrong in (ClientSecretBasic(secret + "x"), "tls_client_auth", PrivateKeyJWT(SigningKey.generate())):
        message = refused(grant_of(ClientCredentials, client_id="bill:ing", authentication=wrong), tokenbind_client)
        assert secret not in message


@pytest.mark.parametrize("secret", ["", "s3cret\n", None, b"s3cret", "\ud800"])
def test_what_is_no_secret_is_refused_at_once(secret):
    """Or at the request, if a function gives it; it is not shown."""
    with pytest.raises(ConfigurationError, match="without the line break") as caught:
        ClientSecretBasic(secret)
    assert "s3cret" not in str(caught.value)
    given = "text with the line break that ends its file; strip it" if secret == "s3cret\n" else "no printable text"
    with pytest.raises(
        ClientError, match=f"^the client secret could not be had: its function returned {given}$"
    ) as caught:
        ClientSecretBasic(lambda: secret).secret()
    assert Reason.IDENTITY_UNUSABLE is caught.value.reason
    assert "s3cret" not in str(caught.value)


def test_a_secret_that_cannot_be_had_is_an_error(grant_of, tokenbind_client, authorization_server):
    """Its function's own error is the cause; one of ours is itself."""

    def vault():
        raise LookupError("s3cret")

    with pytest.raises(ClientError, match="the client secret could not be had: .* LookupError$") as caught:
        grant_of(ClientCredentials, authentication=ClientSecretBasic(vault)).fetch(tokenbind_client.identity.current())
    assert isinstance(caught.value.__cause__, LookupError)
    assert [] == authorization_server.forms

    ours = ClientError(Reason.IDENTITY_UNUSABLE, "later", retry_after_seconds=5)

    def throwing():
        raise ours

    with pytest.raises(ClientError) as caught:
        ClientSecretBasic(throwing).secret()
    assert ours is caught.value


def test_what_is_sent_is_not_shown():
    """Proofs are in tracebacks' locals."""
    proof = prove(ClientSecretBasic("s3cret"), "billing", "https://as.example")
    assert "<Proof>" == repr(proof)
    assert "s3cret" in proof.secrets


@given(st.text(), st.text())
def test_any_name_and_secret_can_be_taken_apart_again(client_id, secret):
    """By the first colon."""
    try:
        basic = ClientSecretBasic(secret)
    except ConfigurationError:
        return
    encoded = prove(basic, client_id, "https://as.example").headers["authorization"].removeprefix("Basic ")
    assert 1 == b64decode(encoded).count(b":")
    assert encoded.isascii()
