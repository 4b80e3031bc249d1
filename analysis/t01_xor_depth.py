"""T1: XOR by depth, activation and initialisation.

How many runs succeed, with Wilson's interval; how many are not finite; and the norm of the
gradient in the first and the last layer before the first step.

Comes in: the runs of ``xor_depth``, ``gradients_xor``. Goes out: Markdown.
"""

from __future__ import annotations

from analysis.printing import Source, command


def text(source: Source) -> str:
    """The table."""
    return source.tables(
        ("xor_depth", "main"),
        ("xor_depth", "cells"),
        ("gradients_xor", "gradients"),
    )


if __name__ == "__main__":
    raise SystemExit(command("t01_xor_depth", text))
