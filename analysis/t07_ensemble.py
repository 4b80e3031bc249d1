"""T7: the size of an ensemble, by the rule that combines its members.

Comes in: the runs of ``ensemble``. Goes out: Markdown.
"""

from __future__ import annotations

from analysis.printing import Source, command


def text(source: Source) -> str:
    """The table."""
    return source.tables(
        ("ensemble", "main"),
        ("ensemble", "comparisons"),
    )


if __name__ == "__main__":
    raise SystemExit(command("t07_ensemble", text))
