"""The ``cnf`` claim: read strictly, and written as it is read (RFC 7800, RFC 8705 §3.1)."""

import copy
import pickle

from hypothesis import given, strategies as st
import pytest

from tokenbind import InvalidToken, PeerCertificate, Reason
from tokenbind.binding import Confirmation


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text() | st.just("x5t#S256"), children),
    max_leaves=8,
)


def refusal(cnf):
    """The reason for which *cnf* is refused."""
    with pytest.raises(InvalidToken) as caught:
        Confirmation.from_claims({"cnf": cnf})
    return caught.value.reason


def test_round_trip(appendix_a):
    """The confirmation of a certificate is written as the RFC's example, and read back."""
    confirmation = Confirmation.of(PeerCertificate.from_der(appendix_a.der))

    assert {"x5t#S256": appendix_a.thumbprint} == confirmation.to_cnf()
    assert confirmation == Confirmation.from_claims({"cnf": confirmation.to_cnf()})
    assert appendix_a.thumbprint == confirmation.thumbprint


def test_equality_hash_and_repr(appendix_a):
    """Equal are confirmations of one thumbprint; nothing else is equal to one."""
    one, same, other = (Confirmation(text) for text in (appendix_a.thumbprint, appendix_a.thumbprint, "A" * 43))

    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert one != appendix_a.thumbprint
    assert f"<Confirmation x5t#S256={appendix_a.thumbprint}>" == repr(one)
    assert one == pickle.loads(pickle.dumps(one)) == copy.deepcopy(one)
    with pytest.raises(AttributeError):
        one.thumbprint = other.thumbprint


def test_absent_is_not_malformed():
    """Only a token without any ``cnf`` is unbound (attack 12: thumbprints in other places are not looked at)."""
    assert None is Confirmation.from_claims({})
    assert None is Confirmation.from_claims({"x5t#S256": "A" * 43, "act": {"cnf": {"x5t#S256": "A" * 43}}, "CNF": {}})


@pytest.mark.parametrize("cnf", [None, {}, [], "", "A" * 43, 0, 1, True, False, 1.5, [{"x5t#S256": "A" * 43}]])
def test_cnf_that_is_no_object(cnf):
    """Attack 5: a ``cnf`` of another type, or an empty one, is malformed; never "unbound"."""
    assert Reason.CONFIRMATION_MALFORMED is refusal(cnf)


@pytest.mark.parametrize("value", [None, [], "", {}, 0, 43, True, ["A" * 43], {"x5t#S256": "A" * 43}])
def test_thumbprint_that_is_no_text(value):
    """Attack 6: another type in place of the thumbprint is malformed."""
    assert Reason.CONFIRMATION_MALFORMED is refusal({"x5t#S256": value})


@pytest.mark.parametrize("spoil", ["{}=", "{}\n", " {}", "{}A", "{:.42}", "{:.42}1", "{:.42}+", "{:.42}/", "{:.42}é"])
def test_thumbprint_spelled_otherwise(appendix_a, spoil):
    """Attacks 13 to 15: the right thumbprint in another spelling is malformed."""
    assert Reason.CONFIRMATION_MALFORMED is refusal({"x5t#S256": spoil.format(appendix_a.thumbprint)})


@pytest.mark.parametrize("method", ["jkt", "jwk", "jwe", "jku", "kid"])
@pytest.mark.parametrize("value", ["x", None, {}])
def test_a_second_key_is_never_ignored(appendix_a, method, value):
    """Attacks 7 to 9: a key that a certificate cannot prove refuses the token, even beside the right thumbprint."""
    assert Reason.CONFIRMATION_UNSUPPORTED is refusal({method: value})
    assert Reason.CONFIRMATION_UNSUPPORTED is refusal({"x5t#S256": appendix_a.thumbprint, method: value})


@pytest.mark.parametrize("member", ["kc-jkt-type", "x5t#uri", "x5t", "osc", "JKT", ""])
def test_unknown_members_are_ignored(appendix_a, member):
    """Attack 10: RFC 7800 §3.1 has members that are not understood ignored; alone, they are no binding."""
    assert (
        Confirmation(appendix_a.thumbprint)
        == Confirmation.from_claims({"cnf": {member: "x", "x5t#S256": appendix_a.thumbprint}})
    )  # fmt: skip
    assert Reason.CONFIRMATION_UNSUPPORTED is refusal({member: "x"})


@pytest.mark.parametrize("name", ["x5t", "x5t#s256", "X5T#S256", "x5t#SHA256", "x5t#S512", "x5t#S256 ", "x5t#S256\0"])
def test_near_misses_of_the_name(appendix_a, name):
    """Attack 11: a name that only looks like ``x5t#S256`` binds nothing, and the token is refused."""
    assert Reason.CONFIRMATION_UNSUPPORTED is refusal({name: appendix_a.thumbprint})


@given(json_values)
def test_from_claims_is_total(cnf):
    """Property: whatever JSON stands in ``cnf``, a confirmation comes out, or one of two reasons; never None."""
    try:
        outcome = Confirmation.from_claims({"cnf": cnf})
    except InvalidToken as error:
        outcome = error.reason

    if isinstance(outcome, Confirmation):
        assert cnf["x5t#S256"] == outcome.thumbprint
    else:
        assert outcome in {Reason.CONFIRMATION_MALFORMED, Reason.CONFIRMATION_UNSUPPORTED}
