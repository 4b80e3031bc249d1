"""What rooms below say, and what data files hold, as a report knows it again to translate it.

Statistics and store speak English: their words stand in `cells.csv` and `values.csv`, which other
programs read. Here their forms are listed for the catalogue; a test finds each in their source.
"""

from __future__ import annotations

from ablation_lab.report.language import msgids

WORDS = msgids(
    # Verdicts of comparisons, rules, effects.
    "better", "worse", "equivalent", "undecided", "no difference shown", "no test",
    "converged runs only", "median instead of mean", "t tests with Holm", "unpaired with Holm",
    "effect", "added alone", "left out", "Shapley value",
    "interactions of three or more", "replicate (seed)", "residual",
    # Verdicts on reference values, and their kinds.
    "equal", "consistent", "differs", "not decidable", "reported", "not attempted", "cell lost",
    # Intervals and tests.
    "t", "Wilson", "two kinds of runs", "none (no run)", "none (one run)",
    "no spread (all runs equal)", "none (one run a cell)", "none (too few replicates)",
    "joint sign flips", "t tests, assumes normal spread", "unpaired t tests, assumes normal means",
    # Runs.
    "finished", "failed", "skipped", "missing", "not needed", "not run", "excluded",
    "no finished run", "none", "killed", "still running or killed",
    # Metrics that are the lab's own.
    "test accuracy", "val accuracy", "train accuracy", "test loss", "val loss", "train loss",
    "success", "test distance", "prediction", "validation accuracy",
    # Which state of a run is reported.
    "Values are those after the last step of training.",
    "Values are those of the best point of each run's validation curve; the test set was scored "
    "once, in that state, and chose nothing.",
    "Training ended when the validation curve had not improved for the declared patience, and "
    "values are those of its best point; the test set was scored once, in that state, and chose "
    "nothing.",
    "Cells differ in the state that they report, as their levels say: after the last step, or the "
    "best point of the validation curve; the test set was scored once a run and chose nothing.",
    "Values are those of the imported table, which does not say of which state.",
    "No effects are given: they rest on replicates that every cell has.",
    "the source prints no value that could be compared",
    "does not have this profile",
    "table", "charts", "compare",
    # Data sets that come with the lab.
    "exclusive or, 4 rows; train, validation and test are the same rows (truth table)",
    "two spirals, 97 points each; train, validation and test are the same rows (Lang and Witbrock "
    "1988)",
    "handwritten digits, pixels / 16; fixed split by hash, 1,197 train, 300 validation, 300 test "
    "(scikit-learn; UCI, Alpaydin and Kaynak 1998)",
    "MNIST digits, pixels / 255; train images 5,000-59,999, validation the FIRST 5,000, test "
    "10,000 (LeCun, Cortes, Burges)",
    "Fashion-MNIST, pixels / 255; train images 5,000-59,999, validation the FIRST 5,000, test "
    "10,000 (Zalando Research, MIT)",
    "CIFAR-10, pixels / 255; train 45,000, validation the LAST 5,000 of batches 1-5, test 10,000 "
    "(Krizhevsky, Nair, Hinton 2009)",
)  # fmt: skip
PHRASES = (*WORDS, *msgids(
    "needs n ≥ {needs}",
    "{word} (n ≥ {needs})",
    # Why there is no result.
    "not run, needs {what}",
    "{count} failed: {why}", "{count} missing: {why}", "skipped: {why}",
    "{command} trains what is missing", "{command} trains it",
    "not in {file}",
    "runs of two kinds: {upper} of {n} around {high} %, {lower} around {low} %",
    "median {middle} %", "median {middle} % [{low}, {high}]",
    # Effects of factors, tasks.
    "{common} of {most} replicates, those that every cell finished",
    "of {common} replicates the first {first}",
    "without {cells}: not every factor applies", "without {cells}: no finished run",
    "without {cells}: excluded",
    "No effects are given: only {common} of {most} replicates have a value in every cell, and "
    "effects over those alone would speak of the runs that went well.",
    "{tasks} tasks; a statement over tasks needs {few}",
    "methods with a run of each of the {tasks} tasks: {n}, of 2 needed",
    # Reference values.
    "Of {m} printed {runs_} that could be judged, {expected} may differ by chance at 5 % and "
    "{misses} {do_} (so many or more with p = {p}); all together have p = {pooled} (Fisher), so "
    "that the family {agree} with ours.",
    "agrees", "does not agree",
    "{n} reference values, of which {count} print numbers, {more} in all",
    "ours {ours}", "ours {ours}: {apart} from {printed}, allowed {slack}",
    "{within} of {n} runs within the tolerance", "the farthest: {why}", "tolerance: {why}",
    "no spread of {n} runs", "no spread of {n} run",
    "rank p = {p}", "95 % prediction interval {low} to {high}",
    "would notice a run {shift} standard deviations away in {power} %",
    "would notice a run {shift} standard deviations away in at least {power} %",
    "{near} of our {n} runs come within {shift} standard deviations of it",
    "{near} of {n} runs come as near to {target} as it",
    "it has no prediction interval: our {n} runs there are not of one normal kind",
    "{lacking} of {count} numbers have no prediction interval: our {n} runs there are not of one "
    "normal kind",
    "study {study}: {why}", "study {study} was not run under this profile",
    "this profile leaves {place} out",
    "this profile trains {place} on {data}, the value is about {other}",
    "the source does not print {assumed}",
    "one printed run with {others}, {n} numbers: {why}",
    "{first} against {second} of {worse}, p = {p}", "ours is {standing}: {why}",
    "among the {solved} of {n} runs that solved it", "{n} runs have no {metric}",
    "{n} runs without costs there", "{kept} of {n} printed points are recorded",
    # Cost, and what was fixed beforehand.
    "{cpu} of CPU in {n} runs", "{cpu} of CPU, {gpu} of GPU in {n} runs",
    "a verdict cost about {cost}",
    "{cpu} of CPU", "{cpu} of CPU, {gpu} of GPU",
    "to decide {n} that are open, if they are as estimated, would cost about {cost}, {more} runs",
    "{n} open would take more than {most} replicates",
    "Question, comparisons, baseline, rules, bands, tolerances and replicates were fixed "
    "beforehand: sealed on {moment} (sha256 {digest}, commit {commit}), {seen}.",
    "Question, comparisons, baseline, rules, bands, tolerances and replicates were not fixed "
    "beforehand: they were sealed on {moment} (sha256 {digest}, commit {commit}), {seen}.",
    "Question, comparisons, baseline, rules, bands, tolerances and replicates were sealed on "
    "{moment} (sha256 {digest}, commit {commit}), {seen}, but an entry of the protocol was changed "
    "afterwards.",
    "before any run had finished", "after {n} runs had finished", "after {n} run had finished",
    "Amended on {moment}, {seen}: {changes}.", "and {n} more",
    # What a store has that a reader should know of.
    "{cell}, replicate {replicate}: {n} finished runs with key {key}", "the earliest counts",
    "{cell}: {n} converged runs have no {metric}", "they enter no estimate",
))  # fmt: skip
