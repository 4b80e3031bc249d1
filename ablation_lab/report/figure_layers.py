"""Figures of what reaches the layers of a network, and of what it draws between two classes.

In: a Study with probed runs. Out: the first Axes of a figure of panels, which stand as in the
study's layout. The darkness of a histogram means the same in every panel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import ceil, floor, log10
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from numpy.typing import NDArray

from ablation_lab.report.canvas import PALE, styled
from ablation_lab.report.language import msgid, tr, trs
from ablation_lab.report.layout import grid
from ablation_lab.report.marks import key_text, names_text
from ablation_lab.report.panels import Panels, lacking, look_of, say, split
from ablation_lab.report.study import Study
from ablation_lab.store.layers import courses
from ablation_lab.study.record import Histogram, Probed, Surface

LONG = 100  # times the first step that is looked at: then steps are spaced in logarithms
COURSES = {
    "first": msgid("norm of the first\nlayer's gradient"),
    "ratio": msgid("first / last layer,\nnorm of the gradient"),
}


def layer_figures(study: Study) -> dict[str, Callable[[Study], Axes]]:
    """The figures that the probed runs of a study allow, by name."""
    if study.layers.norms.empty:
        return {}
    drawn: dict[str, Callable[[Study], Axes]] = {"gradients": gradient_norms}
    if study.layers.norms["step"].nunique() > 1:
        drawn["gradients_first"] = partial(gradient_course, quantity="first")
        drawn["gradients_ratio"] = partial(gradient_course, quantity="ratio")
    probed = study.layers.probed.values()
    if any(one.surface for one in probed):
        drawn["boundaries"] = boundaries
    return drawn | histogram_figures(study)


@styled()
def gradient_norms(study: Study) -> Axes:
    """Median over runs of the gradient's norm by layer, before the first step."""
    norms = study.layers.norms
    middle = norms[norms["step"] == 0].groupby(["cell", "layer"])["value"].median()
    lines = {str(cell): part.droplevel("cell") for cell, part in middle.groupby("cell")}
    panels = _line_panels(study, lines)
    for ax, _, _ in panels:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return panels.labelled(
        *trs("layer, the first one at the left", "norm of the gradient\nbefore the first step")
    )


@styled()
def gradient_course(study: Study, *, quantity: str) -> Axes:
    """Median over runs along the training of a quantity of `COURSES`."""
    norms = study.layers.norms
    panels = _line_panels(study, courses(norms, quantity))
    for ax in panels.axes[0]:  # a column has one x axis
        _along_steps(ax, norms["step"])
    return panels.labelled(tr("training steps"), tr(COURSES[quantity]))


def _line_panels(study: Study, series: Mapping[str, pd.Series[float]]) -> Panels:
    """A line for each cell, on a logarithmic axis.

    One panel for each row of the layout (across) and level of the first column factor (down), one
    line for each level of the others.
    """
    made = grid(study.declaration)
    upper, lines = split(made.across)
    panels = Panels.of(study.declaration, made, down=upper, across=made.down, share=True)
    positive = [value for each in series.values() for value in each if 0 < value < np.inf]
    # On a logarithmic axis nothing has no place: a norm of zero lies below all others.
    lowest = min(positive, default=1.0) / 10
    for ax, first, down in panels:
        for place, last in enumerate(lines):
            found = made.places.get((down, (*first, *last)))
            if found is not None and found.cell in series:
                _line(ax, series[found.cell].clip(lower=lowest), place)
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.yaxis.set_minor_locator(NullLocator())
        ax.margins(x=0.1)
    if len(lines) > 1:
        title = names_text(study.declaration, made.columns[-1:])
        panels.legend([key_text(key) for key in lines], title)
    return panels


def _along_steps(ax: Axes, steps: pd.Series[int]) -> None:
    """Make the x axis logarithmic, but for its zero, where steps are spaced so."""
    positive = steps[steps > 0]
    if positive.max() <= LONG * positive.min():
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))
        return
    ax.set_xscale("symlog", linthresh=positive.min(), linscale=0.3)
    powers = range(ceil(log10(positive.min())), floor(log10(positive.max())) + 1)
    ax.xaxis.set_major_locator(FixedLocator([0, *(10**power for power in powers)]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


@styled()
def boundaries(study: Study) -> Axes:
    """The probability of class 1 over both inputs, with the training examples, for each cell."""
    made = grid(study.declaration)
    panels = Panels.of(study.declaration, made, down=made.down, across=made.across)
    for ax, down, across in panels:
        ax.set_xticks([])
        ax.set_yticks([])
        ax.grid(visible=False)
        place = made.places.get((down, across))
        seen = study.layers.probed.get(place.cell) if place else None
        if seen is None or seen.surface is None:
            say(ax, lacking(place))
        elif all(value is None for row in seen.surface.values for value in row):
            say(ax, tr("not finite"))
        else:
            _surface(ax, seen.surface)
        ax.set_box_aspect(1)
    return panels.labelled()


def _line(ax: Axes, values: pd.Series[float], place: int) -> None:
    ax.plot(values.index, values, **look_of(place))


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


BINS = 40  # of the axis of a panel
DARKEST = 0.25  # the share of a layer's values in one bin that is black
DECADES = 2  # that a panel of magnitudes reaches below its smallest layer's largest

Floats = NDArray[np.float64]


def histogram_figures(study: Study) -> dict[str, Callable[[Study], Axes]]:
    """The figures of histograms that the probed runs of a study allow, by name."""
    probed = study.layers.probed.values()
    drawn: dict[str, Callable[[Study], Axes]] = {}
    for quantity, name, draw in (
        ("activation", "activations", activation_histograms),
        ("gradient", "gradients_entries", gradient_histograms),
    ):
        if any(one.histograms(quantity, last=False) for one in probed):
            drawn[name] = partial(draw, last=False)
            drawn[f"{name}_trained"] = partial(draw, last=True)
    return drawn


@styled()
def activation_histograms(study: Study, *, last: bool) -> Axes:
    """How often each activation occurs, hidden layer by hidden layer.

    Before the first step, or after the last one that was looked at.
    """

    def hidden(seen: Probed) -> tuple[Histogram, ...]:
        return seen.histograms("activation", last=last)[:-1]

    return _panels(
        study, hidden, _draw_values, trs("hidden layer, the first one at the left", "activation")
    )


@styled()
def gradient_histograms(study: Study, *, last: bool) -> Axes:
    """How often the entries of each layer's gradient have which magnitude."""

    def layers(seen: Probed) -> tuple[Histogram, ...]:
        return seen.histograms("gradient", last=last)

    return _panels(
        study,
        layers,
        _draw_magnitudes,
        trs("layer, the first one at the left", "magnitude of the gradient"),
    )


def _panels(
    study: Study,
    layers_of: Callable[[Probed], tuple[Histogram, ...]],
    draw: Callable[[Axes, Sequence[Histogram]], None],
    words: Sequence[str],
) -> Axes:
    made = grid(study.declaration)
    upper, lower = split(made.across)
    panels = Panels.of(study.declaration, made, down=upper, across=lower)
    for ax, first, second in panels:
        place = made.places.get((made.down[-1], (*first, *second)))
        seen = study.layers.probed.get(place.cell) if place else None
        layers = layers_of(seen) if seen else ()
        if any(one.counts for one in layers):
            ax.grid(visible=False)
            draw(ax, layers)
        else:
            unseen = tr("no hidden layer") if seen else lacking(place)
            say(ax, tr("not finite") if layers else unseen)
    return panels.labelled(*words)


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
        say(ax, tr("all zero"))
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
