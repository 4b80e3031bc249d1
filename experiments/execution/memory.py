"""Whether a run that raised was too large for the memory of its device, and what to do about it."""

from __future__ import annotations

import re

ADVICE = (
    "give it a smaller training.batch_size or network, a card with more memory, or fewer workers "
    "on each (engine.per_gpu, engine.workers)"
)
# Of what an allocator says, in sentences: how much was asked for, and of how much. It goes on.
SENTENCES = 3


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an error means that there was not enough memory, of a card or of the machine."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    # On a CPU torch has no class of its own for it.
    return isinstance(error, RuntimeError) and "you tried to allocate" in str(error)


def does_not_fit(error: BaseException) -> str:
    """Return the line for a run that one device alone has no room for."""
    said = re.split(r"(?<=\.) ", " ".join(str(error).split()) or type(error).__name__)
    found = " ".join(said[:SENTENCES]).rstrip(".")
    return f"one run does not fit the memory of its device: {found}; {ADVICE}"
