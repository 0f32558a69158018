"""The demo: its scenes, and that it notices when one goes otherwise."""

import json
import subprocess
import sys

import pytest

from tokenbind import BindingPolicy
from tokenbind.cli import main
from tokenbind.testing import kit


SCENES = [
    ("client", 200, None),
    ("client", 200, None),
    ("thief", 401, "invalid_client"),
    ("thief", 401, "certificate_missing"),
    ("thief", 401, "certificate_mismatch"),
    ("thief", 401, "certificate_mismatch"),
    ("thief", 401, "token_unbound"),
    ("thief", 401, "signature_invalid"),
    ("client", 200, None),
    ("client", 401, "token_expired"),
]


def test_the_demo_as_a_process_shows_every_scene():
    """Exit status 0, and nothing on standard error."""
    ended = subprocess.run([sys.executable, "-m", "tokenbind", "demo"], capture_output=True, text=True, check=False)

    assert (0, "") == (ended.returncode, ended.stderr)
    assert ended.stdout.endswith("Every outcome is the expected one.\n")
    for _, status, reason in SCENES:
        assert f"{status}     {reason or 'accepted'}" in ended.stdout


def test_the_demo_as_json(capsys):
    """One object, with what was expected beside what was seen."""
    assert 0 == main(["demo", "--json"])
    shown = json.loads(capsys.readouterr().out)

    assert shown["as_expected"]
    assert SCENES == [(scene["who"], scene["status"], scene["reason"]) for scene in shown["scenes"]]


def test_a_server_that_lets_the_thief_in_fails_the_demo(monkeypatch, capsys):
    """The outcomes are those of the servers: with a policy that takes unbound tokens, one scene goes otherwise."""

    class Careless(kit.BindingKit):
        def __init__(self):
            super().__init__()
            self.verifier = self.verifier.with_binding(BindingPolicy.WHEN_PRESENT)

    monkeypatch.setattr(kit, "BindingKit", Careless)
    assert 1 == main(["demo"])
    out = capsys.readouterr().out

    assert "200     accepted  EXPECTED 401, token_unbound" in out
    assert 1 == out.count("EXPECTED")
    assert out.endswith("NOT every outcome is the expected one.\n")


@pytest.mark.parametrize("missing", ["trustme", "uvicorn", "requests"])
def test_without_its_extras_the_demo_says_what_to_install(monkeypatch, capsys, missing):
    """One sentence, no traceback."""
    for module in [name for name in sys.modules if name.startswith("tokenbind.client.requests")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, missing, None)

    assert 2 == main(["demo"])
    assert "install tokenbind[" in capsys.readouterr().err
