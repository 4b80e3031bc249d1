"""Figures of what reaches the layers of a network, and of what it draws between two classes.

In: a Study with observed runs. Out: the first Axes of a figure of panels, which stand as in the
study's layout.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator
from numpy.typing import NDArray

from analysis.canvas import COLOURS, MARKERS, PALE, styled
from analysis.layers import Histogram, Surface
from analysis.layout import Grid, Key, grid
from analysis.marks import key_text, names_text
from analysis.study import Study

WIDE = 7.1  # inches
BINS = 40  # of values in an image of histograms


def layer_figures(study: Study) -> dict[str, Callable[[Study], Axes]]:
    """The figures that the observed runs of a study allow, by name."""
    if study.layers.norms.empty:
        return {}
    drawn: dict[str, Callable[[Study], Axes]] = {"gradients": gradient_norms}
    observed = study.layers.observations.values()
    if any(observation.surface for observation in observed):
        drawn["boundaries"] = boundaries
    elif observed:
        drawn["activations"] = partial(activation_histograms, last=False)
        drawn["activations_trained"] = partial(activation_histograms, last=True)
    return drawn


@styled()
def gradient_norms(study: Study) -> Axes:
    """Median over runs of the gradient's norm by layer, before the first step.

    One panel for each row of the layout (across) and level of the first column factor (down), one
    line for each level of the others.
    """
    made = grid(study.declaration)
    upper = list(dict.fromkeys(key[:-1] for key in made.across))
    lines = list(dict.fromkeys(key[-1:] for key in made.across))
    figure, panels = _panels(down=len(upper), across=len(made.down), share=True)
    norms = study.layers.norms
    middle = norms[norms["step"] == 0].groupby(["cell", "layer"])["value"].median()
    # On a logarithmic axis nothing has no place: a norm of zero lies below all others.
    middle = middle.clip(lower=middle[middle > 0].min() / 10)
    for row, first in enumerate(upper):
        for column, down in enumerate(made.down):
            ax = panels[row, column]
            for place, last in enumerate(lines):
                found = made.places.get((down, (*first, *last)))
                if found is not None and found.cell in middle.index:
                    _line(ax, middle[found.cell], place)
            ax.set_yscale("log")
            ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            ax.yaxis.set_minor_locator(NullLocator())
            ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            ax.margins(x=0.1)
    _label_panels(study, panels, made, upper)
    figure.supxlabel("layer, the first one at the left", fontsize=7)
    figure.supylabel("norm of the gradient\nbefore the first step", fontsize=7)
    if len(lines) > 1:
        title = names_text(study.declaration, made.columns[-1:])
        _legend(figure, [key_text(key) for key in lines], title)
    corner: Axes = panels[0, 0]
    return corner


@styled()
def boundaries(study: Study) -> Axes:
    """The probability of class 1 over both inputs, with the training examples, for each cell."""
    made = grid(study.declaration)
    _, panels = _panels(down=len(made.down), across=len(made.across), share=False)
    for (row, down), (column, across) in _pairs(made.down, made.across):
        ax = panels[row, column]
        ax.set_xticks([])
        ax.set_yticks([])
        ax.grid(visible=False)
        place = made.places.get((down, across))
        seen = study.layers.observations.get(place.cell) if place else None
        if seen is None or seen.surface is None:
            ax.plot(0.5, 0.5, "x", color=PALE, ms=6, transform=ax.transAxes)
        else:
            _surface(ax, seen.surface)
        ax.set_box_aspect(1)
    _label_panels(study, panels, made, made.down, across=made.across)
    corner: Axes = panels[0, 0]
    return corner


@styled()
def activation_histograms(study: Study, *, last: bool) -> Axes:
    """How often each activation occurs, layer by layer, in the deepest cells of the layout.

    Before the first step, or after the last one that was looked at.
    """
    made = grid(study.declaration)
    upper = list(dict.fromkeys(key[:-1] for key in made.across))
    lines = list(dict.fromkeys(key[-1:] for key in made.across))
    figure, panels = _panels(down=len(upper), across=len(lines), share=False)
    for (row, first), (column, second) in _pairs(upper, lines):
        ax = panels[row, column]
        ax.grid(visible=False)
        place = made.places.get((made.down[-1], (*first, *second)))
        seen = study.layers.observations.get(place.cell) if place else None
        hidden = seen.of("activation", last=last)[:-1] if seen else ()
        if hidden and all(one.counts for one in hidden):
            _histograms(ax, hidden)
        else:
            ax.set_xticks([])
            ax.set_yticks([])
            ax.text(
                0.5,
                0.5,
                "not finite" if hidden else "x",
                color=PALE,
                ha="center",
                transform=ax.transAxes,
            )
    _label_panels(study, panels, made, upper, across=lines)
    figure.supxlabel("hidden layer, the first one at the left", fontsize=7)
    figure.supylabel("activation", fontsize=7)
    corner: Axes = panels[0, 0]
    return corner


def _panels(*, down: int, across: int, share: bool) -> tuple[Figure, NDArray[Any]]:
    """Axes (down, across) of a figure over both columns of the paper."""
    width = min(WIDE, 0.6 + 1.75 * across)
    side = (width - 0.6) / across
    figure = Figure(figsize=(width, 0.55 + down * min(1.3, side)), layout="constrained")
    panels = figure.subplots(
        down, across, squeeze=False, sharex="col" if share else False, sharey=share
    )
    return figure, panels


def _pairs(
    down: Sequence[Key], across: Sequence[Key]
) -> list[tuple[tuple[int, Key], tuple[int, Key]]]:
    return [(one, other) for one in enumerate(down) for other in enumerate(across)]


def _line(ax: Axes, values: pd.Series[float], place: int) -> None:
    colour, marker = COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)]
    ax.plot(values.index, values, lw=0.9, ms=3, color=colour, marker=marker)


def _surface(ax: Axes, surface: Surface) -> None:
    low, high = surface.low, surface.high
    ax.imshow(
        np.array([[np.nan if v is None else v for v in row] for row in surface.values]),
        extent=(low[0], high[0], low[1], high[1]),
        origin="lower", cmap="cividis", vmin=0, vmax=1, aspect="auto", interpolation="bilinear",
    )  # fmt: skip
    points = np.array(surface.examples)
    size = 18 if len(points) <= 10 else 2.5
    for label, colour, marker in ((0, "black", "o"), (1, "white", "s")):
        mine = points[points[:, 2] == label]
        ax.scatter(
            mine[:, 0], mine[:, 1], s=size, c=colour, marker=marker, lw=0.4, edgecolors="#808080"
        )


def _histograms(ax: Axes, layers: Sequence[Histogram]) -> None:
    """One column for each layer: the darker, the more of its activations lie there."""
    low, high = min(one.low for one in layers), max(one.high for one in layers)
    edges = np.linspace(low, high if high > low else low + 1.0, BINS + 1)
    image = np.sqrt(np.stack([_shares(one, edges) for one in layers], -1))
    ax.imshow(
        image, extent=(0.5, len(layers) + 0.5, edges[0], edges[-1]),
        origin="lower", cmap="Greys", vmin=0, aspect="auto", interpolation="nearest",
    )  # fmt: skip
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))
    ax.yaxis.set_major_locator(MaxNLocator(nbins=3))
    ax.tick_params(labelsize=6)


def _shares(histogram: Histogram, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share of the values in each of other bins, as if they were even within their own."""
    total = sum(histogram.counts)
    if histogram.high <= histogram.low:
        inside = np.histogram([histogram.low], edges)[0]
        return inside.astype(np.float64)
    own = np.linspace(histogram.low, histogram.high, len(histogram.counts) + 1)
    below = np.concatenate([[0.0], np.cumsum(histogram.counts)])
    shares: NDArray[np.float64] = np.diff(np.interp(edges, own, below)) / total
    return shares


def _label_panels(
    study: Study,
    panels: NDArray[Any],
    made: Grid,
    down: Sequence[Key],
    *,
    across: Sequence[Key] | None = None,
) -> None:
    """Levels over the upper panels and at the right of the last ones."""
    above = made.down if across is None else across
    for ax, key in zip(panels[0], above, strict=True):
        ax.set_title("\n".join(_titled(study, made, key, above)), fontsize=6.5)
    for ax, key in zip(panels[:, -1], down, strict=True):
        if key:
            words = "\n".join(_titled(study, made, key, down))
            ax.annotate(
                words,
                (1.04, 0.5),
                xycoords="axes fraction",
                rotation=270,
                va="center",
                fontsize=6.5,
            )


def _titled(study: Study, made: Grid, key: Key, among: Sequence[Key]) -> Key:
    """The levels of a key; numbers say of what."""
    names = made.rows if among == made.down else made.columns[: len(key)]
    return tuple(
        f"{names_text(study.declaration, (name,))} {level}" if level.isdigit() else level
        for level, name in zip(key, names, strict=False)
    )


def _legend(figure: Figure, texts: Sequence[str], title: str) -> None:
    handles = [
        Line2D(
            [], [], lw=0.9, ms=3, color=COLOURS[i % len(COLOURS)], marker=MARKERS[i % len(MARKERS)]
        )
        for i, _ in enumerate(texts)
    ]
    figure.legend(handles, texts, title=title, loc="outside upper center", ncols=len(texts))
