"""Figures of what reaches the layers of a network, and of what it draws between two classes.

In: a Study with observed runs. Out: the first Axes of a figure of panels, which stand as in the
study's layout.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from math import ceil, floor, log10
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from numpy.typing import NDArray

from ablation_lab.report.canvas import COLOURS, MARKERS, styled
from ablation_lab.report.histogram_figures import histogram_figures
from ablation_lab.report.layout import grid
from ablation_lab.report.marks import key_text, names_text
from ablation_lab.report.panels import (
    label_panels,
    lacking,
    legend_over,
    new_panels,
    pairs,
    say,
    split,
)
from ablation_lab.report.study import Study
from ablation_lab.store.layers import Surface, courses

LONG = 100  # times the first step that is looked at: then steps are spaced in logarithms
COURSES = {
    "first": "norm of the first\nlayer's gradient",
    "ratio": "first / last layer,\nnorm of the gradient",
}


def layer_figures(study: Study) -> dict[str, Callable[[Study], Axes]]:
    """The figures that the observed runs of a study allow, by name."""
    if study.layers.norms.empty:
        return {}
    drawn: dict[str, Callable[[Study], Axes]] = {"gradients": gradient_norms}
    if study.layers.norms["step"].nunique() > 1:
        drawn["gradients_first"] = partial(gradient_course, quantity="first")
        drawn["gradients_ratio"] = partial(gradient_course, quantity="ratio")
    observed = study.layers.observations.values()
    if any(observation.surface for observation in observed):
        drawn["boundaries"] = boundaries
    return drawn | histogram_figures(study)


@styled()
def gradient_norms(study: Study) -> Axes:
    """Median over runs of the gradient's norm by layer, before the first step."""
    norms = study.layers.norms
    middle = norms[norms["step"] == 0].groupby(["cell", "layer"])["value"].median()
    lines = {str(cell): part.droplevel("cell") for cell, part in middle.groupby("cell")}
    figure, panels = _line_panels(study, lines)
    for ax in panels.flat:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    figure.supxlabel("layer, the first one at the left", fontsize=7)
    figure.supylabel("norm of the gradient\nbefore the first step", fontsize=7)
    corner: Axes = panels[0, 0]
    return corner


@styled()
def gradient_course(study: Study, *, quantity: str) -> Axes:
    """Median over runs along the training of a quantity of `COURSES`."""
    norms = study.layers.norms
    figure, panels = _line_panels(study, courses(norms, quantity))
    for ax in panels[0]:  # a column has one x axis
        _along_steps(ax, norms["step"])
    figure.supxlabel("training steps", fontsize=7)
    figure.supylabel(COURSES[quantity], fontsize=7)
    corner: Axes = panels[0, 0]
    return corner


def _line_panels(
    study: Study, series: Mapping[str, pd.Series[float]]
) -> tuple[Figure, NDArray[Any]]:
    """A line for each cell, on a logarithmic axis.

    One panel for each row of the layout (across) and level of the first column factor (down), one
    line for each level of the others.
    """
    made = grid(study.declaration)
    upper, lines = split(made.across)
    figure, panels = new_panels(down=len(upper), across=len(made.down), share=True)
    positive = [value for each in series.values() for value in each if 0 < value < np.inf]
    # On a logarithmic axis nothing has no place: a norm of zero lies below all others.
    lowest = min(positive, default=1.0) / 10
    for (row, first), (column, down) in pairs(upper, made.down):
        ax = panels[row, column]
        for place, last in enumerate(lines):
            found = made.places.get((down, (*first, *last)))
            if found is not None and found.cell in series:
                _line(ax, series[found.cell].clip(lower=lowest), place)
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.yaxis.set_minor_locator(NullLocator())
        ax.margins(x=0.1)
    label_panels(study, panels, made, upper)
    if len(lines) > 1:
        title = names_text(study.declaration, made.columns[-1:])
        legend_over(figure, [key_text(key) for key in lines], title)
    return figure, panels


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
    _, panels = new_panels(down=len(made.down), across=len(made.across), share=False)
    for (row, down), (column, across) in pairs(made.down, made.across):
        ax = panels[row, column]
        ax.set_xticks([])
        ax.set_yticks([])
        ax.grid(visible=False)
        place = made.places.get((down, across))
        seen = study.layers.observations.get(place.cell) if place else None
        if seen is None or seen.surface is None:
            say(ax, lacking(place))
        elif all(value is None for row in seen.surface.values for value in row):
            say(ax, "not finite")
        else:
            _surface(ax, seen.surface)
        ax.set_box_aspect(1)
    label_panels(study, panels, made, made.down, across=made.across)
    corner: Axes = panels[0, 0]
    return corner


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
