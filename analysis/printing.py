"""What the scripts share: where they read from, and how one becomes a command.

Comes in: a function from a ``Source`` to Markdown. Goes out: the text, printed and written to
``<folder>/<profile>/<name>.md``. Exit status 0, or 2 with one line on what is wrong.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ablation_lab import STORE, load_table


@dataclass(frozen=True)
class Source:
    """A store and the profile of which its tables are printed."""

    store: str
    profile: str

    def table(self, study: str | None, name: str = "main") -> str:
        """A table of a study, or of all studies for None, as Markdown."""
        return load_table(study, name, profile=self.profile, store=self.store)

    def tables(self, *wanted: tuple[str | None, str]) -> str:
        """Several tables, one below the other."""
        return "\n".join(self.table(study, name) for study, name in wanted)


def command(
    name: str, text: Callable[[Source], str], arguments: Sequence[str] | None = None
) -> int:
    """Print a table and keep it as a file; returns the exit status."""
    parser = argparse.ArgumentParser(prog=f"python -m analysis.{name}")
    parser.add_argument("--profile", default="quick", help="such as paper")
    parser.add_argument("--store", default=STORE, help="the address of a store")
    parser.add_argument("--folder", type=Path, default=Path("reports/analysis"))
    options = parser.parse_args(arguments)
    try:
        made = text(Source(options.store, options.profile))
    except (RuntimeError, ValueError) as error:  # of the store, or of a name
        sys.stderr.write(f"{error}\n")
        return 2
    place = options.folder / options.profile / f"{name}.md"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(made, encoding="utf-8")
    sys.stdout.write(made)
    return 0
