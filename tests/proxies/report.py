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
import subprocess
from textwrap import fill
import traceback
from typing import Any

from setups import COLUMNS, Proxy, Setup


__all__ = ["Result", "publish", "table", "version_of"]

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "proxies-table.md"
_BEGIN, _END = "<!--- generated: begin -->\n", "<!--- generated: end -->\n"


@dataclass
class Result:
    """What came of a setup."""

    setup: Setup
    version: str = ""
    passed: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

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
    def text(self) -> str:
        """For the screen."""
        lines = [f"{self.setup.name:64} {len(self.passed):2} ok  {self.seconds:5.1f} s"]
        return "\n".join(lines + [f"FAILED {name}: {text}" for name, text in self.failures.items()])

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.setup.name,
            "version": self.version,
            "passed": self.passed,
            "failed": self.failures,
            "seconds": round(self.seconds, 2),
        }


def version_of(proxy: Proxy) -> str:
    """What ran."""
    if proxy.distribution:
        return version(proxy.distribution)
    said = subprocess.run(["/usr/sbin/apache2", "-v"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"Apache/(\S+)", said)
    return found[1] if found else ""


def table(results: list[Result]) -> str:
    """The results as text, columns aligned."""
    lines = [COLUMNS, *(result.setup.cells(result.version) for result in results)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    texts = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([texts[0], "  ".join("-" * width for width in widths), *texts[1:]])


def publish(results: list[Result]) -> None:
    """Write the results into the page."""
    lines = [COLUMNS, ("---",) * len(COLUMNS), *(result.setup.cells(result.version) for result in results)]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    programs = [f"Python {platform.python_version()}", " ".join(ssl.OPENSSL_VERSION.split()[:2])]
    programs += [f"{name} {version(name)}" for name in ("uvicorn", "httptools")]
    ran = fill(f"Ran with {', '.join(programs)}.", 120)
    before, _, rest = PAGE.read_text().partition(_BEGIN)
    after = rest.partition(_END)[2]
    PAGE.write_text(f"{before}{_BEGIN}\n{text}\n\n{ran}\n\n{_END}{after}")
