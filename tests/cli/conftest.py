"""`tokenbind explain`, called as text and as JSON, with what holds for every call."""

from contextlib import redirect_stdout
import io
import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tokenbind.cli import main


PAGE = Path("docs/how-to/find-out-why.md").resolve()


class Explained(NamedTuple):
    status: int
    causes: list[str]
    findings: list[str]
    text: str
    report: dict[str, Any]


def call(*arguments):
    """Call the command line; gives exit status and standard output."""
    with redirect_stdout(io.StringIO()) as out:
        status = main([str(argument) for argument in arguments])
    return status, out.getvalue()


@pytest.fixture(scope="session")
def explain():
    """Explain a token: one screen, nothing of the token, the same in JSON, and nothing that the page has not."""
    documented = PAGE.read_text()

    def explain(token, *arguments):
        status, text = call("explain", *arguments, "--", token)
        assert len(text.splitlines()) <= 40
        assert all(len(line) <= 120 and line.isprintable() for line in text.splitlines())
        json_status, out = call("explain", "--json", *arguments, "--", token)
        assert status == json_status
        for secret in (token, *token.split(".")):
            assert len(secret) < 30 or (secret not in text and secret not in out)

        report = json.loads(out)
        causes, findings = ([one["id"] for one in report[kind]] for kind in ("causes", "findings"))
        assert len(causes) > 0
        right = "MATCHES" if status == 0 else "WRONG"
        assert text.startswith(right if causes == ["matches"] else "NO MATCH")
        assert (status == 0) <= (causes == ["matches"] and findings == [])
        assert all(f"`{id_}`" in documented for id_ in causes + findings)
        return Explained(status, causes, findings, text, report)

    return explain


@pytest.fixture
def files(tokenbind_kit, tokenbind_client, tokenbind_stranger, tmp_path, monkeypatch):
    """A folder with client.pem, stranger.pem, ca.pem and jwks.json; the current one."""
    monkeypatch.chdir(tmp_path)
    tokenbind_client.write(tmp_path)
    tokenbind_stranger.write(tmp_path)
    (tmp_path / "ca.pem").write_bytes(tokenbind_kit.ca_pem)
    (tmp_path / "jwks.json").write_text(json.dumps(tokenbind_kit.issuer.jwks()))
    return tmp_path
