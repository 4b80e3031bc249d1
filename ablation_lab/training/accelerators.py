"""Memory of accelerators: what the plan counts on, and how a run that has no room is told.

Sizes are in bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ablation_lab.training.fault import text_of

# Where the memory of a card is not known, because it is on another machine. A stack that does not
# fit all the same is halved by its worker.
ASSUMED_BYTES = 8 << 30
# Of its memory, for stacks: the rest is for the data set, the libraries and what falls between.
USED = 0.8


@dataclass(frozen=True)
class Accelerators:
    """``workers`` at once, each with ``bytes`` for a stack, which were measured or are assumed.

    ``sharing`` of them use one card.
    """

    workers: int
    bytes: int
    measured: bool
    sharing: int = 1

    @classmethod
    def of(cls, *, workers: int, card: int | None, sharing: int = 1) -> Accelerators:
        """Return those of ``workers`` of which ``sharing`` use a card of ``card`` bytes (or None).

        A card whose memory is not known is taken for a small one.
        """
        whole = ASSUMED_BYTES if card is None else int(USED * card)
        known = card is not None
        return cls(workers=workers, bytes=whole // sharing, measured=known, sharing=sharing)


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
    return known or SAID.search(text_of(error)) is not None


def does_not_fit(error: BaseException) -> str:
    """Return the line for a run that one device alone has no room for."""
    text = " ".join(text_of(error).split()) or type(error).__name__
    said = SAID.search(text)
    sentences = re.split(r"(?<=\.) ", text[said.start() :] if said else text)
    found = " ".join(sentences[:SENTENCES]).rstrip(".")
    return f"one run does not fit the memory of its device: {found}; {ADVICE}"
