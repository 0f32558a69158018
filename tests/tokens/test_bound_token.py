"""`BoundToken`: what the application gets."""

from datetime import datetime, timezone

import pytest

from tokenbind import BindingPolicy, InsufficientScope, Reason


@pytest.fixture
def bound(tokenbind_kit, tokenbind_client):
    token = tokenbind_kit.mint(
        tokenbind_client,
        subject="alice",
        audience=["https://api.example", "https://b.example"],
        scope="invoices:read invoices:write",
        claims={"tenant": "t1"},
    )
    return tokenbind_kit.verifier.verify(token, tokenbind_client.peer)


def test_properties(bound, tokenbind_client, tokenbind_clock):
    """Each property is the claim of its name, in Python's types."""
    now = datetime.fromtimestamp(tokenbind_clock(), timezone.utc)

    assert ("https://as.example", "alice", "client") == (bound.issuer, bound.subject, bound.client_id)
    assert ("https://api.example", "https://b.example") == bound.audience
    assert frozenset({"invoices:read", "invoices:write"}) == bound.scopes
    assert (now, 300) == (bound.issued_at, (bound.expires_at - now).total_seconds())
    assert (timezone.utc, timezone.utc) == (bound.issued_at.tzinfo, bound.expires_at.tzinfo)
    assert (tokenbind_client.thumbprint, None) == (bound.thumbprint, bound.binding_refusal)
    assert ("t1", bound.token_id) == (bound.claims["tenant"], bound.claims["jti"])


@pytest.mark.parametrize("name", ["subject", "scopes", "thumbprint", "claims", "binding_refusal", "trusted"])
def test_it_is_immutable(bound, name):
    """Nothing of it can be set, and nothing added."""
    with pytest.raises(AttributeError):
        setattr(bound, name, "root")


@pytest.mark.parametrize("scopes", [("invoices:read",), ("invoices:write", "invoices:read")])
def test_scopes_that_are_there(bound, scopes):
    """All the scopes that are asked for are there."""
    assert None is bound.require_scope(*scopes) is bound.scope_refusal


@pytest.mark.parametrize(
    "scopes",
    [("invoices",), ("invoices:READ",), ("",), ("invoices:read", "admin"), ("invoices:read invoices:write",), ("*",)],
)
def test_scopes_that_are_not_there(bound, scopes):
    """Scopes are compared exactly; one that is missing refuses the request, the error names all, and it is noted."""
    with pytest.raises(InsufficientScope) as caught:
        bound.require_scope(*scopes)

    assert (Reason.SCOPE_INSUFFICIENT, scopes) == (caught.value.reason, caught.value.required)
    assert scopes == bound.scope_refusal.required


def test_what_revocation_is_asked_about_shows_no_claims(verifier_of, tokenbind_kit, tokenbind_client):
    """It is handed to code of the application's, which may log it."""
    shown = []

    class Curious:
        def check(self, token, presented):
            shown.append(repr(token))

    verifier_of(revocation=Curious()).verify(
        tokenbind_kit.mint(tokenbind_client, claims={"salary": "much"}), tokenbind_client.peer
    )

    assert "for 'client'" in shown[0]
    assert "salary" not in shown[0]


def test_repr(bound, tokenbind_kit, tokenbind_client):
    """The repr says who, and whether anything was proven; with line ends made harmless."""
    assert f"<BoundToken {bound.token_id!r} for 'client', bound to {bound.thumbprint}>" == repr(bound)

    token = tokenbind_kit.sign(tokenbind_kit.claims(tokenbind_client, cnf=..., jti="x\r\ny"))
    unbound = tokenbind_kit.verifier.with_binding(BindingPolicy.WHEN_PRESENT).verify(token, tokenbind_client.peer)
    assert r"<BoundToken 'x\r\ny' for 'client', NOT bound>" == repr(unbound)
