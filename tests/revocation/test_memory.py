"""`MemoryRevocation`, entry by entry; each entry also leaves its neighbour alone."""

from datetime import datetime, timezone
from typing import NamedTuple

import pytest

from tokenbind import ConfigurationError, InvalidRequest, InvalidToken, Reason
from tokenbind.binding import Confirmation
from tokenbind.revocation import MemoryRevocation
from tokenbind.testing import MovableClock


ISSUER, NOW = "https://as.example", 1_800_000_000
BOUND_TO, PRESENTED = "A" * 43, "Q" * 42 + "A"


class Token(NamedTuple):
    """As much of a verified token as can be revoked."""

    issuer: str = ISSUER
    token_id: str | None = "t1"
    client_id: str | None = "billing"
    subject: str | None = "alice"
    issued_at: float = NOW
    confirmation: Confirmation | None = Confirmation(BOUND_TO)


def at(seconds):
    return datetime.fromtimestamp(seconds, timezone.utc)


TOKEN = Token()


def revoked(revocation, token=TOKEN, presented=PRESENTED):
    """What is revoked about *token*; None if nothing is."""
    try:
        return revocation.check(token, presented)
    except InvalidToken as error:
        return str(error)


@pytest.fixture
def revocation():
    return MemoryRevocation()


def test_nothing_is_revoked(revocation):
    """An empty list lets everything pass, tokens without names too."""
    assert None is revoked(revocation)
    assert None is revoked(revocation, Token(ISSUER, None, None, None, NOW, None), None)


def test_a_token(revocation):
    """One token of one issuer is refused; others, other issuers' and nameless ones are not."""
    revocation.revoke_token(ISSUER, "t1", expires_at=at(NOW + 300))

    with pytest.raises(InvalidToken, match="the token is revoked") as caught:
        revocation.check(TOKEN, None)
    assert Reason.TOKEN_REVOKED is caught.value.reason
    for other in (Token(token_id="t2"), Token(issuer="https://b.example"), Token(token_id=None)):
        assert None is revoked(revocation, other)


@pytest.mark.parametrize("what", ["client", "subject"])
def test_what_was_issued_before(revocation, what):
    """Tokens issued before the time, and within the tolerance after it, are refused; later ones are good."""
    name = {"client": "client_id", "subject": "subject"}[what]
    getattr(revocation, f"revoke_{what}")(ISSUER, "eve", issued_before=at(NOW))
    token = Token(**{name: "eve"})

    for issued_at in (0, NOW - 1, NOW, NOW + 60):
        assert f"the {what} is revoked" == revoked(revocation, token._replace(issued_at=issued_at))
    assert None is revoked(revocation, token._replace(issued_at=NOW + 60.5))
    for other in (Token(), Token(**{name: None}), token._replace(issuer="https://b.example")):
        assert None is revoked(revocation, other)


def test_the_tolerance_can_be_set():
    """With no tolerance, "before" covers the very second and nothing after."""
    revocation = MemoryRevocation(issued_at_tolerance_seconds=0)
    revocation.revoke_client(ISSUER, "billing", issued_before=at(NOW))

    assert "the client is revoked" == revoked(revocation)
    assert None is revoked(revocation, Token(issued_at=NOW + 0.5))


@pytest.mark.parametrize("thumbprint", [BOUND_TO, PRESENTED])
@pytest.mark.parametrize("issuer", [ISSUER, "https://b.example"])
def test_a_certificate(revocation, thumbprint, issuer):
    """A certificate is refused whether the token names it or the peer shows it, and whoever the issuer is."""
    revocation.revoke_certificate(thumbprint)

    assert "the certificate is revoked" == revoked(revocation, Token(issuer=issuer))
    other = "g" * 42 + "A"
    assert None is revoked(revocation, Token(confirmation=None), other)
    assert None is revoked(revocation, Token(confirmation=Confirmation(other)), None)


@pytest.mark.parametrize("text", ["", "A" * 42, "A" * 42 + "B", "a" * 64, None])
def test_a_certificate_that_is_none(revocation, text):
    """A typing error in a thumbprint would revoke nothing, so it is refused."""
    with pytest.raises(InvalidRequest) as caught:
        revocation.revoke_certificate(text)

    assert Reason.CERTIFICATE_MALFORMED is caught.value.reason


def test_what_is_revoked_stays_revoked(revocation):
    """A second entry for an earlier time takes nothing back."""
    for seconds in (NOW, NOW - 10_000):
        revocation.revoke_client(ISSUER, "billing", issued_before=at(seconds))
        revocation.revoke_subject(ISSUER, "bob", issued_before=at(seconds))

    assert "the client is revoked" == revoked(revocation)
    assert "the subject is revoked" == revoked(revocation, Token(subject="bob", client_id="other"))


def test_tokens_are_dropped_a_day_after_they_end():
    """The list does not grow without end: old entries go, those that could still matter stay."""
    clock = MovableClock()
    revocation = MemoryRevocation(clock=clock)
    end = at(clock() + 300)
    for number in range(255):
        revocation.revoke_token(ISSUER, f"old{number}", expires_at=end)
    clock.move(300 + 86_400 + 1)
    revocation.revoke_token(ISSUER, "new", expires_at=at(clock() + 300))

    assert {"new"} == set(revocation._issuers[ISSUER].tokens)
    assert None is revoked(revocation, Token(token_id="old1"))
    assert "the token is revoked" == revoked(revocation, Token(token_id="new"))


def test_entries_that_still_matter_are_kept():
    """While a token might be taken by someone's leeway, its entry is not dropped."""
    clock = MovableClock()
    revocation = MemoryRevocation(clock=clock)
    end = at(clock() + 300)
    clock.move(300 + 86_400)
    for number in range(256):
        revocation.revoke_token(ISSUER, f"t{number}", expires_at=end)

    assert 256 == len(revocation._issuers[ISSUER].tokens)


@pytest.mark.parametrize(
    ("method", "keyword"),
    [("revoke_token", "expires_at"), ("revoke_client", "issued_before"), ("revoke_subject", "issued_before")],
)
def test_times_need_a_timezone(revocation, method, keyword):
    """A time without a timezone would be another one on another machine."""
    with pytest.raises(ConfigurationError, match="timezone"):
        getattr(revocation, method)(ISSUER, "x", **{keyword: at(NOW).replace(tzinfo=None)})
