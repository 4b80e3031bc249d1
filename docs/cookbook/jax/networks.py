"""A network in JAX on handwritten digits: a function that yields a curve."""

from collections.abc import Iterator

from ablation_lab import family


@family("jax_mlp")
def jax_mlp(
    seed: int, width: int, rate: float, momentum: float = 0.0, epochs: int = 20
) -> Iterator[tuple[int, dict[str, float]]]:
    """Train one hidden layer of tanh by whole batches; yield the test accuracy of each epoch."""
    import jax
    import jax.numpy as jnp
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    x, y = load_digits(return_X_y=True)
    x, x_test, y, y_test = train_test_split(x / 16, y, test_size=0.5, random_state=0)
    first, second = jax.random.split(jax.random.key(seed))
    weights = {
        "in": jax.random.normal(first, (64, width)) / 8,
        "out": jax.random.normal(second, (width, 10)) / width**0.5,
    }
    speed = jax.tree.map(jnp.zeros_like, weights)

    def logits(weights, x):
        return jnp.tanh(x @ weights["in"]) @ weights["out"]

    def loss(weights):
        scores = jax.nn.log_softmax(logits(weights, x))
        return -scores[jnp.arange(len(y)), y].mean()

    @jax.jit
    def step(weights, speed):
        down = jax.grad(loss)(weights)
        speed = jax.tree.map(lambda v, g: momentum * v - rate * g, speed, down)
        return jax.tree.map(jnp.add, weights, speed), speed

    for epoch in range(1, epochs + 1):
        weights, speed = step(weights, speed)
        right = logits(weights, x_test).argmax(1) == y_test
        yield epoch, {"test_accuracy": float(right.mean())}
