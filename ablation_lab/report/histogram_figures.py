"""Figures of histograms by layer: the activations, and the magnitudes of the gradients.

In: a Study with observed runs. Out: the first Axes of a figure of panels, one for each cell of the
layout's last row. The darkness of a panel means the same in every one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import log10
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from ablation_lab.report.canvas import PALE, styled
from ablation_lab.report.layout import grid
from ablation_lab.report.panels import label_panels, lacking, new_panels, pairs, say, split
from ablation_lab.report.study import Study
from ablation_lab.store.layers import Histogram, Observation

BINS = 40  # of the axis of a panel
DARKEST = 0.25  # the share of a layer's values in one bin that is black
DECADES = 2  # that a panel of magnitudes reaches below its smallest layer's largest

Floats = NDArray[np.float64]


def histogram_figures(study: Study) -> dict[str, Callable[[Study], Axes]]:
    """The figures of histograms that the observed runs of a study allow, by name."""
    observed = study.layers.observations.values()
    drawn: dict[str, Callable[[Study], Axes]] = {}
    for quantity, name, draw in (
        ("activation", "activations", activation_histograms),
        ("gradient", "gradients_entries", gradient_histograms),
    ):
        if any(one.of(quantity, last=False) for one in observed):
            drawn[name] = partial(draw, last=False)
            drawn[f"{name}_trained"] = partial(draw, last=True)
    return drawn


@styled()
def activation_histograms(study: Study, *, last: bool) -> Axes:
    """How often each activation occurs, hidden layer by hidden layer.

    Before the first step, or after the last one that was looked at.
    """

    def hidden(seen: Observation) -> tuple[Histogram, ...]:
        return seen.of("activation", last=last)[:-1]

    return _panels(study, hidden, _draw_values, ("hidden layer", "activation"))


@styled()
def gradient_histograms(study: Study, *, last: bool) -> Axes:
    """How often the entries of each layer's gradient have which magnitude."""

    def layers(seen: Observation) -> tuple[Histogram, ...]:
        return seen.of("gradient", last=last)

    return _panels(study, layers, _draw_magnitudes, ("layer", "magnitude of the gradient"))


def _panels(
    study: Study,
    layers_of: Callable[[Observation], tuple[Histogram, ...]],
    draw: Callable[[Axes, Sequence[Histogram]], None],
    words: tuple[str, str],
) -> Axes:
    made = grid(study.declaration)
    upper, lower = split(made.across)
    figure, panels = new_panels(down=len(upper), across=len(lower))
    for (row, first), (column, second) in pairs(upper, lower):
        ax = panels[row, column]
        place = made.places.get((made.down[-1], (*first, *second)))
        seen = study.layers.observations.get(place.cell) if place else None
        layers = layers_of(seen) if seen else ()
        if any(one.counts for one in layers):
            ax.grid(visible=False)
            draw(ax, layers)
        else:
            unseen = "no hidden layer" if seen else lacking(place)
            say(ax, "not finite" if layers else unseen)
    label_panels(study, panels, made, upper, across=lower)
    figure.supxlabel(f"{words[0]}, the first one at the left", fontsize=7)
    figure.supylabel(words[1], fontsize=7)
    corner: Axes = panels[0, 0]
    return corner


def _draw_values(ax: Axes, layers: Sequence[Histogram]) -> None:
    """Values upwards, one column for each layer."""
    known = [one for one in layers if one.counts]
    low, high = min(one.low for one in known), max(one.high for one in known)
    edges = np.linspace(low, high if high > low else low + 1.0, BINS + 1)
    _paint(ax, [shares(one, edges) if one.counts else None for one in layers], edges)


def _draw_magnitudes(ax: Axes, layers: Sequence[Histogram]) -> None:
    """Magnitudes upwards on a logarithmic axis, one column for each layer."""
    edges = magnitude_edges(layers)
    if edges is None:
        say(ax, "all zero")
        return
    columns = [magnitude_shares(one, edges) if one.counts else None for one in layers]
    _paint(ax, columns, np.log10(edges))
    ax.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{10.0**value:g}"))


def shares(histogram: Histogram, edges: Floats) -> Floats:
    """The share of the values in each of other bins, as if they were even within their own."""
    if histogram.high <= histogram.low:
        return np.histogram([histogram.low], edges)[0].astype(np.float64)
    return np.diff(_cumulated(histogram, edges))


def magnitude_edges(layers: Sequence[Histogram]) -> Floats | None:
    """Equal bins of the logarithm; None where every value of every layer is zero."""
    tops = [max(abs(one.low), abs(one.high)) for one in layers if one.counts]
    positive = [top for top in tops if top > 0]
    if not positive:
        return None
    edges = np.logspace(log10(min(positive)) - DECADES, log10(max(positive)), BINS + 1)
    edges[-1] = max(positive)  # rounding must not leave the largest value outside
    return edges


def magnitude_shares(histogram: Histogram, edges: Floats) -> Floats:
    """The share of the magnitudes in each bin; what lies below all of them is in the lowest."""
    if histogram.high <= histogram.low:
        within = max(abs(histogram.low), edges[0])
        return np.histogram([within], edges)[0].astype(np.float64)
    below = _cumulated(histogram, edges) - _cumulated(histogram, -edges)
    below[0] = 0.0
    return np.diff(below)


def _cumulated(histogram: Histogram, values: Floats) -> Floats:
    """The share of a histogram's values that lie below each of these."""
    own = np.linspace(histogram.low, histogram.high, len(histogram.counts) + 1)
    below = np.concatenate([[0.0], np.cumsum(histogram.counts)])
    made: Floats = np.interp(values, own, below) / sum(histogram.counts)
    return made


def _paint(ax: Axes, columns: Sequence[Floats | None], edges: Floats) -> None:
    """Shares as darkness, by their square root; a cross in the column of a layer without any."""
    image = np.sqrt([np.zeros(BINS) if shares is None else shares for shares in columns]).T
    extent = (0.5, len(columns) + 0.5, float(edges[0]), float(edges[-1]))
    shown: dict[str, Any] = {"origin": "lower", "aspect": "auto", "interpolation": "nearest"}
    ax.imshow(image, extent=extent, cmap="Greys", vmin=0, vmax=DARKEST**0.5, **shown)
    lost = [number for number, shares in enumerate(columns, start=1) if shares is None]
    ax.plot(lost, [0.5] * len(lost), "x", color=PALE, ms=3, transform=ax.get_xaxis_transform())
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))
    ax.yaxis.set_major_locator(MaxNLocator(nbins=3))
    ax.tick_params(labelsize=6)
