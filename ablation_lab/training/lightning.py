"""The ``pl.Trainer`` that every fit of this project goes through."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import pytorch_lightning as pl


def lightning_trainer(**settings: Any) -> pl.Trainer:
    """Return a quiet trainer: the lab keeps logs, progress and checkpoints itself."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    # Lightning's own, about torch's pytree.
    warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")
    # The steps are Lightning's single "batches"; a data loader would only copy what is resident.
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*returned `None`, this fit will run with no opt.*")
    return pl.Trainer(
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **settings,
    )
