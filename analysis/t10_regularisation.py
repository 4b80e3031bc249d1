"""T10: an L2 penalty, early stopping and dropout against none of them.

Comes in: the runs of ``regularisation``. Goes out: Markdown.
"""

from __future__ import annotations

from analysis.printing import Source, command


def text(source: Source) -> str:
    """The table."""
    return source.tables(
        ("regularisation", "main"),
        ("regularisation", "comparisons"),
    )


if __name__ == "__main__":
    raise SystemExit(command("t10_regularisation", text))
