"""The table of proxies has the rows of the program that runs them; and what it runs is what the pages show."""

from importlib import import_module
from pathlib import Path
import sys

import pytest


ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
EXAMPLES = ROOT / "examples" / "proxies"
TABLE = (DOCS / "reference" / "proxies-table.md").read_text()

sys.path.insert(0, str(ROOT / "tests" / "proxies"))
try:
    SETUPS, COLUMNS = import_module("products").SETUPS, import_module("setups").COLUMNS
finally:
    sys.path.remove(str(ROOT / "tests" / "proxies"))

VERSION = COLUMNS.index("version")
SHOWN = [setup for setup in SETUPS if setup.kind in ("usual", "two hops")]


def test_the_page_has_the_rows_of_the_program():
    """Each of them, as it is now, in its order."""
    generated = TABLE.partition("generated: begin -->")[2].partition("<!--- generated: end")[0]
    lines = [line[1:-1].split("|") for line in generated.splitlines() if line.startswith("|")]
    head, _, *rows = [[cell.strip() for cell in cells] for cells in lines]
    assert list(COLUMNS) == head
    assert [list(setup.cells(cells[VERSION])) for setup, cells in zip(SETUPS, rows, strict=True)] == rows


def test_no_setup_stands_twice():
    """They are told apart by their names."""
    assert len(SETUPS) == len({setup.name for setup in SETUPS})


def test_every_folder_is_run():
    """An example that no setup runs is one that nobody knows to work."""
    assert {setup.proxy.folder for setup in SETUPS} == {path.name for path in EXAMPLES.iterdir() if path.is_dir()}


def page_of(setup):
    return (DOCS / "how-to" / f"behind-{setup.proxy.folder}.md").read_text()


@pytest.mark.parametrize("folder", sorted({setup.proxy.folder for setup in SETUPS}))
def test_every_file_is_shown(folder):
    """The page of the proxy includes it, by the very path."""
    page = (DOCS / "how-to" / f"behind-{folder}.md").read_text()
    for file in (EXAMPLES / folder).iterdir():
        if file.is_file():
            assert f"{{literalinclude}} ../../examples/proxies/{folder}/{file.name}\n" in page
            assert f"](../../examples/proxies/{folder}/{file.name}):\n" in page


@pytest.mark.parametrize("setup", SETUPS, ids=lambda setup: setup.name)
def test_what_is_changed_stands_once(setup):
    """So each change can be made, and by hand."""
    for change in setup.changes:
        assert (EXAMPLES / setup.proxy.folder / change.file).read_text().count(change.old) == 1, change


@pytest.mark.parametrize("setup", SHOWN, ids=lambda setup: setup.name)
def test_what_is_changed_is_shown(setup):
    """Every line that a change brings stands on the page; those in a table without what is around them."""
    page = page_of(setup)
    for change in setup.changes:
        old = change.old.splitlines()
        for line in change.new.splitlines():
            assert line in old or line.strip() in page, change
