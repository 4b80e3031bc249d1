"""What the plan has to know of accelerators: how many workers have one, and how much of its memory.

Sizes are in bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

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
