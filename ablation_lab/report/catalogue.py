"""What the project declares beside what a store holds: the only reader of the declarations.

In: a profile. Out: every declared study, so that one that nobody ran is a row that says so. Nothing
here trains, and no result comes from here.
"""

from ablation_lab.study.catalogue import Listed, catalogue

__all__ = ["Listed", "catalogue"]
