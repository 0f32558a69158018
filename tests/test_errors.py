"""The tree of errors: what each says to programs, and that none says a secret."""

import pickle
import re

import pytest

import tokenbind.errors
from tokenbind.errors import (
    ClientError,
    ConfigurationError,
    GrantError,
    IdentityError,
    InsufficientScope,
    InvalidRequest,
    InvalidToken,
    OriginRefused,
    Reason,
    TokenBindError,
    TooEarly,
    Unavailable,
)


REMOTE = [
    (InvalidRequest(Reason.TOKEN_IN_QUERY, "m"), 400, "invalid_request", TokenBindError),
    (TooEarly(Reason.EARLY_DATA, "m"), 425, "invalid_request", InvalidRequest),
    (InvalidToken(Reason.TOKEN_EXPIRED, "m"), 401, "invalid_token", TokenBindError),
    (InvalidToken(Reason.TOKEN_MISSING, "m"), 401, None, TokenBindError),
    (InsufficientScope(("a", "b")), 403, "insufficient_scope", TokenBindError),
    (Unavailable(Reason.REVOCATION_UNAVAILABLE, "m"), 503, None, TokenBindError),
]


@pytest.mark.parametrize(("error", "status", "code", "base"), REMOTE)
def test_refusals_of_requests(error, status, code, base):
    """Each has the HTTP status and the registered code of RFC 6750 §3.1; without a token there is no code."""
    assert (status, code) == (error.status, error.error_code)
    assert isinstance(error, base)
    assert isinstance(error.reason, Reason)


def test_a_refusal_says_why():
    """The message is for a person, the reason for a program."""
    error = InvalidRequest(Reason.TOKEN_IN_QUERY, "the token stands in the query")

    assert ("the token stands in the query", Reason.TOKEN_IN_QUERY) == (str(error), error.reason)
    assert "token_in_query" == error.reason


def test_a_mismatch_carries_its_evidence():
    """Both thumbprints are there on a mismatch, and neither otherwise."""
    error = InvalidToken(Reason.CERTIFICATE_MISMATCH, "m", expected="A" * 43, presented="Q" * 43)

    assert ("A" * 43, "Q" * 43) == (error.expected, error.presented)
    assert (None, None) == ((plain := InvalidToken(Reason.TOKEN_EXPIRED, "m")).expected, plain.presented)


def test_insufficient_scope_names_the_scopes():
    """The scopes that are needed are in the error, for the challenge, and in the message."""
    error = InsufficientScope(("invoices:read", "invoices:write"))

    assert ("invoices:read", "invoices:write") == error.required
    assert Reason.SCOPE_INSUFFICIENT is error.reason
    assert "this resource needs the scope 'invoices:read invoices:write'" == str(error)
    assert InsufficientScope(("x\r\ny\u20ac",)).args[0].endswith(r"'x\r\ny\u20ac'")


def test_a_reference_finds_one_error():
    """Each error has twelve random characters of its own, which stay the same."""
    one, other = (TokenBindError("m") for _ in range(2))

    assert re.fullmatch("[0-9a-f]{12}", one.reference)
    assert one.reference == one.reference != other.reference


def test_errors_of_this_process_as_a_client():
    """They have a reason too, and one base to catch them by."""
    errors = [IdentityError("m"), GrantError("invalid_client"), OriginRefused("m")]

    assert [Reason.IDENTITY_UNUSABLE, Reason.GRANT_REFUSED, Reason.ORIGIN_REFUSED] == [e.reason for e in errors]
    assert all(isinstance(error, ClientError) for error in errors)
    assert Reason.AUTHORIZATION_SERVER_UNREACHABLE is ClientError(Reason.AUTHORIZATION_SERVER_UNREACHABLE, "m").reason


@pytest.mark.parametrize(
    ("description", "message"),
    [(None, "refused: invalid_client"), ("", "refused: invalid_client"), ("gone", "refused: invalid_client (gone)")],
)
def test_grant_errors_say_what_the_server_said(description, message):
    """Code and description of RFC 6749 §5.2 are there, by themselves and in the message."""
    error = GrantError("invalid_client", description)

    assert ("invalid_client", description) == (error.error, error.description)
    assert str(error).endswith(message)


def test_the_tree_is_the_one_that_is_drawn():
    """The module's docstring draws every public error in its place, with its status."""
    line = re.compile(r"^ {4}([│├└─ ]*)(\w+)(?: +(\d{3}))?", re.MULTILINE)
    drawn, path = {}, ["Exception"]
    for lines, name, status in line.findall(tokenbind.errors.__doc__):
        path[1 + len(lines) // 4 :] = [name]
        drawn[name] = (path[-2], status)
    errors = [getattr(tokenbind.errors, name) for name in tokenbind.errors.__all__ if name != "Reason"]

    assert drawn == {error.__name__: (public_base(error), str(getattr(error, "status", ""))) for error in errors}


def public_base(error):
    return next(base.__name__ for base in error.__mro__[1:] if not base.__name__.startswith("_"))


def test_reasons_are_stable_words():
    """A reason is its own name in lower case: the words for logs and metrics cannot drift from the code."""
    assert [name.lower() for name in Reason.__members__] == [str(reason) for reason in Reason]


def test_errors_about_configuration_have_no_status():
    """Our caller's mistake is not an answer to a request."""
    assert not hasattr(ConfigurationError("m"), "status")
    assert not isinstance(ConfigurationError("m"), ClientError)


@pytest.mark.parametrize(
    "error",
    [
        InvalidToken(Reason.CERTIFICATE_MISMATCH, "another", expected="a", presented="b"),
        InsufficientScope(("a", "b")),
        GrantError("invalid_client", "no", 401),
        ConfigurationError("what to do"),
    ],
)
def test_errors_can_be_pickled(error):
    """A worker process can hand them to its parent, with everything in them."""
    reference = error.reference
    copied = pickle.loads(pickle.dumps(error))

    assert (type(error), str(error), vars(error)) == (type(copied), str(copied), vars(copied))
    assert reference == copied.reference
