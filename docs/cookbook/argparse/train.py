"""Fits a line by gradient descent: a script as it was before anybody ablated it."""

import argparse
import json
import random
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--decay", type=float, default=0.0)
parser.add_argument("--epochs", type=int, default=20)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--out", type=Path, default=Path("out"))
given = parser.parse_args()

random.seed(given.seed)
points = [(x / 10, 2 * x / 10 + random.gauss(0, 0.3)) for x in range(20)]
slope = 0.0
given.out.mkdir(parents=True, exist_ok=True)
with (given.out / "metrics.jsonl").open("w") as metrics:
    for epoch in range(1, given.epochs + 1):
        for x, y in points:
            slope -= given.lr * ((slope * x - y) * x + given.decay * slope)
        loss = sum((slope * x - y) ** 2 for x, y in points) / len(points)
        print(json.dumps({"step": epoch, "loss": loss}), file=metrics)
