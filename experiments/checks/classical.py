"""Polynomial interpolation, PCA and LDA, held against a library's answer.

Comes in: nothing; the points are fixed or drawn from a fixed generator. Goes out: what the slides
state about each method, as numbers.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from ablation_lab.study.checks import CHECKS

Floats = NDArray[np.float64]
COVARIANCE = ((3.0, 1.2), (1.2, 1.0))
POINTS, SEED = 500, 0


def cloud(mean: tuple[float, float], *, seed: int = SEED) -> Floats:
    """Return 500 points (N, 2) of a normal distribution with a fixed covariance."""
    return np.random.default_rng(seed).multivariate_normal(mean, COVARIANCE, POINTS)


@CHECKS.register("quadratic_interpolation")
def quadratic_interpolation() -> Iterable[float]:
    """Rank of the Vandermonde matrix of three points, and the largest miss of its solution."""
    x, y = np.array([-1.0, 0.5, 2.0]), np.array([2.0, -1.0, 4.0])
    vandermonde = np.vander(x, 3)
    miss = np.abs(np.polyval(np.linalg.solve(vandermonde, y), x) - y).max()
    return [float(np.linalg.matrix_rank(vandermonde)), float(miss)]


@CHECKS.register("pca_decomposition")
def pca_decomposition() -> Iterable[float]:
    """|S - U diag(l) U'|, whether l1 > l2, and the largest gap to scikit-learn's variances."""
    from sklearn.decomposition import PCA

    x = cloud((0.0, 0.0))
    covariance = np.cov(x.T)
    values, vectors = np.linalg.eigh(covariance)
    values, vectors = values[::-1], vectors[:, ::-1]
    miss = np.abs(covariance - vectors @ np.diag(values) @ vectors.T).max()
    gap = np.abs(PCA().fit(x).explained_variance_ - values).max()
    return [float(miss), float(values[0] > values[1]), float(gap)]


@CHECKS.register("lda_direction")
def lda_direction() -> Iterable[float]:
    """|cos| of the angle between Sw^-1(m1-m2) and scikit-learn's axis, and J of it over its best.

    J(w) = (m1-m2)^2 / (s1^2 + s2^2) of the projections; its best is that over 3,600 directions.
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    first, second = cloud((0.0, 0.0)), cloud((2.0, 1.0), seed=SEED + 1)
    within = np.cov(first.T) + np.cov(second.T)
    closed = np.linalg.solve(within, first.mean(0) - second.mean(0))
    x, y = np.vstack([first, second]), np.repeat([0, 1], POINTS)
    axis = LinearDiscriminantAnalysis(solver="eigen").fit(x, y).scalings_[:, 0]
    cosine = abs(closed @ axis) / np.linalg.norm(closed) / np.linalg.norm(axis)
    angles = np.linspace(0, np.pi, 3600, endpoint=False)
    best = max(fisher(first, second, np.array([np.cos(a), np.sin(a)])) for a in angles)
    return [float(cosine), fisher(first, second, closed) / best]


def fisher(first: Floats, second: Floats, w: Floats) -> float:
    """Return J(w), the distance of the projected means over the projected variances."""
    a, b = first @ w, second @ w
    return float((a.mean() - b.mean()) ** 2 / (a.var(ddof=1) + b.var(ddof=1)))
