"""The conformance checks answer whatever breaks the contract with one line: what was required, what came, the cure."""

from dataclasses import dataclass

import numpy as np
import pytest

import portable_bp as bp
from portable_bp import testing


@dataclass(frozen=True)
class Answers(bp.Tanh):
    """Tanh, except that one method answers what ``change`` makes of the right answer."""

    method: str = ""
    change: object = None

    def forward(self, xp, params, x):
        return self._answer("forward", super().forward(xp, params, x))

    def backward(self, xp, params, cache, dy):
        return self._answer("backward", super().backward(xp, params, cache, dy))

    def backward_params(self, xp, params, cache, dy):
        return self._answer("backward_params", {})

    def _answer(self, method, right):
        return self.change(right) if method == self.method else right

    def __str__(self):
        return "Answers()"


@dataclass(frozen=True)
class Scale(bp.Layer):
    """y = a x, with a parameter of some shape whose gradient is summed in some way."""

    shape: tuple = (1, 6)
    axis: object = -2
    keepdims: bool = True

    def init(self, stream, shape):
        return {"a": stream.named("a").normal(self.shape)}

    def forward(self, xp, params, x):
        return params["a"] * x, x

    def backward(self, xp, params, cache, dy):
        return params["a"] * dy, {"a": xp.sum(dy * cache, axis=self.axis, keepdims=self.keepdims)}


@dataclass(frozen=True)
class PReLU(Scale):
    shape: tuple = (6,)
    axis: object = 0
    keepdims: bool = False


@dataclass(frozen=True)
class TransposesAll(bp.Dense):
    """Right for one network; with K in front .T turns their axis too."""

    def backward(self, xp, params, cache, dy):
        return xp.matmul(dy, params["weight"].T), self.backward_params(xp, params, cache, dy)


@dataclass(frozen=True)
class TakesOneNetwork(bp.Tanh):
    def forward(self, xp, params, x):
        if x.ndim != 2:
            raise bp.ShapeError(f"x must have 2 axes,\nnot {x.ndim}")
        return super().forward(xp, params, x)


IN_FRONT = "so that K networks can be stacked in front"
FROM_THE_END = "count axes from the end"
LAYERS = {
    "no pair from forward": (
        Answers("forward", lambda right: right[0]),
        ["Answers(): forward must return a pair (y, cache); it returned ndarray: end it with return y, cache"],
    ),
    "three things from forward": (
        Answers("forward", lambda right: (*right, None)),
        ["forward must return a pair (y, cache)", "3 things"],
    ),
    "y that is no array": (
        Answers("forward", lambda right: (right[0].tolist(), right[1])),
        ["y is list, not an array on <backend numpy"],
    ),
    "y without a batch": (
        Answers("forward", lambda right: (right[0].sum(axis=-2), right[1])),
        ["y must have the shape (5, …)", "it has (6,) for x of shape (5, 6)", "keep the batch axis first"],
    ),
    "no pair from backward": (
        Answers("backward", lambda right: right[0]),
        ["backward must return a pair (dx, grads); it returned ndarray: end it with return dx, grads"],
    ),
    "nothing from backward": (Answers("backward", lambda right: None), ["a pair (dx, grads); it returned NoneType"]),
    "no dict from backward": (
        Answers("backward", lambda right: (right[0], None)),
        ["the gradients of backward must be a dict", "it returned NoneType", "write {}"],
    ),
    "no dict from backward_params": (
        Answers("backward_params", lambda right: []),
        ["the gradients of backward_params must be a dict", "it returned list", "write {}"],
    ),
    "dx that is no array": (Answers("backward", lambda right: (None, {})), ["dx is NoneType, not an array"]),
    "a parameter with one axis": (
        PReLU(),
        [
            "PReLU's parameter 'a' has the shape (6,): give it two axes, (1, 6), and sum its gradient over axis=-2, "
            f"keepdims=True, {IN_FRONT}"
        ],
    ),
    "a parameter without axes": (
        Scale((), None, False),
        ["Scale's parameter 'a' has the shape (): give it two axes, (1, 1)", "over axis=(-2, -1), keepdims=True"],
    ),
    "a sum over axis 0": (
        Scale(axis=0),
        ["3 networks at once: a has the shape (1, 5, 6), not (3, 1, 6)", FROM_THE_END, "axis=-2", "not over axis=0"],
    ),
    ".T with networks in front": (
        TransposesAll(6, 4),
        [
            "with 3 networks at once",
            "arrays of shape (3, 5, 6)",
            "raised ValueError (",
            FROM_THE_END,
            "matrix_transpose",
        ],
    ),
    "an error of its own with networks in front": (
        TakesOneNetwork(),
        ["with 3 networks at once", "raised ShapeError (x must have 2 axes, not 3)", FROM_THE_END],
    ),
}


@dataclass(frozen=True)
class LossAnswers(bp.MeanSquaredError):
    method: str = ""
    change: object = None

    def forward(self, xp, y, target, weight=None):
        return self._answer("forward", super().forward(xp, y, target, weight))

    def backward(self, xp, cache):
        return self._answer("backward", super().backward(xp, cache))

    def _answer(self, method, right):
        return self.change(right) if method == self.method else right


@dataclass(frozen=True)
class WithoutWeights(bp.MeanSquaredError):
    def forward(self, xp, y, target):
        return super().forward(xp, y, target)


@dataclass(frozen=True)
class LossOfOneNetwork(bp.MeanSquaredError):
    def forward(self, xp, y, target, weight=None):
        _, n_out = y.shape
        assert n_out == 3
        return super().forward(xp, y, target, weight)


@dataclass(frozen=True)
class LossOverAllNetworks(bp.MeanSquaredError):
    def forward(self, xp, y, target, weight=None):
        value, cache = super().forward(xp, y, target, weight)
        return xp.sum(value), cache


LOSSES = {
    "no pair from forward": (
        LossAnswers(method="forward", change=lambda right: right[0]),
        ["forward must return a pair (value, cache)", "end it with return value, cache"],
    ),
    "a value a row": (
        LossAnswers(method="forward", change=lambda right: (right[0] * np.ones(5), right[1])),
        ["value must be one number, of shape ()", "(5,)", "axis=(-2, -1)"],
    ),
    "a pair from backward": (
        LossAnswers(method="backward", change=lambda right: (right, {})),
        ["dy is tuple, not an array"],
    ),
    "no weight": (WithoutWeights(), ["with a weight of shape (5,)", "raised TypeError (", "take weight=None last"]),
    "an error with networks in front": (
        LossOfOneNetwork(),
        ["with 3 networks at once", "(3, 5, 3)", "raised ValueError (", FROM_THE_END],
    ),
    "a sum over the networks": (
        LossOverAllNetworks(),
        ["3 networks at once: value has the shape (), not (3,)", FROM_THE_END],
    ),
}


@dataclass(frozen=True)
class RuleAnswers(bp.SGD):
    first: object = None
    change: object = None

    def init(self, xp, params):
        state = super().init(xp, params)
        return self.first(state) if self.first else state

    def update(self, xp, params, grads, state):
        right = super().update(xp, params, grads, state)
        return self.change(right) if self.change else right


@dataclass(frozen=True)
class RuleOfOneNetwork(bp.SGD):
    def update(self, xp, params, grads, state):
        for layer in grads:
            for gradient in layer.values():
                _, n_out = gradient.shape
                assert n_out in (2, 3)
        return super().update(xp, params, grads, state)


def doubled(tree):
    return [{name: array.astype(np.float64) for name, array in layer.items()} for layer in tree]


RULES = {
    "no state": (RuleAnswers(first=lambda state: None), ["must count the updates in t; init returned NoneType"]),
    "an empty state": (
        RuleAnswers(first=lambda state: {}),
        [
            "its state must count the updates in t; init returned one with no entries",
            "{'t': xp.zeros((), dtype=xp.int64)}",
        ],
    ),
    "a state that loses t": (
        RuleAnswers(change=lambda right: (right[0], {"m": []})),
        ["must count the updates in t; update returned one with ['m']", "return state['t'] + 1"],
    ),
    "a count that is a plain number": (RuleAnswers(first=lambda state: {"t": 0}), ["t is int, not an array on"]),
    "a count in floats": (
        RuleAnswers(first=lambda state: {"t": np.zeros(())}),
        ["t must be int64 of shape (); it is float64"],
    ),
    "a state that is no tree": (
        RuleAnswers(first=lambda state: {**state, "m": np.zeros((4, 3))}),
        ["m in its state must be a list with one dict of arrays a layer; it is ndarray", "form of the parameters"],
    ),
    "no pair from update": (
        RuleAnswers(change=lambda right: right[0]),
        ["update must return a pair (params, state); it returned 3 things: end it with return params, state"],
    ),
    "parameters that are no tree": (
        RuleAnswers(change=lambda right: (dict(enumerate(right[0])), right[1])),
        ["update must return the parameters as a list", "it returned dict", "the form in which they came"],
    ),
    "parameters in another dtype": (
        RuleAnswers(change=lambda right: (doubled(right[0]), right[1])),
        ["0.weight must be float32 of shape (4, 3); it is float64"],
    ),
    "an error with networks in front": (
        RuleOfOneNetwork(),
        ["with 3 networks at once", "(3, 4, 3)", "raised ValueError (", FROM_THE_END],
    ),
}

ARGUMENTS = {
    "a number as shape": (lambda: testing.check_layer(bp.Tanh(), 6), ["shape=6", "must be a tuple such as (6,)"]),
    "another number as shape": (lambda: testing.check_layer(bp.Tanh(), shape=9), ["must be a tuple such as (9,)"]),
    **{
        f"the shape {shape!r}": (
            lambda shape=shape: testing.check_layer(bp.Tanh(), shape),
            [f"shape={shape!r}", "such as (6,)"],
        )
        for shape in ((), (0,), (2.0,), "6", None, True, -1)
    },
    "the class of a layer": (
        lambda: testing.check_layer(bp.Tanh, shape=(6,)),
        ["check_layer got the class Tanh, no layer: give an instance such as Tanh()"],
    ),
    "a loss as layer": (lambda: testing.check_layer(bp.MeanSquaredError(), (6,)), ["MeanSquaredError(", "no layer"]),
    "the class of a loss": (
        lambda: testing.check_loss(bp.MeanSquaredError),
        ["check_loss got the class MeanSquaredError, no loss: give an instance such as MeanSquaredError()"],
    ),
    "the name of a loss": (lambda: testing.check_loss("mse"), ["check_loss got 'mse', no loss", "an instance"]),
    "an array as loss": (lambda: testing.check_loss(np.eye(2)), ["array([[1., 0.], [0., 1.]]), no loss"]),
    "the class of an optimizer": (
        lambda: testing.check_optimizer(bp.Adam),
        ["check_optimizer got the class Adam, no optimizer: give an instance such as SGD(0.1)"],
    ),
    "a layer as optimizer": (lambda: testing.check_optimizer(bp.Tanh()), ["Tanh()", "no optimizer"]),
    "the class of a backend": (
        lambda: testing.check_backend(type(bp.get_backend("numpy"))),
        ["check_backend got the class NumpyBackend: give an instance"],
    ),
}


def message_of(kind, check, *arguments):
    with pytest.raises(bp.PortableBPError) as caught:
        check(*arguments)
    assert type(caught.value) is kind, repr(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("layer", "words"), LAYERS.values(), ids=LAYERS)
def test_a_layer_that_breaks_the_contract_is_told_so(layer, words):
    message = message_of(bp.GradientError, testing.check_layer, layer, (6,))
    assert [word for word in words if word not in message] == [], message


@pytest.mark.parametrize(("loss", "words"), LOSSES.values(), ids=LOSSES)
def test_a_loss_that_breaks_the_contract_is_told_so(loss, words):
    message = message_of(bp.GradientError, testing.check_loss, loss)
    assert [word for word in words if word not in message] == [], message


@pytest.mark.parametrize(("rule", "words"), RULES.values(), ids=RULES)
def test_an_optimizer_that_breaks_the_contract_is_told_so(rule, words):
    message = message_of(bp.GradientError, testing.check_optimizer, rule)
    assert [word for word in words if word not in message] == [], message


@pytest.mark.parametrize(("call", "words"), ARGUMENTS.values(), ids=ARGUMENTS)
def test_what_is_no_part_and_no_shape_is_refused(call, words):
    message = message_of(bp.ConfigurationError, call)
    assert [word for word in words if word not in message] == [], message


def test_the_cures_that_the_messages_give_pass(backend):
    testing.check_layer(Scale((1, 6), -2, True), [6], backend=backend)
    testing.check_layer(Scale((1, 1), (-2, -1), True), (np.int64(6),), backend=backend)
    testing.check_layer(Answers(), (6,), backend=backend)
    testing.check_loss(LossAnswers(), backend=backend)
    testing.check_optimizer(RuleAnswers(), backend=backend)


def test_what_a_part_raised_stays_to_be_seen_in_the_traceback():
    with pytest.raises(bp.GradientError) as caught:
        testing.check_layer(TakesOneNetwork(), (6,))
    assert type(caught.value.__cause__) is bp.ShapeError


def test_the_public_names_are_the_four_checks():
    assert testing.__all__ == ["check_backend", "check_layer", "check_loss", "check_optimizer"]
    assert all(callable(getattr(testing, name)) for name in testing.__all__)


def test_a_backend_is_checked_by_its_name_too():
    with pytest.raises(bp.BackendError, match="no backend 'nunpy'"):
        testing.check_backend("nunpy")
