"""The last look at a token before it is sent."""

from contextlib import suppress

from hypothesis import given, strategies as st
import pytest

from tokenbind import ClientError, Reason
from tokenbind.client.binding_check import require_token_of
from tokenbind.testing import BindingKit


KIT = BindingKit()
IDENTITY = KIT.client().identity.current()
TOKEN = KIT.mint(KIT.client())


@pytest.mark.parametrize("check", ["auto", "require", "off"])
def test_a_token_for_this_certificate_passes(check):
    """In every mode."""
    require_token_of(TOKEN, IDENTITY, check)


@pytest.mark.parametrize("check", ["auto", "require", "off"])
@pytest.mark.parametrize("change", ["{}\n", "{} ", "{}\u00e4", "{}\r\nX: y", "", None, b"bytes"])
def test_what_cannot_stand_in_a_header_is_refused_and_not_quoted(change, check):
    """A token read from a file with its line end would be quoted whole in http.client's error."""
    given = change.format(TOKEN) if isinstance(change, str) else change
    with pytest.raises(ClientError) as caught:
        require_token_of(given, IDENTITY, check)

    assert Reason.TOKEN_MALFORMED is caught.value.reason
    assert TOKEN not in repr(caught.value) + repr(caught.value.__context__)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"cnf": ...}, Reason.TOKEN_UNBOUND),
        ({"cnf": None}, Reason.CONFIRMATION_MALFORMED),
        ({"cnf": {}}, Reason.CONFIRMATION_MALFORMED),
        ({"cnf": {"jkt": "x"}}, Reason.CONFIRMATION_UNSUPPORTED),
        ({"cnf": {"x5t#S256": "x"}}, Reason.CONFIRMATION_MALFORMED),
        ({"cnf": {"x5t#S256": KIT.client("stranger").thumbprint}}, Reason.CERTIFICATE_MISMATCH),
    ],
)
def test_what_can_be_seen_not_to_fit_is_refused(changes, reason):
    """Unless nobody looks."""
    token = KIT.sign(KIT.claims(KIT.client(), **changes))
    for check in ("auto", "require"):
        with pytest.raises(ClientError) as caught:
            require_token_of(token, IDENTITY, check)
        assert reason is caught.value.reason
        assert token not in str(caught.value)
    require_token_of(token, IDENTITY, "off")


@pytest.mark.parametrize("token", ["opaque", "a.b.c", "e30.W10.e30", "e30.e30", "a.b.c.d.e"])
def test_of_an_opaque_token_nothing_can_be_seen(token):
    """It passes on trust, or not at all."""
    require_token_of(token, IDENTITY)
    require_token_of(token, IDENTITY, "off")
    with pytest.raises(ClientError, match="opaque") as caught:
        require_token_of(token, IDENTITY, "require")
    assert Reason.TOKEN_UNBOUND is caught.value.reason


@given(st.text() | st.binary() | st.from_regex(r"[A-Za-z0-9._~+/=-]{0,40}", fullmatch=True))
def test_any_text_passes_or_is_our_error(token):
    """Whatever a server gives."""
    for check in ("auto", "require", "off"):
        with suppress(ClientError):
            require_token_of(token, IDENTITY, check)
