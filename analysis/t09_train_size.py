"""T9: dropout by the number of training examples.

Comes in: the runs of ``train_size``. Goes out: Markdown.
"""

from __future__ import annotations

from analysis.printing import Source, command


def text(source: Source) -> str:
    """The table."""
    return source.table("train_size", "main")


if __name__ == "__main__":
    raise SystemExit(command("t09_train_size", text))
