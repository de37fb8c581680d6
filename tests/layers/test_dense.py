import numpy as np
import pytest

import portable_bp as bp
from portable_bp.streams import Stream

PARAMS = {"weight": np.asarray([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), "bias": np.asarray([[0.5, -0.5]])}
X = np.asarray([[1.0, 0.0, -1.0], [2.0, 1.0, 0.0]])
DY = np.asarray([[1.0, 2.0], [3.0, 4.0]])


def test_forward_and_backward_agree_with_numbers_worked_by_hand(backend):
    layer = bp.Dense(3, 2)
    params = {name: backend.asarray(array) for name, array in PARAMS.items()}
    y, cache = layer.forward(backend.xp, params, backend.asarray(X))
    dx, grads = layer.backward(backend.xp, params, cache, backend.asarray(DY))
    assert backend.to_numpy(y).tolist() == [[-3.5, -4.5], [5.5, 7.5]]
    assert backend.to_numpy(dx).tolist() == [[5.0, 11.0, 17.0], [11.0, 25.0, 39.0]]
    assert backend.to_numpy(grads["weight"]).tolist() == [[7.0, 10.0], [3.0, 4.0], [-1.0, -2.0]]
    assert backend.to_numpy(grads["bias"]).tolist() == [[4.0, 6.0]]


def test_a_shared_input_serves_a_population(backend):
    layer = bp.Dense(3, 2)
    weight = backend.asarray(np.stack([PARAMS["weight"], 2 * PARAMS["weight"]]))
    params = {"weight": weight, "bias": backend.asarray(np.zeros((2, 1, 2)))}
    y, cache = layer.forward(backend.xp, params, backend.asarray(X))
    grads = layer.backward_params(backend.xp, params, cache, y)
    assert tuple(y.shape) == (2, 2, 2)
    assert {name: tuple(array.shape) for name, array in grads.items()} == {"weight": (2, 3, 2), "bias": (2, 1, 2)}


def test_without_bias_there_is_no_bias_and_no_gradient_of_it():
    layer = bp.Dense(3, 2, bias=False)
    params = layer.init(Stream(0, "init"), None)
    _, cache = layer.forward(np, params, X)
    assert set(params) == set(layer.backward(np, params, cache, DY)[1]) == {"weight"}


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (
            (2, 28, 3),
            r"expects x of shape \(batch, 3\); got \(2, 28, 3\): reshape it to \(2, 3\) or put Flatten\(\) first",
        ),
        ((2, 4), r"got \(2, 4\): give rows of 3 numbers, or write Dense\(4, 2\)"),
        ((3,), r"got \(3\)"),
    ],
)
def test_a_wrong_shape_is_refused_with_rule_value_and_cure(shape, words):
    with pytest.raises(bp.ShapeError, match=words):
        bp.Dense(3, 2).forward(np, PARAMS, np.zeros(shape))


@pytest.mark.parametrize("n", [0, -1, 2.0, True, "3"])
def test_a_width_that_is_no_whole_number_is_refused(n):
    with pytest.raises(bp.ConfigurationError, match="n_in="):
        bp.Dense(n, 2)


def test_initial_weights_are_the_initializers_own():
    params = bp.Dense(300, 200, weight_init=bp.Normal(0.5), bias_init=bp.Uniform(0.1)).init(Stream(3, "init"), None)
    assert params["weight"].shape == (300, 200)
    assert abs(params["weight"].std() - 0.5) < 0.01
    assert params["bias"].shape == (1, 200)
    assert 0.05 < np.abs(params["bias"]).max() <= 0.1
