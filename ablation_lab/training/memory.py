"""Whether a run that raised was too large for the memory of its device, and what to do about it."""

from __future__ import annotations

import re

ADVICE = (
    "give it a smaller training.batch_size or network, a card with more memory, or fewer workers "
    "on each (engine.per_gpu, engine.workers)"
)
# On a CPU torch has no class of its own for it; and of a process of several that train one run only
# the traceback arrives, as text.
SAID = re.compile(r"CUDA out of memory|[^.:]*: you tried to allocate")
# Of what an allocator says, in sentences: how much was asked for, and of how much. It goes on.
SENTENCES = 3


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an error means that there was not enough memory, of a card or of the machine."""
    import torch

    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or SAID.search(str(error)) is not None


def does_not_fit(error: BaseException) -> str:
    """Return the line for a run that one device alone has no room for."""
    text = " ".join(str(error).split()) or type(error).__name__
    said = SAID.search(text)
    sentences = re.split(r"(?<=\.) ", text[said.start() :] if said else text)
    found = " ".join(sentences[:SENTENCES]).rstrip(".")
    return f"one run does not fit the memory of its device: {found}; {ADVICE}"
