"""The pytest plugin as a user meets it: installed, and never imported by hand."""

import subprocess
import sys

import pytest


pytest_plugins = ["pytester"]


def test_a_first_test_is_short_and_catches_the_thief(pytester):
    """Ten lines, run by a pytest of their own."""
    pytester.makepyfile(
        """
        import pytest
        from tokenbind import InvalidToken

        def test_a_stolen_token_is_refused(
            tokenbind_verifier, tokenbind_token, tokenbind_client, tokenbind_stranger, tokenbind_renewed_client
        ):
            assert tokenbind_verifier.verify(tokenbind_token, tokenbind_client.peer).client_id == "client"
            for thief in (tokenbind_stranger, tokenbind_renewed_client):
                with pytest.raises(InvalidToken, match="another certificate"):
                    tokenbind_verifier.verify(tokenbind_token, thief.peer)
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_every_fixture_can_be_used(pytester):
    """And is a part of the one kit."""
    pytester.makepyfile(
        """
        def test_all(
            tokenbind_kit, tokenbind_ca, tokenbind_clock, tokenbind_issuer, tokenbind_verifier, tokenbind_monitor,
            tokenbind_client, tokenbind_renewed_client, tokenbind_stranger, tokenbind_expired_client, tokenbind_token,
            tokenbind_server,
        ):
            kit = tokenbind_kit
            assert (kit.ca, kit.clock, kit.issuer) == (tokenbind_ca, tokenbind_clock, tokenbind_issuer)
            assert (kit.verifier, kit.monitor) == (tokenbind_verifier, tokenbind_monitor)
            assert kit.client() is tokenbind_client and kit.client("stranger") is tokenbind_stranger
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_its_import_takes_nothing_heavy_along():
    """pytest imports it at every start; trustme, servers and clients come when a fixture is used."""
    program = (
        "import pytest, sys; before = set(sys.modules); import tokenbind.testing.pytest_plugin;"
        "print(*(set(sys.modules) - before))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    heavy = {"trustme", "cryptography", "jwt", "asyncio", "ssl", "uvicorn", "requests", "urllib3", "wsgiref"}
    assert heavy.isdisjoint(ended.stdout.split())


def test_the_package_names_what_it_has():
    """Lazy imports answer unknown names as a module does."""
    import tokenbind.testing

    for name in tokenbind.testing.__all__:
        assert name == getattr(tokenbind.testing, name).__name__
    with pytest.raises(AttributeError, match="nonsense"):
        _ = tokenbind.testing.nonsense
