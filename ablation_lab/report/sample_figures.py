"""The figure of what generative runs made.

In: a Study with pictures of samples. Out: the first Axes of a figure of panels, which stand as in
the study's layout; a layout of one column stands side by side.
"""

from __future__ import annotations

from matplotlib.axes import Axes

from ablation_lab.report.canvas import styled
from ablation_lab.report.layout import Key, grid
from ablation_lab.report.panels import label_panels, new_panels, pairs, say
from ablation_lab.report.study import Study
from ablation_lab.store.samples import Image

SIDE = 2.3  # inches: 8 x 8 digits of 28 pixels, twice as large as stored in a figure's PNG


@styled()
def sample_grids(study: Study) -> Axes:
    """Generated images of one run of each cell, pixel by pixel; 'x' where there are none."""
    made = grid(study.declaration)
    one_column = len(made.across) == 1
    down: tuple[Key, ...] = ((),) if one_column else made.down
    across = made.down if one_column else made.across
    _, panels = new_panels(down=len(down), across=len(across), side=SIDE, height=SIDE)
    for (row, first), (column, second) in pairs(down, across):
        ax = panels[row, column]
        place = made.places.get((second, made.across[0]) if one_column else (first, second))
        image = study.samples.images.get(place.cell) if place else None
        if image is None:
            say(ax, "x")
            ax.set_box_aspect(1)
        else:
            _draw(ax, image)
    label_panels(study, panels, made, down, across=across)
    corner: Axes = panels[0, 0]
    return corner


def _draw(ax: Axes, image: Image) -> None:
    ax.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="none")
    ax.set_axis_off()
