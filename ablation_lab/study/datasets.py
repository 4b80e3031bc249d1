"""What a report says about the data that a study trained on.

In: the `data` entries of a declaration. Out: one `DataSet` each, for provenance and for the threats
to validity.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DataSet:
    """A data set by name: what it is, the sum of its content, and what its test set is.

    `test_is_train` says that the accuracy is training accuracy, because there is no other data.
    """

    name: str
    about: str
    checksum: str
    test_is_train: bool
