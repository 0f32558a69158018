"""Rows of the table: what it costs, how that compares, and what is asked of that."""

from __future__ import annotations

from collections.abc import Container
from statistics import median
from typing import Any, NamedTuple

from goals import Comparison
from measure import Samples


__all__ = ["Row", "rows_of", "table"]


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

    def as_text(self) -> tuple[str, ...]:
        """What is printed of it, a cell for each column."""
        sign = ">= " if self.faster else "<= "
        bounds = ["" if bound is None else sign + self.text_of(bound) for bound in (self.must, self.aim)]
        cost = f"{self.cost:,.0f} B" if self.unit == "B" else f"{self.cost:,.2f} {self.unit}"
        return self.what, cost, self.against, self.text_of(self.ratio), *bounds, self.verdict

    def text_of(self, ratio: float, digits: int = 3) -> str:
        """Small ones as a fraction, as the design writes them; but what is kept of something is a decimal."""
        return f"1/{1 / ratio:.1f}" if ratio < 0.4 and not self.faster else f"{ratio:.{digits}f}"


def rows_of(comparisons: list[Comparison], samples: Samples, missing: Container[str]) -> list[Row]:
    """The medians of what was measured; a ratio is the median of the ratios within each round."""
    return [_row(comparison, samples) for comparison in comparisons if comparison.needs not in missing]


def _row(comparison: Comparison, samples: Samples) -> Row:
    what, case, reference, must, aim, faster, unit, _ = comparison
    pairs = zip(samples[case], samples[reference], strict=True)
    ratio = median(theirs / ours if faster else ours / theirs for ours, theirs in pairs)
    return Row(what, reference, median(samples[case]), unit, ratio, must, aim, faster)


def table(rows: list[Row]) -> str:
    """The rows as text, columns aligned."""
    head = ("what", "cost", "against", "ratio", "must", "aim", "")
    lines = [head, *(row.as_text() for row in rows)]
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
