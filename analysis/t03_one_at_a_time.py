"""T3: one factor at a time changed from the full model.

784-512×4-10, Xavier, ReLU, Adam 0.001, keep_prob 0.7; paired differences.

Comes in: the runs of ``full_model``. Goes out: Markdown.
"""

from __future__ import annotations

from analysis.printing import Source, command


def text(source: Source) -> str:
    """The table."""
    return source.tables(
        ("full_model", "main"),
        ("full_model", "attribution"),
    )


if __name__ == "__main__":
    raise SystemExit(command("t03_one_at_a_time", text))
