"""T8: optimizers by learning rate, and the two ends of a learning rate.

Comes in: the runs of ``optimizers``, ``learning_rate``. Goes out: Markdown.
"""

from __future__ import annotations

from analysis.printing import Source, command


def text(source: Source) -> str:
    """The table."""
    return source.tables(
        ("optimizers", "main"),
        ("learning_rate", "main"),
    )


if __name__ == "__main__":
    raise SystemExit(command("t08_optimizers", text))
