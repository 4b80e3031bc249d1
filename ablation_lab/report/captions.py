"""What each figure shows, in words.

In: a study and the name of a figure. Out: its caption.
"""

from __future__ import annotations

from ablation_lab.report.formatting import rule_caption
from ablation_lab.report.marks import few_values
from ablation_lab.report.study import Study
from ablation_lab.statistics.intervals import FEW

COURSE = (
    "Median over runs; zero lies at the lower end, and a line ends where half of the runs are no "
    "longer finite."
)
DARKNESS = (
    "First replicate of each cell in the last row of the layout; darkness is the share of a "
    "layer's values in a fortieth of the axis, in every panel alike: white none, black a quarter "
    "or more. Cross: a layer with values that are not finite; 'not probed': no run was looked "
    "into."
)
SHOWN = {
    "calibration": "The p of every printed run that could be judged, in order (dots), over where "
    "it lies if all of them came from our recipes; the band holds 95 % of each. Dots below the "
    "dashed line differ.",
    "verdicts": "Verdicts on the reference values that the checks answer.",
    "points": "Estimate and 95 % interval of every cell.",
    "heat": "Estimate at every place of the table; hatched where runs of it did not converge.",
    "ladder": "Ours with its 95 % interval (dot) beside the reference value (diamond).",
    "forest": "Differences that the study asks about, with verdicts and with intervals that hold "
    "all of them together with 95 %; of too few runs for a verdict they may reach beyond the axis.",
    "training": "Training: median and the band that holds 80 % of the runs.",
    "effects": "Mean over all cells with a level, with 95 % intervals: the main effects.",
    "credits": "What each change from the baseline is worth: alone, averaged over all orders of "
    "the changes (Shapley value), and with all others made; joint 95 % intervals.",
    "importance": "Shares of the variance and importance in a forest, with 95 % intervals.",
    "gradients": "Norm of the gradient of each layer's weights before the first step, median over "
    "runs; a norm of zero lies at the lower end.",
    "gradients_first": "Norm of the gradient of the first layer's weights along the training. "
    f"{COURSE}",
    "gradients_ratio": "The same norm divided by that of the last layer: far below 1 the gradient "
    f"vanishes on its way. {COURSE}",
    "boundaries": "Probability of class 1 over both inputs after training (dark 0, light 1), first "
    "replicate of each cell; dots are examples of class 0, squares of class 1.",
    "activations": f"Activations by layer before the first step. {DARKNESS}",
    "activations_trained": "Activations by layer after training; darkness as before it.",
    "gradients_entries": "Magnitudes of the entries of each layer's gradient before the first "
    f"step; what lies below an axis, such as zero, is in its lowest row. {DARKNESS}",
    "gradients_entries_trained": "The same magnitudes after training; darkness as before it.",
    "profiles": "Share of runs whose score is above the threshold, mean over tasks, with pointwise "
    "95 % bands of runs drawn again by task: a line that lies higher is better there.",
    "ranks": "Mean rank over tasks, 1 is best; methods that one bar joins are not told apart "
    "(Nemenyi, 5 %).",
    "samples": "Generated images after training, of the first replicate of each cell of which the "
    "store has them; x: none.",
    "members": "Ensembles by size with 95 % intervals; the band holds 80 % of single members.",
}
# They show single runs, the first of each cell, or none.
SINGLE = (
    "verdicts", "boundaries", "activations", "activations_trained", "gradients_entries",
    "gradients_entries_trained", "samples",
)  # fmt: skip
# They show a course or a state of their own, and say which.
WITHOUT_RULE = (*SINGLE, "training", "gradients", "gradients_first", "gradients_ratio")
WITH_INTERVALS = ("points", "ladder", "members")  # of every cell, and of what is drawn by a factor


def caption_of(study: Study, name: str) -> str:
    """What a figure of a study shows, of how many runs, and of which state of a run."""
    factor = name.removeprefix("by_")
    says = SHOWN.get(name) or f"Estimate and 95 % interval by {factor}."
    says += _dots(study) if name == "points" else ""
    says += _minus(study) if name == "forest" else ""
    runs = (
        "" if name in SINGLE else _runs(study, intervals=name in (*WITH_INTERVALS, f"by_{factor}"))
    )
    rule = "" if name in WITHOUT_RULE else rule_caption(study.declaration)
    return " ".join(filter(None, (says, runs, rule)))


def _minus(study: Study) -> str:
    """What every difference of a forest is to, where that is one cell."""
    others = {each.second.cell for each in study.comparisons}
    return f" Each row minus {others.pop()}." if len(others) == 1 else ""


def _runs(study: Study, *, intervals: bool) -> str:
    """'n = 3 to 10 runs a cell; intervals: t.'."""
    held = study.cells[study.cells["n"] > 0]
    if held.empty:
        return ""
    low, high = held["n"].min(), held["n"].max()
    span = f"{low}" if low == high else f"{low} to {high}"
    kinds = held.loc[held["low"] < held["high"], "interval"].unique() if intervals else ()
    drawn = f"; intervals: {', '.join(sorted(kinds))}" if len(kinds) else ""
    return f"n = {span} {'run' if high == 1 else 'runs'} a cell{drawn}."


def _dots(study: Study) -> str:
    """What the grey dots of a figure of all cells are, where any is drawn."""
    cells = [cell.cell for cell in study.declaration.cells if not cell.trains_members]
    runs = [len(few_values(study, cell)) for cell in cells]
    if not any(runs):
        return ""
    where = "" if all(runs) else f", where fewer than {FEW} or of two kinds"
    return f" Grey dots are single runs{where}."
