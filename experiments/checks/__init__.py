"""Computed checks: the decks' deterministic numbers, each computed by a small function.

Comes in: the name of a check and, for facts about data, a data folder. Goes out: numbers. A check
never looks at what is printed: the reference values hold that, and the report compares. A check of
one's own: a function in one's own package, decorated with ``@check("my_check")``.
"""

from experiments.checks import by_hand, data_facts, mathematics, recipes, shapes

__all__ = ["by_hand", "data_facts", "mathematics", "recipes", "shapes"]
