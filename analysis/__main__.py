"""``python -m analysis T1``: one table of the lectures, written to reports/analysis/<profile>/."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ablation_lab import STORE, Study, across

# A table of a study, or of all studies for None.
Part = tuple[str | None, str]
TABLES: Mapping[str, Sequence[Part]] = {
    # XOR by depth, activation and initialisation: how many runs succeed, with Wilson's interval;
    # how many are not finite; and the norm of the gradient in each layer before the first step.
    "T1": (("xor_depth", "main"), ("xor_depth", "cells"), ("gradients_xor", "gradients")),
    # The ladder as it is printed, and every printed accuracy beside ours. Its steps change several
    # things at once: T3 and T4 stand beside it for what one choice is worth.
    "T2": (("ladder", "main"), ("ladder", "attribution"), (None, "accuracies")),
    # One factor at a time changed from the full model, 784-512×4-10: paired differences.
    "T3": (("full_model", "main"), ("full_model", "credits")),
    # Activation, initialisation, depth, dropout and learning rate, all combined, on
    # 784-256-256-10: main effects and interactions.
    "T4": (("factorial", "effects"), ("factorial", "main")),
    # Initialisation by activation in the layout of the LSUV table, on an MLP; the convolutional
    # network of that table needs an accelerator and is a study of its own.
    "T5": (("init_activation", "main"), ("init_activation", "effects")),
    # The probability to keep a unit, by architecture.
    "T6": (("dropout", "main"), ("dropout", "comparisons")),
    # The size of an ensemble, by the rule that combines its members.
    "T7": (("ensemble", "main"), ("ensemble", "comparisons")),
    # Optimizers by learning rate, and the two ends of a learning rate.
    "T8": (("optimizers", "main"), ("learning_rate", "main")),
    # Dropout by the number of training examples.
    "T9": (("train_size", "main"),),
    # An L2 penalty, early stopping and dropout against none of them.
    "T10": (("regularisation", "main"), ("regularisation", "comparisons")),
    # Shapes and numbers of parameters, computed and counted.
    "T11": (("computed", "checks"), ("ladder", "parameters")),
    # The defaults of the frameworks side by side, on one network.
    "T12": (("frameworks", "main"), ("frameworks", "comparisons"), ("stock", "main")),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print tables and keep each as a file; return 2, with one line, where one is not there."""
    parser = argparse.ArgumentParser(prog="python -m analysis")
    parser.add_argument("table", nargs="?", default="all", choices=("all", *TABLES))
    parser.add_argument("--profile", default="quick", help="such as paper")
    parser.add_argument("--store", default=STORE, help="the address of a store")
    parser.add_argument("--folder", type=Path, default=Path("reports/analysis"))
    options = parser.parse_args(arguments)
    names = list(TABLES) if options.table == "all" else [options.table]
    return max(
        _write(name, options.profile, options.store, options.folder / options.profile)
        for name in names
    )


def _write(table: str, profile: str, store: str, folder: Path) -> int:
    """Print a table and keep it as a file; return 0, or 2 after one line of what is wrong."""
    try:
        text = "\n".join(_printed(*part, profile, store) for part in TABLES[table])
    except (RuntimeError, ValueError) as error:  # of the store, or of a name
        sys.stderr.write(f"{table}: {error}\n")
        return 2
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{table}.md").write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    return 0


def _printed(study: str | None, name: str, profile: str, store: str) -> str:
    if study is None:
        return across(name, profile=profile, store=store)
    return Study.load(study, profile=profile, store=store).markdown(name)


if __name__ == "__main__":
    sys.exit(main())
