"""The optimizers by themselves: AdamW against Keras', Muon against a singular value decomposition."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pipeline.recipes.schema import TrainConfig
from pipeline.training.optimizers import AdamW, Muon, flat, optimizer_of

SHAPES = {
    "embed/table:0": (12, 6),
    "layer0_up/kernel:0": (6, 10),
    "layer0_down/kernel:0": (10, 6),
    "norm/gamma:0": (6,),
}
RATE = 0.01


def weights_of(seed: int) -> list[tf.Variable]:
    """Variables of the names and shapes, drawn from the seed."""
    rng = np.random.default_rng(seed)
    return [
        tf.Variable(rng.normal(size=shape).astype(np.float32), name=name.removesuffix(":0"))
        for name, shape in SHAPES.items()
    ]


def steps(optimizer: AdamW, weights: list[tf.Variable], count: int) -> list[np.ndarray]:
    """The weights after so many steps whose gradients are drawn."""
    vector = flat(weights)
    for number in range(1, count + 1):
        gradient = flat(weights_of(100 + number))
        vector = optimizer.updated(vector, gradient, tf.constant(float(number)), tf.constant(RATE))
    return [
        part.numpy().reshape(shape)
        for part, shape in zip(tf.split(vector, optimizer.sizes), optimizer.shapes, strict=True)
    ]


def test_adamw_is_keras_adamw() -> None:
    weights = weights_of(1)
    found = steps(AdamW(weights, TrainConfig(weight_decay=0.1)), weights, 5)
    reference = keras.optimizers.AdamW(RATE, weight_decay=0.1, beta_1=0.9, beta_2=0.98, epsilon=1e-8)
    reference.exclude_from_weight_decay(var_names=["embed", "gamma"])
    for number in range(1, 6):
        gradients = [tf.convert_to_tensor(gradient) for gradient in weights_of(100 + number)]
        reference.apply_gradients(zip(gradients, weights, strict=True))
    for ours, weight in zip(found, weights, strict=True):
        np.testing.assert_allclose(ours, weight.numpy(), atol=2e-6)


def test_muon_moves_matrices_inside_of_layers_alike_in_all_directions() -> None:
    """One step without decay: the change is momentum's U Vᵀ, by a factor near 1, entries of 0.2 in the mean square."""
    weights = weights_of(1)
    config = TrainConfig(weight_decay=0.0)
    before = [weight.numpy() for weight in weights]
    found = steps(Muon(weights, config), weights, 1)
    adam = steps(AdamW(weights, config), weights, 1)
    for name, start, ours, theirs, gradient in zip(SHAPES, before, found, adam, weights_of(101), strict=True):
        if not name.startswith("layer"):
            np.testing.assert_allclose(ours, theirs, atol=1e-7, err_msg=name)
            continue
        change = (start - ours) / (RATE * 0.2 * np.sqrt(max(start.shape)))
        left, _, right = np.linalg.svd(gradient.numpy(), full_matrices=False)
        along = left.T @ change @ right.T
        assert np.all((np.diag(along) > 0.6) & (np.diag(along) < 1.3)), name
        np.testing.assert_allclose(along - np.diag(np.diag(along)), 0, atol=1e-3, err_msg=name)


@pytest.mark.parametrize(("name", "kind"), [("adamw", AdamW), ("muon", Muon)])
def test_the_recipe_names_it(name: str, kind: type[AdamW]) -> None:
    assert type(optimizer_of(weights_of(1), TrainConfig.from_mapping({"optimizer": name}))) is kind
