"""The table of results: on the screen, and in the documentation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
import platform
import re
import ssl
from textwrap import fill
import traceback
from typing import Any

from overhead import Overhead
from rows import COLUMNS, Row


__all__ = ["Result", "publish", "table", "version_of"]

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "servers-table.md"
_BEGIN, _END = "<!--- generated: begin -->\n", "<!--- generated: end -->\n"
_LIBRARIES = ("cryptography", "httptools", "uvloop", "trio", "websockets", "wsproto", "h11", "h2")


@dataclass
class Result:
    """What came of a row."""

    row: Row
    version: str = ""
    passed: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    log: str = ""
    seconds: float = 0.0
    overhead: Overhead | None = None

    @contextmanager
    def noting(self, what: str) -> Iterator[None]:
        """Note that what is done in the ``with`` block passed, or how it failed."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever goes wrong is a result
            self.failures[what] = "".join(traceback.format_exception(error))
        else:
            self.passed.append(what)

    @property
    def cells(self) -> tuple[str, ...]:
        """Of the table."""
        return self.row.cells(self.version, f"{self.overhead.ratio:.1f}" if self.overhead else "")

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.row.name,
            "version": self.version,
            "passed": self.passed,
            "failed": self.failures,
            "seconds": round(self.seconds, 2),
            "overhead": self.overhead and self.overhead._asdict(),
        }


def version_of(row: Row, log: str) -> str:
    """What ran: as installed or, of Apache, as it says itself."""
    if row.server == "wsgiref":
        return platform.python_version()
    if row.server == "mod_wsgi":
        found = re.search(r"Apache/(\S+).* mod_wsgi/(\S+)", log)
        return f"{found[2]}, Apache {found[1]}" if found else ""
    return " + ".join(version(name) for name in row.server.split(" + "))


def table(results: list[Result]) -> str:
    """The results as text, columns aligned."""
    lines = [COLUMNS, *(result.cells for result in results)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    texts = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([texts[0], "  ".join("-" * width for width in widths), *texts[1:]])


def publish(results: list[Result]) -> None:
    """Write the results into the page."""
    lines = [COLUMNS, ("---",) * len(COLUMNS), *(result.cells for result in results)]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    programs = [f"Python {platform.python_version()}", " ".join(ssl.OPENSSL_VERSION.split()[:2])]
    programs += [f"{name} {version(name)}" for name in _LIBRARIES]
    ran = fill(f"Ran with {', '.join(programs)}.", 120)
    before, _, rest = PAGE.read_text().partition(_BEGIN)
    after = rest.partition(_END)[2]
    PAGE.write_text(f"{before}{_BEGIN}\n{text}\n\n{ran}\n\n{_END}{after}")
