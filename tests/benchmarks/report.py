"""Rows of the table: what it costs, how that compares, and what is asked of that."""

from __future__ import annotations

from statistics import median
from typing import Any, NamedTuple

from measure import Samples


__all__ = ["Comparison", "Row", "row", "rows_of", "table"]


class Comparison(NamedTuple):
    """A row still to be measured.

    `must` and `aim` bound the ratio of *case* to *reference*: from above, or, with *faster*, the inverse ratio ("so
    many times as fast", "so much is kept") from below. A row without them is there to be compared with.
    """

    what: str
    case: str
    reference: str
    must: float | None = None
    aim: float | None = None
    faster: bool = False


class Row(NamedTuple):
    """A line of the table."""

    what: str
    against: str
    cost: float
    unit: str
    ratio: float
    must: float | None
    aim: float | None
    faster: bool

    @property
    def verdict(self) -> str:
        if self.must is None:
            return ""
        return "ok" if (self.ratio >= self.must if self.faster else self.ratio <= self.must) else "MISSED"

    def as_json(self) -> dict[str, Any]:
        return {**self._asdict(), "verdict": self.verdict}


def row(comparison: Comparison, samples: Samples, unit: str = "µs") -> Row:
    """The medians of one comparison; the ratio is the median of the ratios within each round."""
    what, case, reference, must, aim, faster = comparison
    pairs = zip(samples[case], samples[reference], strict=True)
    ratio = median(theirs / ours if faster else ours / theirs for ours, theirs in pairs)
    return Row(what, reference, median(samples[case]), unit, ratio, must, aim, faster)


def rows_of(comparisons: list[Comparison], samples: Samples, unit: str = "µs") -> list[Row]:
    return [row(comparison, samples, unit) for comparison in comparisons]


def table(rows: list[Row]) -> str:
    """The rows as text, columns aligned."""
    head = ("what", "cost", "against", "ratio", "must", "aim", "")
    lines = [head, *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rule = "  ".join("-" * width for width in widths)
    texts = [
        "  ".join(
            cell.rjust(width) if 3 <= index <= 5 or index == 1 else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join([texts[0], rule, *texts[1:]])


def _cells(line: Row) -> tuple[str, ...]:
    sign = ">= " if line.faster else "<= "
    bounds = ["" if bound is None else sign + _ratio(bound) for bound in (line.must, line.aim)]
    return line.what, f"{line.cost:,.2f} {line.unit}", line.against, _ratio(line.ratio), *bounds, line.verdict


def _ratio(value: float) -> str:
    """Small ones as a fraction, as the design writes them."""
    return f"1/{1 / value:.1f}" if value < 0.4 else f"{value:.3f}"
