"""The plug-in of the lectures: the data sets and checks that only the five decks have.

Comes in: the public interface of ``ablation_lab``. Goes out: data sets and checks by name, for the
studies of ``conf/study`` and the reference values of ``conf/references``.
"""

from ablation_lab.study.metric import CHECKS
from experiments import data

__all__ = ["data"]

CHECKS.found_in("experiments.checks")  # they import torch, which only their runs need
