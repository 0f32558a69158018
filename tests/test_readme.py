"""The README's command lines are the ones that the landing is proven with; conftest.py executes its Python."""

from pathlib import Path
import re

import pytest


ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def commands(text):
    """The single commands of shell text, and no options that only make them quieter."""
    return [command.strip().replace(" -q ", " ") for command in re.split(r"&&|\n", text) if command.strip()]


def test_the_command_lines_are_what_ci_runs():
    """Each of the README's two command lines is one that .ci/run runs, part by part."""
    ci = ROOT / ".ci" / "run"
    if not ci.exists():
        pytest.skip("a source distribution has no .ci")
    shown = [commands(block) for block in re.findall(r"^```sh\n(.*?)^```", README, re.DOTALL | re.MULTILINE)]
    prepare = ["python3 -m venv .venv", ".venv/bin/pip install tox"]
    assert [[*prepare, ".venv/bin/tox run -e demo"], [*prepare, ".venv/bin/tox run"]] == shown
    assert {command for line in shown for command in line} <= set(commands(ci.read_text()))


def test_no_other_code_is_shown():
    """Python is executed, and sh is held against .ci/run; there is nothing else."""
    assert {"python", "sh"} == set(re.findall(r"^```(\w+)", README, re.MULTILINE))


def test_every_link_leads_somewhere():
    """Links into the repository name files that are there."""
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    assert links
    assert [] == [link for link in links if not (ROOT / link).exists()]
