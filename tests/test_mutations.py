"""Mutants of the product: errors of kinds that happen, each of which must be found by a check that users have."""

from dataclasses import dataclass

import numpy as np
import pytest

import portable_bp as bp
from portable_bp import testing
from portable_bp.checking.cases import LAYERS, LOSSES

SLIGHTLY = 1.00001


def scaled(tree):
    return {name: SLIGHTLY * array for name, array in tree.items()}


@dataclass(frozen=True)
class ScaledWeight(bp.Dense):
    def backward_params(self, xp, params, cache, dy):
        return scaled(super().backward_params(xp, params, cache, dy))


@dataclass(frozen=True)
class ScaledInput(bp.Dense):
    def backward(self, xp, params, cache, dy):
        dx, grads = super().backward(xp, params, cache, dy)
        return SLIGHTLY * dx, grads


@dataclass(frozen=True)
class DroppedBias(bp.Dense):
    def backward_params(self, xp, params, cache, dy):
        grads = super().backward_params(xp, params, cache, dy)
        return {**grads, "bias": xp.zeros_like(grads["bias"])}


@dataclass(frozen=True)
class ForgottenBias(bp.Dense):
    def backward_params(self, xp, params, cache, dy):
        return {"weight": super().backward_params(xp, params, cache, dy)["weight"]}


@dataclass(frozen=True)
class TransposedProduct(bp.Dense):
    def backward(self, xp, params, cache, dy):
        _, grads = super().backward(xp, params, cache, dy)
        return xp.matmul(dy, params["weight"]), grads


@dataclass(frozen=True)
class TransposedGradient(bp.Dense):
    def backward_params(self, xp, params, cache, dy):
        grads = super().backward_params(xp, params, cache, dy)
        return {**grads, "weight": xp.matrix_transpose(grads["weight"])}


@dataclass(frozen=True)
class MeanOverTheBatch(bp.Dense):
    def backward_params(self, xp, params, cache, dy):
        return {name: grad / dy.shape[-2] for name, grad in super().backward_params(xp, params, cache, dy).items()}


@dataclass(frozen=True)
class WritesIntoItsInput(bp.Dense):
    def forward(self, xp, params, x):
        y, cache = super().forward(xp, params, x)
        x *= 1.5
        return y, cache


@dataclass(frozen=True)
class SumsOverTheWrongAxis(bp.Dense):
    def backward_params(self, xp, params, cache, dy):
        return {**super().backward_params(xp, params, cache, dy), "bias": xp.sum(dy, axis=0, keepdims=True)}


@dataclass(frozen=True)
class FirstIsNotANumber(bp.Dense):
    def backward_params(self, xp, params, cache, dy):
        grads = super().backward_params(xp, params, cache, dy)
        first = xp.reshape(xp.arange(grads["weight"].size), grads["weight"].shape) == 0
        return {**grads, "weight": xp.where(first, float("nan"), grads["weight"])}


@dataclass(frozen=True)
class GradientOfNoParameter(bp.Dense):
    def backward_params(self, xp, params, cache, dy):
        grads = super().backward_params(xp, params, cache, dy)
        return {**grads, "scale": grads["bias"]}


@dataclass(frozen=True)
class ScaledOnlyInFront(bp.Dense):
    """Wrong in `backward_params`, which `backward` doesn't take its gradients from."""

    def backward(self, xp, params, cache, dy):
        return super().backward(xp, params, cache, dy)[0], super().backward_params(xp, params, cache, dy)

    def backward_params(self, xp, params, cache, dy):
        return scaled(super().backward_params(xp, params, cache, dy))


@dataclass(frozen=True)
class MixesRows(bp.Dense):
    """The mean over the batch is added to every row, and differentiated as it should be."""

    def forward(self, xp, params, x):
        return super().forward(xp, params, x + xp.mean(x, axis=-2, keepdims=True))

    def backward(self, xp, params, cache, dy):
        dx, grads = super().backward(xp, params, cache, dy)
        return dx + xp.mean(dx, axis=-2, keepdims=True), grads


DENSE_MUTANTS = {
    ScaledWeight: "gradient of 0.weight differs",
    ScaledInput: "gradient of input differs",
    DroppedBias: "gradient of 0.bias differs",
    ForgottenBias: "gradient of 0.bias must have the shape",
    TransposedProduct: "gradient of input differs",
    TransposedGradient: "gradient of 0.weight differs",
    MeanOverTheBatch: "gradient of 0.weight differs",
    WritesIntoItsInput: "wrote into its argument|differs",
    SumsOverTheWrongAxis: "networks at once|bias",
    FirstIsNotANumber: "weight differs.* nan",
    GradientOfNoParameter: "has parameters .* and gradients .*'scale'",
    ScaledOnlyInFront: "backward_params weight must be",
    MixesRows: "a batch against its rows",
}


@pytest.mark.parametrize("mutant", DENSE_MUTANTS, ids=lambda mutant: mutant.__name__)
def test_each_mutant_of_dense_dies_by_name(mutant):
    with pytest.raises(bp.GradientError, match=DENSE_MUTANTS[mutant]):
        testing.check_layer(mutant(4, 4), (4,))


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_whose_dx_is_slightly_off_dies(name, monkeypatch):
    layer, shape = LAYERS[name]
    used = type(bp.get_backend("numpy").lower(layer))
    backward = used.backward

    def mutant(self, xp, params, cache, dy):
        dx, grads = backward(self, xp, params, cache, dy)
        return SLIGHTLY * dx, grads

    monkeypatch.setattr(used, "backward", mutant)
    with pytest.raises(bp.GradientError, match="gradient of input differs from central differences"):
        testing.check_layer(layer, shape)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_whose_gradient_is_slightly_off_dies(name, monkeypatch):
    loss = LOSSES[name]
    used = type(bp.get_backend("numpy").lower(loss))
    backward = used.backward
    monkeypatch.setattr(used, "backward", lambda self, xp, cache: SLIGHTLY * backward(self, xp, cache))
    with pytest.raises(bp.GradientError, match="gradient differs from central differences of its value"):
        testing.check_loss(loss)


def test_a_loss_that_averages_twice_dies(monkeypatch):
    forward = bp.MeanSquaredError.forward
    monkeypatch.setattr(
        bp.MeanSquaredError,
        "forward",
        lambda self, xp, y, target, weight=None: (
            forward(self, xp, y, target, weight)[0] / 3,
            forward(self, xp, y, target, weight)[1],
        ),
    )
    with pytest.raises(bp.GradientError, match="gradient differs"):
        testing.check_loss(bp.MeanSquaredError())


@dataclass(frozen=True)
class IgnoresWeights(bp.MeanSquaredError):
    def forward(self, xp, y, target, weight=None):
        return super().forward(xp, y, target)


@dataclass(frozen=True)
class SumsOverThePopulation(bp.MeanSquaredError):
    def forward(self, xp, y, target, weight=None):
        value, cache = super().forward(xp, y, target, weight)
        return xp.sum(value), cache


@pytest.mark.parametrize(
    ("mutant", "words"),
    [(IgnoresWeights(), "a weight of 2 against a row twice"), (SumsOverThePopulation(), "networks at once")],
    ids=lambda part: type(part).__name__,
)
def test_each_mutant_of_a_loss_dies(mutant, words):
    with pytest.raises(bp.GradientError, match=words):
        testing.check_loss(mutant)


@dataclass(frozen=True)
class KinksEverywhere(bp.Layer):
    """The identity, with kinks closer together than a central difference's two points, wherever those are moved to."""

    kinks = (np.arange(-4.0, 4.0, 1.5e-5).reshape(-1, 1, 1),)

    def forward(self, xp, params, x):
        return x, None

    def backward(self, xp, params, cache, dy):
        return dy, {}


def test_elements_that_stay_at_a_kink_are_not_taken_for_right():
    with pytest.raises(bp.GradientError, match="the gradient of input"):
        testing.check_layer(KinksEverywhere(), (1,))
    net = bp.Network([KinksEverywhere()], bp.MeanSquaredError(), input_shape=(1,))
    with pytest.raises(bp.GradientError, match="1 elements stay at a kink"):
        bp.check_gradients(net, np.zeros((1, 1)), np.ones((1, 1)))


def test_one_gradient_that_is_no_number_is_not_hidden_by_right_ones_behind_it():
    net = bp.Network([FirstIsNotANumber(2, 2)], bp.MeanSquaredError())
    with pytest.raises(bp.GradientError, match=r"0\.weight .* nan .* NO"):
        bp.check_gradients(net, np.ones((1, 2)), np.zeros((1, 2)))


@dataclass(frozen=True)
class ForgetsToCount(bp.SGD):
    def update(self, xp, params, grads, state):
        return super().update(xp, params, grads, state)[0], state


@dataclass(frozen=True)
class UpdatesInPlace(bp.SGD):
    def update(self, xp, params, grads, state):
        for layer, own in zip(params, grads, strict=True):
            for name in layer:
                layer[name] -= self.learning_rate * own[name]
        return params, {"t": state["t"] + 1}


@dataclass(frozen=True)
class RenamesParameters(bp.SGD):
    def update(self, xp, params, grads, state):
        own = [dict(zip(names, layer.values(), strict=True)) for names, layer in zip(grads, params, strict=True)]
        new, state = super().update(xp, own, grads, state)
        return [{name.upper(): array for name, array in layer.items()} for layer in new], state


@dataclass(frozen=True)
class NormOverThePopulation(bp.ClipByGlobalNorm):
    def update(self, xp, params, grads, state):
        total = sum(float(np.sum(g * g)) for layer in grads for g in layer.values())
        scale = min(1.0, self.max_norm / total**0.5)
        return self.inner.update(xp, params, [{n: scale * g for n, g in layer.items()} for layer in grads], state)


@pytest.mark.parametrize(
    ("mutant", "words"),
    [
        (ForgetsToCount(0.1), "t = 0 after"),
        (UpdatesInPlace(0.1), "wrote into its argument"),
        (RenamesParameters(0.1), "changed the names of the parameters"),
        (NormOverThePopulation(bp.SGD(0.1), 0.5), "networks at once"),
    ],
    ids=lambda part: type(part).__name__,
)
def test_each_mutant_of_an_optimizer_dies(mutant, words):
    with pytest.raises(bp.GradientError, match=words):
        testing.check_optimizer(mutant)


@dataclass(frozen=True)
class OffOnThisBackend(bp.Layer):
    """A layer that is right in itself, but not what NumPy computes."""

    on: str = ""

    def forward(self, xp, params, x):
        return x * (SLIGHTLY if getattr(xp, "wrong", False) else 1.0), None

    def backward(self, xp, params, cache, dy):
        return dy * (SLIGHTLY if getattr(xp, "wrong", False) else 1.0), {}


class WrongNamespace:
    wrong = True

    def __getattr__(self, name):
        return getattr(np, name)


def test_a_backend_that_computes_something_else_dies():
    wrong = type("Wrong", (type(bp.get_backend("numpy")),), {})()
    wrong.xp = WrongNamespace()
    with pytest.raises(bp.GradientError, match="differs by"):
        testing.check_layer(OffOnThisBackend(), (3,), backend=wrong)
