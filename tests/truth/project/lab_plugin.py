"""The plug-in of the project: the modules as families, and what they are trained on as data."""

from collections.abc import Callable
from typing import Any

import truth_modules
from truth_modules.arrays import ARRAYS, ROWS, Arrays

from ablation_lab import dataset, family
from ablation_lab.data import Dataset, Part, TrainingData


def reader(arrays: Arrays) -> Callable[[Any], tuple[TrainingData, Part]]:
    """Return the function that gives the parts of a data set."""

    def read(contents: Any) -> tuple[TrainingData, Part]:
        parts = {name: Part(*part) for name, part in arrays.parts().items()}
        return TrainingData(parts["train"], parts["validation"]), parts["test"]

    return read


def declare(name: str, arrays: Arrays, read: Callable[[Any], Any], *, loaders: bool) -> None:
    """Register a data set."""
    dataset(name)(
        Dataset(
            name=name,
            shape=arrays.shape,
            classes=arrays.classes,
            examples=ROWS["train"],
            files=(),
            about="drawn from a fixed seed",
            read=read,
            targets=arrays.targets,
            loaders=loaders,
        )
    )


for name, case in {**truth_modules.CASES, **truth_modules.REFUSED}.items():
    family(name)(case.module)
    if case.source is not None:
        made = case.source
        declare(f"{name}_data", ARRAYS[case.data], lambda _, made=made: made(), loaders=True)

for name, arrays in ARRAYS.items():
    declare(name, arrays, reader(arrays), loaders=False)
