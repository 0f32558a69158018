"""Attacks 43-45, 57, 59 and 60 on the token, where a row of the table does not say it all."""

import json
import socket
from types import SimpleNamespace

import pytest

from tokenbind import InvalidToken, KeySet, Reason, SigningKey, TokenIssuer, TokenVerifier

from .asserting import assert_refused, asynchronous, sync


@pytest.mark.parametrize(
    "member",
    [
        pytest.param({"cnf": "jku"}, id="attack-9-cnf-jku"),
        *(pytest.param({"header": name}, id=f"attack-43-{name}") for name in ("jku", "x5u")),
    ],
)
def test_nothing_is_fetched(kit, member):
    """Attacks 9 and 43: an address in a token is not called."""
    client = kit.client()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        claims = kit.claims(client)
        if "cnf" in member:
            claims["cnf"]["jku"] = url
        header = {member["header"]: url} if "header" in member else {}
        token = kit.sign(claims, header=header, key=kit.foreign_key_with_our_kid if header else None)
        with pytest.raises(InvalidToken):
            kit.verifier.verify(token, client.peer)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_attack_44_one_kid_for_two_keys(kit):
    """Attack 44: of keys with one kid, the algorithm chooses; each verifies its own signatures only."""
    client = kit.client()
    ec, rsa = (SigningKey.generate(name, kid="same") for name in ("ES256", "PS256"))
    verifier = TokenVerifier(
        issuer=kit.issuer.issuer,
        audience=kit.audience,
        keys=KeySet.from_jwks({"keys": [ec.public_jwk, rsa.public_jwk]}),
        clock=kit.clock,
    )
    for key in (ec, rsa):
        assert client.thumbprint == verifier.verify(kit.sign(kit.claims(client), key=key), client.peer).thumbprint
    for key, other in ((ec, rsa), (rsa, ec)):
        token = kit.sign(kit.claims(client), key=key, header={"alg": other.algorithm})
        assert_refused(Reason.SIGNATURE_INVALID, verifier, token, client.peer)


def test_attack_45_keys_belong_to_their_issuer(kit):
    """Attack 45: what issuer B may sign, it may not sign in the name of A, nor A in the name of B."""
    client = kit.client()
    issuer_b = TokenIssuer("https://issuer-b.example", kit.foreign_key, clock=kit.clock)
    keys_b = KeySet.from_jwks(issuer_b.jwks())
    verifier_b = TokenVerifier(issuer=issuer_b.issuer, audience=kit.audience, keys=keys_b, clock=kit.clock)
    token_b = issuer_b.mint(client.peer, client_id="client", audience=kit.audience)
    assert client.thumbprint == verifier_b.verify(token_b, client.peer).thumbprint
    assert_refused(Reason.KEY_UNKNOWN, kit.verifier, token_b, client.peer)
    in_the_name_of_a = kit.sign(kit.claims(client), key=kit.foreign_key)
    assert_refused(Reason.ISSUER_MISMATCH, verifier_b, in_the_name_of_a, client.peer)
    assert_refused(Reason.KEY_UNKNOWN, kit.verifier, in_the_name_of_a, client.peer)
    in_the_name_of_b = kit.sign(kit.claims(client, iss=issuer_b.issuer))
    assert_refused(Reason.KEY_UNKNOWN, verifier_b, in_the_name_of_b, client.peer)


@pytest.mark.parametrize("verify", [sync, asynchronous])
@pytest.mark.parametrize("as_type", [str, str.encode], ids=["attack-60-str", "attack-60-bytes"])
def test_attack_60_before_any_parsing(kit, verify, as_type):
    """Attack 60: of a token over the limit, no signature is checked and no key looked up; one below it gets there."""
    client = kit.client()

    class Asked(Exception):
        pass

    def find(kid, algorithm):
        raise Asked

    keys = SimpleNamespace(find=find, retains=bool, refetch=bool)
    keys.current = lambda: keys
    verifier = TokenVerifier(issuer=kit.issuer.issuer, audience=kit.audience, keys=keys)
    tokens = {size: as_type(kit.sign(kit.claims(client, filler="f" * size))) for size in (11_000, 12_500)}
    assert len(tokens[11_000]) < 16_384 < len(tokens[12_500])
    with pytest.raises(Asked):
        verify(verifier, tokens[11_000], client.peer)
    assert_refused(Reason.TOKEN_MALFORMED, verifier, tokens[12_500], client.peer, verify)


@pytest.mark.parametrize("depth", [pytest.param(depth, id=f"attack-57-{depth}") for depth in (30, 31, 3_000, 5_900)])
def test_deep_but_well_formed(kit, depth):
    """Attack 57: well-formed nesting is read up to 32 levels, and refused beyond."""
    client = kit.client()
    text = json.dumps(kit.claims(client))
    token = kit.sign(f'{text[:-1]}, "deep": {"[" * depth}{"]" * depth}}}'.encode())
    try:
        outcome = kit.verifier.verify(token, client.peer).thumbprint
    except InvalidToken as error:
        outcome = error.reason
    assert outcome == (client.thumbprint if depth < 32 else Reason.TOKEN_MALFORMED)


@pytest.mark.parametrize(
    "junk", [None, 1, bytearray(b"a.b.c"), memoryview(b"a.b.c"), [], "\ud800.b.c", b"\xff.\xff.\xff"]
)
def test_attack_59_no_token_at_all(kit, junk):
    """Attack 59: whatever is given for a token, the answer is our own error."""
    assert_refused(Reason.TOKEN_MALFORMED, kit.verifier, junk, kit.client().peer)
