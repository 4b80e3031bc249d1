"""Reductions against scikit-learn, and as features of a linear classifier."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch import Tensor

from lightning_modules import reductions
from lightning_modules.reductions import Reduced
from lightning_modules.registry import REDUCTIONS


def flat(digits: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return digits[0][:1000].flatten(1), digits[1][:1000]


def angles(a: Tensor, b: np.ndarray) -> np.ndarray:
    """Return the cosines of the principal angles between two spans, 1 where they are the same."""
    first, second = (np.linalg.qr(np.asarray(each, dtype=np.float64))[0] for each in (a, b))
    return np.linalg.svd(first.T @ second, compute_uv=False)


def test_principal_components_are_those_of_scikit_learn(digits: tuple[Tensor, Tensor]) -> None:
    x, y = flat(digits)
    found = REDUCTIONS.get("pca")(x, y, 5, 0)
    reference = PCA(5, svd_solver="full").fit(x.numpy())
    cosines = np.abs((found.directions.numpy() * reference.components_.T).sum(0))
    assert cosines == pytest.approx(1, abs=1e-4)
    expected = np.abs(reference.transform(x.numpy()))
    assert np.abs(found(x).numpy()) == pytest.approx(expected, abs=1e-3)


def test_discriminants_are_those_of_scikit_learn() -> None:
    draw = np.random.default_rng(0)
    y = draw.integers(0, 4, 2000)
    spread = draw.normal(size=(6, 6))
    x = draw.normal(size=(4, 6))[y] * 2 + draw.normal(size=(2000, 6)) @ spread
    tensors = torch.tensor(x, dtype=torch.float32), torch.tensor(y)
    found = REDUCTIONS.get("lda")(*tensors, 3, 0)
    reference = LinearDiscriminantAnalysis(solver="eigen").fit(x, y).scalings_[:, :3]
    # The shrinkage is a thousandth of the mean variance; scikit-learn has none here.
    assert angles(found.directions, reference) == pytest.approx(1, abs=0.01)
    features = found(tensors[0]).numpy()
    within = sum(np.cov(features[y == c].T, bias=True) * (y == c).mean() for c in range(4))
    assert within == pytest.approx(np.eye(3), abs=0.02)


def test_two_classes_give_the_closed_form() -> None:
    draw = np.random.default_rng(1)
    y = np.arange(4000) % 2
    x = draw.normal(size=(4000, 3)) @ np.diag([1.0, 2.0, 0.5]) + y[:, None] * [1.0, 1.0, 0.0]
    tensors = torch.tensor(x, dtype=torch.float32), torch.tensor(y)
    found = REDUCTIONS.get("lda")(*tensors, 1, 0).directions.numpy()[:, 0]
    means = [x[y == c].mean(0) for c in (0, 1)]
    within = sum(np.cov(x[y == c].T) for c in (0, 1)) / 2
    expected = np.linalg.solve(within, means[1] - means[0])
    cosine = found @ expected / np.linalg.norm(found) / np.linalg.norm(expected)
    assert abs(cosine) == pytest.approx(1, abs=1e-3)  # the shrinkage, a thousandth


def test_more_discriminants_than_classes_less_one_are_refused() -> None:
    with pytest.raises(ValueError, match="lda has at most classes - 1 = 1, found 2"):
        REDUCTIONS.get("lda")(torch.rand(10, 3), torch.arange(10) % 2, 2, 0)


@pytest.mark.parametrize("name", REDUCTIONS.names())
def test_features_are_few_repeatable_and_frozen(
    name: str, digits: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reductions, "STEPS", 20)
    x, y = digits[0][:600], digits[1][:600]
    state = torch.get_rng_state()
    modules = [Reduced(input_shape=(1, 8, 8), classes=10, reduction=name, width=4) for _ in "ab"]
    for module in modules:
        module.pretrain(x, y)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(modules[0](x), modules[1](x))
    module = modules[0]
    assert module.reduced.reduction(x.flatten(1)).shape == (600, 4)
    module.objective(x, y).backward()
    moved = {name for name, p in module.named_parameters() if p.grad is not None}
    assert moved == {"network.classify.linears.0.weight", "network.classify.linears.0.bias"}


def test_labels_tell_more_than_chance_directions(digits: tuple[Tensor, Tensor]) -> None:
    accuracies = {}
    x, y = digits[0][:1200], digits[1][:1200]
    for name in ("lda", "random"):
        module = Reduced(
            input_shape=(1, 8, 8),
            classes=10,
            reduction=name,
            width=5,
            optimizer={"learning_rate": 0.1},
        )
        module.pretrain(x, y)
        optimizer = module.configure_optimizers()
        for _ in range(150):
            optimizer.zero_grad()
            module.objective(x, y).backward()
            optimizer.step()
        accuracies[name] = float((module(x).argmax(1) == y).float().mean())
    assert accuracies["lda"] > accuracies["random"] + 0.1


def test_without_its_reduction_it_says_what_to_do() -> None:
    module = Reduced(input_shape=(4,), classes=2)
    with pytest.raises(RuntimeError, match=r"call pretrain\(x, y\) before the fit"):
        module(torch.rand(2, 4))
    with pytest.raises(ValueError, match="width: expected at most the 4 entries, found 5"):
        Reduced(input_shape=(4,), classes=2, width=5)
