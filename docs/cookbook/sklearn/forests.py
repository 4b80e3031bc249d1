"""A random forest on handwritten digits: a plain function, whose arguments are its settings."""

from ablation_lab import family


@family("forest")
def forest(seed: int, trees: int = 20, depth: int | None = None) -> dict[str, float]:
    """Return the accuracy on one half of the digits of a forest that was fitted to the other."""
    from sklearn.datasets import load_digits
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import train_test_split

    x, y = load_digits(return_X_y=True)
    x, x_test, y, y_test = train_test_split(x, y, test_size=0.5, random_state=seed)
    model = RandomForestClassifier(n_estimators=trees, max_depth=depth, random_state=seed)
    return {"test_accuracy": model.fit(x, y).score(x_test, y_test)}
