"""The works that a report leans on, and where in its text it does.

In: the texts and settings of the studies. Out: numbered references, only those that apply.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


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
