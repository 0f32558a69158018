"""The pages say what the code says."""

from importlib.metadata import metadata
from pathlib import Path
import re

import pytest

from tokenbind import Reason, errors
from tokenbind.testing import pytest_plugin


DOCS = Path(__file__).parent
PAGES = sorted(DOCS.rglob("*.md"))
SOURCE = "\n".join(path.read_text() for path in Path(errors.__file__).parent.rglob("*.py"))


def rows(page):
    """The rows of every table of a page that begin with a word of code: the word, and the next cell."""
    return dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", (DOCS / page).read_text(), re.MULTILINE))


def test_every_reason_is_explained():
    """The page of reasons has each of them, and no other."""
    assert set(Reason) == set(rows("reference/reasons.md"))


@pytest.mark.parametrize("reason", Reason)
def test_the_status_of_a_reason(reason):
    """The status on the page is that of the errors which the code raises with this reason."""
    raised = re.findall(rf"(\w+)\(\s*Reason\.{reason.name}\b", SOURCE)
    statuses = {getattr(getattr(errors, name, None), "status", None) for name in raised} - {None}
    if statuses and reason is not Reason.SCOPE_TYPE_REFUSED:
        assert statuses == set(map(int, re.findall(r"\b\d{3}\b", rows("reference/reasons.md")[reason])))


def test_every_fixture_is_listed():
    """The page on testing has each fixture, and no other."""
    fixtures = {name for name in vars(pytest_plugin) if name.startswith("tokenbind_")}
    assert fixtures == set(rows("how-to/test-your-service.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_code_is_shown_that_is_not_executed(page):
    """Blocks are python and console, which conftest.py executes; directives; or text, which is no code."""
    languages = re.findall(r"^```([^\n]+)", page.read_text(), re.MULTILINE)
    assert {name for name in languages if name[0] != "{"} <= {"python", "console", "text"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_have_the_titles_of_pages(page):
    """A link without a text is empty where these pages are read as they are."""
    text = page.read_text()
    assert not re.findall(r"\[\]\(.*?\)", text)
    for title, target in re.findall(r"\[([^\]`]+)\]\(([^)#:\s]+\.md)\)", text):
        assert (page.parent / target).exists(), f"{title} leads to {target}, which is not there"


def test_every_extra_exists():
    """What the pages and the README say to install can be installed."""
    text = "\n".join(page.read_text() for page in [*PAGES, DOCS.parent / "README.md"])
    extras = {extra for found in re.findall(r"tokenbind\[(.*?)\]", text) for extra in found.split(",")}
    assert extras
    assert extras <= set(metadata("tokenbind").get_all("Provides-Extra"))
