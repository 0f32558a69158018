"""Which algorithms may be chosen, and under which names."""

import pytest

from tokenbind import ConfigurationError
from tokenbind.tokens.algorithms import ALGORITHMS, DEFAULT_ALGORITHMS, canonical_algorithms


def test_defaults():
    """The default is the list of FAPI 2.0 §5.4.1, in both names of EdDSA."""
    assert {"ES256", "PS256", "EdDSA", "Ed25519"} == canonical_algorithms(DEFAULT_ALGORITHMS)


@pytest.mark.parametrize("collection", [tuple, list, set, frozenset])
def test_any_collection_of_names(collection):
    """Names are taken as they are; EdDSA and Ed25519 bring each other along."""
    assert {"RS256", "ES512"} == canonical_algorithms(collection(["RS256", "ES512"]))
    assert {"EdDSA", "Ed25519"} == canonical_algorithms(collection(["Ed25519"]))
    assert set(ALGORITHMS) == canonical_algorithms(collection(ALGORITHMS))


@pytest.mark.parametrize("names", ["ES256", "", (), [], None, 7, {"ES256": 1}, b"ES256"])
def test_what_is_no_collection_of_names(names):
    """A name by itself, or nothing, is refused with an example of what is meant."""
    with pytest.raises(ConfigurationError, match="takes a tuple of names"):
        canonical_algorithms(names)


@pytest.mark.parametrize("name", ["none", "HS256", "es256", "ES256K", "", None, 7, ("ES256",)])
def test_names_that_do_not_exist_here(name):
    """One wrong name refuses the whole list."""
    with pytest.raises(ConfigurationError, match="must be one of"):
        canonical_algorithms(["ES256", name])
