"""What each figure shows, in words.

In: a study and the name of a figure. Out: its caption.
"""

from __future__ import annotations

from ablation_lab.report.formatting import rule_caption
from ablation_lab.report.language import msgid, tr, tr_known, trn
from ablation_lab.report.marks import few_values
from ablation_lab.report.study import Study
from ablation_lab.statistics.intervals import FEW

COURSE = msgid(
    "Median over runs; zero lies at the lower end, and a line ends where half of the "
    "runs are no longer finite."
)
DARKNESS = msgid(
    "First replicate of each cell in the last row of the layout; darkness is the "
    "share of a layer's values in a fortieth of the axis, in every panel alike: "
    "white none, black a quarter or more. Cross: a layer with values that are not "
    "finite; 'not probed': no run was looked into."
)
SHOWN = {
    "calibration": msgid(
        "The p of every printed run that could be judged, in order (dots), over where it "
        "lies if all of them came from our recipes; the band holds 95 % of each. Dots "
        "below the dashed line differ."
    ),
    "verdicts": msgid("Verdicts on the reference values that the checks answer."),
    "points": msgid("Estimate and 95 % interval of every cell."),
    "heat": msgid(
        "Estimate at every place of the table; hatched where runs of it did not converge."
    ),
    "ladder": msgid("Ours with its 95 % interval (dot) beside the reference value (diamond)."),
    "forest": msgid(
        "The study's comparisons, with verdicts and with intervals that "
        "hold all of them together with 95 %; of too few runs for a verdict they may "
        "reach beyond the axis."
    ),
    "training": msgid("Training: median and the band that holds 80 % of the runs."),
    "effects": msgid("Mean over all cells with a level, with 95 % intervals: the main effects."),
    "credits": msgid(
        "What each change from the baseline is worth: alone, averaged over all orders of "
        "the changes (Shapley value), and with all others made; joint 95 % intervals."
    ),
    "importance": msgid("Shares of the variance and importance in a forest, with 95 % intervals."),
    "gradients": msgid(
        "Norm of the gradient of each layer's weights before the first step, median over "
        "runs; a norm of zero lies at the lower end."
    ),
    "gradients_first": msgid(
        "Norm of the gradient of the first layer's weights along the training."
    ),
    "gradients_ratio": msgid(
        "The same norm divided by that of the last layer: far below 1 the gradient "
        "vanishes on its way."
    ),
    "boundaries": msgid(
        "Probability of class 1 over both inputs after training (dark 0, light 1), first "
        "replicate of each cell; dots are examples of class 0, squares of class 1."
    ),
    "activations": msgid("Activations by layer before the first step."),
    "activations_trained": msgid("Activations by layer after training; darkness as before it."),
    "gradients_entries": msgid(
        "Magnitudes of the entries of each layer's gradient before the first step; what "
        "lies below an axis, such as zero, is in its lowest row."
    ),
    "gradients_entries_trained": msgid(
        "The same magnitudes after training; darkness as before it."
    ),
    "profiles": msgid(
        "Share of runs whose score is above the threshold, mean over tasks, with "
        "pointwise 95 % bands of runs drawn again by task: a line that lies higher is "
        "better there."
    ),
    "ranks": msgid(
        "Mean rank over tasks, 1 is best; methods that one bar joins are not told apart "
        "(Nemenyi, 5 %)."
    ),
    "samples": msgid(
        "Generated images after training, of the first replicate of each cell of which "
        "the store has them; x: none."
    ),
    "members": msgid(
        "Ensembles by size with 95 % intervals; the band holds 80 % of single members."
    ),
}
# What is said behind it.
FURTHER = {
    "gradients_first": (COURSE,),
    "gradients_ratio": (COURSE,),
    "activations": (DARKNESS,),
    "gradients_entries": (DARKNESS,),
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
    says = tr("Estimate and 95 % interval by {factor}.", factor=factor)
    if name in SHOWN:
        says = " ".join(map(tr, (SHOWN[name], *FURTHER.get(name, ()))))
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
    return tr(" Each row minus {cell}.", cell=others.pop()) if len(others) == 1 else ""


def _runs(study: Study, *, intervals: bool) -> str:
    """'n = 3 to 10 runs a cell; intervals: t.'."""
    held = study.cells[study.cells["n"] > 0]
    if held.empty:
        return ""
    low, high = held["n"].min(), held["n"].max()
    span = f"{low}" if low == high else tr("{low} to {high}", low=low, high=high)
    kinds = held.loc[held["low"] < held["high"], "interval"].unique() if intervals else ()
    drawn = (
        tr("; intervals: {kinds}", kinds=", ".join(map(tr_known, sorted(kinds))))
        if len(kinds)
        else ""
    )
    return trn(
        "n = {span} run a cell{drawn}.",
        "n = {span} runs a cell{drawn}.",
        high,
        span=span,
        drawn=drawn,
    )


def _dots(study: Study) -> str:
    """What the grey dots of a figure of all cells are, where any is drawn."""
    cells = [cell.cell for cell in study.declaration.cells if not cell.trains_members]
    runs = [len(few_values(study, cell)) for cell in cells]
    if not any(runs):
        return ""
    where = "" if all(runs) else tr(", where fewer than {few} or of two kinds", few=FEW)
    return tr(" Grey dots are single runs{where}.", where=where)
