"""The command ``tokenbind``; one module a command.

Exit status: 0 done; 1 refused, by `verify`, something wrong found, by `explain`, or not as expected, by `demo`; 2 not
done, with a sentence that says why.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from io import TextIOWrapper
import logging
import sys

from .. import __version__
from ..errors import TokenBindError
from . import demo, explain, keygen, mint, thumbprint, verify
from .output import print_json


__all__ = ["main"]

_COMMANDS = (thumbprint, keygen, mint, verify, explain, demo)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv* (default: the process's own) and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="tokenbind", description="Mutual-TLS certificate-bound access tokens (RFC 8705)."
    )
    parser.add_argument("--version", action="version", version=f"tokenbind {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for module in _COMMANDS:
        name = module.__name__.rpartition(".")[2]
        lines = (module.__doc__ or "").strip().split("\n\n", 1)
        command = commands.add_parser(
            name, help=lines[0], description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        module.add_arguments(command)
        command.add_argument("--json", action="store_true", help="print one JSON object, for a machine")
        command.set_defaults(run=module.run)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # claims are in any script, terminals are not
            stream.reconfigure(errors="backslashreplace")
    arguments = parser.parse_args(argv)
    log = logging.getLogger("tokenbind")
    level = log.level
    log.setLevel(logging.CRITICAL)  # what it would say, the command says
    try:
        status: int = arguments.run(arguments)
    except TokenBindError as error:
        if arguments.json:
            print_json({"error": str(error), "reason": getattr(error, "reason", None)})
        else:
            print(f"tokenbind: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        sys.stdout = None  # or the interpreter complains when it flushes it
        return 2
    finally:
        log.setLevel(level)
    return status
