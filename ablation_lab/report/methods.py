"""How the numbers were made, with the works that say so.

In: studies. Out: sentences that end with the numbers of their references, and the references. Only
methods that these studies used are named.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ablation_lab.report.study import Study

STATEMENTS = (
    (
        "t",
        "A mean over fewer than ten converged runs carries a 95 % t-interval over replicates, and "
        "figures show every run.",
    ),
    (
        "BCa bootstrap",
        "A mean over ten or more converged runs carries a 95 % BCa bootstrap interval over "
        "replicates (10,000 resamples, fixed generator).",
    ),
    ("Wilson", "A success share k/n carries Wilson's 95 % interval."),
    (
        "paired sign-flip",
        "Replicate r has the same data order in every cell, so differences are paired: a sign-flip "
        "permutation test, exact up to twelve pairs.",
    ),
    ("Fisher exact", "Success shares are compared by Fisher's exact test; their difference carries "
                     "Newcombe's interval."),
    ("Holm", "p-values are corrected by Holm's procedure over the table; a cell is set in bold "
             "only where it beats the runner-up after correction."),
)  # fmt: skip
CONVERGENCE = (
    "A run did not converge by declared rules: a loss or parameter is not "
    "finite, or at the end the training loss exceeds 0.98·ln C, or the accuracy is at most five "
    "points above chance. Where a study measures an accuracy, that decides and the loss does not: "
    "a network that is sure and sometimes errs has a high loss."
)


def methods(studies: Sequence[Study]) -> tuple[str, ...]:
    """The sentences on methods that these studies used, with reference numbers."""
    if not studies:
        return ()
    used, works = used_words(studies), cited(studies)
    said = [*protocols(studies), CONVERGENCE]
    for word, text in STATEMENTS:
        if word in used:
            said.append(text + _numbers([word], works))
    ideas = [work for work in works if not set(work.words) & {word for word, _ in STATEMENTS}]
    if ideas:
        listed = ", ".join(str(works.index(work) + 1) for work in ideas)
        said.append(f"Data, models and training follow [{listed}].")
    return tuple(said)


def protocols(studies: Sequence[Study]) -> list[str]:
    """What each study promised before its first run, if it did, and what it changed since."""
    return [
        sentence if len(studies) == 1 else f"{study.name}: {sentence}"
        for study in studies
        if study.protocol
        for sentence in study.protocol.sentences
    ]


def cited(studies: Sequence[Study]) -> tuple[Work, ...]:
    """The references that these studies call for."""
    return references(used_words(studies))


def used_words(studies: Sequence[Study]) -> set[str]:
    """The names of intervals, tests, trainers, data and settings that the studies used."""
    return {word for study in studies for word in _words(study)}


def _words(study: Study) -> Iterator[str]:
    yield "Holm"
    yield from (str(name) for name in study.cells["interval"])
    yield from (str(name) for name in study.cells["test"] if name)
    yield from (str(name) for name in study.frame["trainer"] if name)
    for cell in study.declaration.cells:
        yield from _leaves(cell.config)
    for factor in study.declaration.factors:
        yield factor.name
        yield from factor.levels


def _leaves(config: Mapping[str, Any]) -> Iterator[str]:
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _leaves(value)
            if name == "ensemble" and value:
                yield name
        elif name == "keep_prob" and value != 1:
            yield name
        elif isinstance(value, str):
            yield value


def _numbers(words: Sequence[str], works: Sequence[Work]) -> str:
    found = [str(i) for i, work in enumerate(works, 1) if set(work.words) & set(words)]
    return f" [{', '.join(found)}]" if found else ""


@dataclass(frozen=True)
class Work:
    """A published work, and the words whose use in a study calls for it."""

    text: str
    words: tuple[str, ...]


WORKS = (
    Work("E. B. Wilson. Probable inference, the law of succession, and statistical inference. "
         "JASA 22, 1927.", ("Wilson",)),
    Work("B. Efron. Better bootstrap confidence intervals. JASA 82, 1987.", ("BCa bootstrap",)),
    Work("S. Holm. A simple sequentially rejective multiple test procedure. Scandinavian Journal "
         "of Statistics 6, 1979.", ("Holm",)),
    Work("R. A. Fisher. The Design of Experiments. Oliver and Boyd, 1935.",
         ("paired sign-flip", "Fisher exact")),
    Work("R. G. Newcombe. Interval estimation for the difference between independent proportions. "
         "Statistics in Medicine 17, 1998.", ("Fisher exact",)),
    Work("Y. LeCun, L. Bottou, Y. Bengio, P. Haffner. Gradient-based learning applied to document "
         "recognition. Proceedings of the IEEE 86, 1998.", ("mnist",)),
    Work("H. Xiao, K. Rasul, R. Vollgraf. Fashion-MNIST. arXiv:1708.07747, 2017.",
         ("fashion_mnist",)),
    Work("A. Krizhevsky. Learning multiple layers of features from tiny images. 2009.",
         ("cifar10",)),
    Work("X. Glorot, Y. Bengio. Understanding the difficulty of training deep feedforward neural "
         "networks. AISTATS 2010.", ("xavier_uniform", "xavier_normal")),
    Work("K. He, X. Zhang, S. Ren, J. Sun. Delving deep into rectifiers. ICCV 2015.",
         ("he_normal",)),
    Work("A. M. Saxe, J. L. McClelland, S. Ganguli. Exact solutions to the nonlinear dynamics of "
         "learning in deep linear neural networks. ICLR 2014.", ("orthonormal",)),
    Work("D. Mishkin, J. Matas. All you need is a good init. ICLR 2016.", ("lsuv",)),
    Work("I. Goodfellow, D. Warde-Farley, M. Mirza, A. Courville, Y. Bengio. Maxout networks. "
         "ICML 2013.", ("maxout",)),
    Work("N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever, R. Salakhutdinov. Dropout: a "
         "simple way to prevent neural networks from overfitting. JMLR 15, 2014.", ("keep_prob",)),
    Work("D. P. Kingma, J. Ba. Adam: a method for stochastic optimization. ICLR 2015.", ("adam",)),
    Work("L. K. Hansen, P. Salamon. Neural network ensembles. IEEE TPAMI 12, 1990.",
         ("ensemble",)),
    Work("S. Wang, P. Yang, Y. Zheng, X. Li, G. Pekhimenko. Horizontally fused training array. "
         "MLSys 2021.", ("stacked",)),
)  # fmt: skip


def references(words: Collection[str]) -> tuple[Work, ...]:
    """The works that any of the words calls for, in the order in which they are listed."""
    return tuple(work for work in WORKS if set(work.words) & set(words))
