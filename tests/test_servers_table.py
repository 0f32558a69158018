"""The table of servers has the rows of the program that runs them; and what it runs is what the pages show."""

from pathlib import Path
import runpy

import pytest


ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
EXAMPLES = ROOT / "examples" / "servers"
PAGE = (DOCS / "reference" / "servers-table.md").read_text()
PROGRAM = runpy.run_path(str(ROOT / "tests" / "matrix" / "rows.py"))
COLUMNS, ROWS = PROGRAM["COLUMNS"], PROGRAM["ROWS"]
FOLDERS = sorted({row.folder for row in ROWS})
OF_A_RUN = [COLUMNS.index("version"), COLUMNS.index("CPU")]


def known(cells):
    """All but what only a run can know."""
    return [cell for number, cell in enumerate(cells) if number not in OF_A_RUN]


def test_the_page_has_the_rows_of_the_program():
    """Each of them, as it is now, in its order."""
    generated = PAGE.partition("generated: begin -->")[2].partition("<!--- generated: end")[0]
    shown = [line[1:-1].split("|") for line in generated.splitlines() if line.startswith("|")]
    head, _, *rows = [[cell.strip() for cell in cells] for cells in shown]
    assert list(COLUMNS) == head
    assert [known(row.cells()) for row in ROWS] == [known(cells) for cells in rows]


def test_no_row_stands_twice():
    """They are told apart by their names."""
    assert len(ROWS) == len({row.name for row in ROWS})


def test_every_folder_is_run():
    """An example that no row runs is one that nobody knows to work."""
    assert FOLDERS == sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_folder_is_shown(folder):
    """Some page includes its files, by the very path; and its files know the port that the program replaces."""
    pages = "".join(page.read_text() for page in DOCS.glob("how-to/serve-with-*.md"))
    assert f"{{literalinclude}} ../../examples/servers/{folder}/" in pages
    assert "8443" in "".join(file.read_text() for file in (EXAMPLES / folder).iterdir())


@pytest.mark.parametrize("row", [row for row in ROWS if row.change], ids=lambda row: row.name)
def test_certificates_can_be_required(row):
    """What is to be changed for that stands once in a file."""
    assert 1 in [file.read_text().count(row.change[0]) for file in (EXAMPLES / row.folder).iterdir()]
