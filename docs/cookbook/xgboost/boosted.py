"""Boosted trees on handwritten digits: a function that yields what each round gave."""

from collections.abc import Iterator

from ablation_lab import family


@family("boosted")
def boosted(config: dict, seed: int) -> Iterator[tuple[int, dict[str, float]]]:
    """Fit trees with all settings of the study, as XGBoost calls them; yield its errors."""
    import xgboost
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    x, y = load_digits(return_X_y=True)
    x, x_test, y, y_test = train_test_split(x, y, test_size=0.5, random_state=seed)
    training, test = xgboost.DMatrix(x, y), xgboost.DMatrix(x_test, y_test)
    given = {**config, "objective": "multi:softmax", "num_class": 10, "nthread": 1, "seed": seed}
    model = xgboost.Booster(given, [training, test])
    for step in range(config["rounds"]):
        model.update(training, step)
        yield step + 1, {"error": float((model.predict(test) != y_test).mean())}
