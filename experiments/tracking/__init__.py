"""The only writer of MLflow: ``Tracker`` for records, ``Publisher`` for what the analysis says."""

from experiments.tracking.publishing import Publisher
from experiments.tracking.tracker import DECLARATION, LOGITS, Tracker

__all__ = ["DECLARATION", "LOGITS", "Publisher", "Tracker"]
