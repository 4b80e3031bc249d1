"""T6: the probability to keep a unit, by architecture.

Comes in: the runs of ``dropout``. Goes out: Markdown.
"""

from __future__ import annotations

from analysis.printing import Source, command


def text(source: Source) -> str:
    """The table."""
    return source.tables(
        ("dropout", "main"),
        ("dropout", "comparisons"),
    )


if __name__ == "__main__":
    raise SystemExit(command("t06_keep_prob", text))
