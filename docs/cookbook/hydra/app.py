"""Estimates pi by throwing darts: a Hydra app as it was before anybody ablated it."""

import json
import random
from pathlib import Path

import hydra
from omegaconf import DictConfig


@hydra.main(version_base="1.3", config_path="app", config_name="config")
def main(given: DictConfig) -> None:
    """Throw the darts, in pairs of opposite ones if that is asked for."""
    draws = random.Random(given.seed)
    darts = [(draws.random(), draws.random()) for _ in range(given.darts)]
    if given.antithetic:
        half = darts[: len(darts) // 2]
        darts = [*half, *((1 - x, 1 - y) for x, y in half)]
    share = sum(x * x + y * y < 1 for x, y in darts) / len(darts)
    out = Path(hydra.core.hydra_config.HydraConfig.get().runtime.output_dir)
    (out / "metrics.json").write_text(json.dumps({"error": abs(4 * share - 3.141592653589793)}))


if __name__ == "__main__":
    main()
