"""The page on speed has the rows of the program, and the chart has its bars. No clock is read."""

from pathlib import Path
import re
import runpy
from xml.etree import ElementTree


HERE = Path(__file__).parent
GOALS = runpy.run_path(str(HERE / "benchmarks" / "goals.py"))
PAGE = HERE.parent / "docs" / "reference" / "speed.md"


def test_no_row_stands_twice():
    """Rows are told apart by what they are called."""
    names = [comparison.what for comparison in GOALS["COMPARISONS"]]
    assert len(set(names)) == len(names)


def test_the_page_has_the_rows_of_the_program():
    """Every row that needs nothing special, with its bounds, and no other than the program's, in its order."""
    shown = re.findall(r"^\| ([^|]+) \| [^|]+ \| [^|]+ \| [^|]+ \| ([^|]*)\| ([^|]*)\|", generated(), re.MULTILINE)
    rows = {what: (must.strip() != "", aim.strip() != "") for what, must, aim in shown if what != "what"}
    known = {one.what: (one.must is not None, one.aim is not None) for one in GOALS["COMPARISONS"]}
    assert list(rows) == [what for what in known if what in rows]
    assert rows == {what: known[what] for what in rows}
    assert {one.what for one in GOALS["COMPARISONS"] if not one.needs} <= set(rows)


def test_the_chart_is_well_formed():
    """It names the library and FLOOR, as text."""
    texts = {element.text for element in ElementTree.parse(PAGE.with_name("speed.svg")).iter() if element.text}
    assert {"tokenbind", "FLOOR", "no authentication"} <= texts


def generated():
    return PAGE.read_text().partition("generated: begin -->")[2].partition("<!--- generated: end")[0]
