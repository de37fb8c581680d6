"""Backpropagation by hand on the smallest networks, and against torch's autograd on random ones."""

import numpy as np
import pytest

import portable_bp as bp
from portable_bp.backpropagation import Model


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def test_the_1_1_1_network_agrees_with_the_chain_rule_factor_by_factor(backend):
    """J = ½ (y - a3)²: ∂J/∂θ2 has 3 factors, ∂J/∂θ1 has 5."""
    x, y, theta1, theta2 = 0.7, 0.2, -1.3, 0.8
    net = bp.Network(
        [bp.Dense(1, 1, bias=False), bp.Sigmoid(), bp.Dense(1, 1, bias=False), bp.Sigmoid()],
        bp.HalfSquaredError(),
        backend=backend,
        dtype="float64",
        params=[{"weight": np.asarray([[theta1]])}, {}, {"weight": np.asarray([[theta2]])}, {}],
    )
    a2 = sigmoid(x * theta1)
    a3 = sigmoid(a2 * theta2)
    dJ_da3, da3_dz3, dz3_dtheta2 = -(y - a3), a3 * (1 - a3), a2
    dz3_da2, da2_dz2, dz2_dtheta1 = theta2, a2 * (1 - a2), x
    loss, grads = net.gradients(np.asarray([[x]]), np.asarray([[y]]))
    assert loss == pytest.approx(0.5 * (y - a3) ** 2, rel=1e-14)
    by_hand = {0: dJ_da3 * da3_dz3 * dz3_da2 * da2_dz2 * dz2_dtheta1, 2: dJ_da3 * da3_dz3 * dz3_dtheta2}
    for layer, value in by_hand.items():
        assert float(grads[layer]["weight"][0, 0]) == pytest.approx(value, rel=1e-13)


def test_the_2_2_2_network_agrees_with_the_sum_over_paths_and_with_the_matrix_form(backend):
    """J = 1/(2m) Σ (y_i - a_i)²: every partial derivative as a sum over the paths from the weight to an output."""
    m, noise = 3, np.random.default_rng(0)
    x, y = noise.normal(size=(m, 2)), noise.uniform(size=(m, 2))
    theta1, theta2 = noise.normal(size=(2, 2)), noise.normal(size=(2, 2))
    layers = [bp.Dense(2, 2, bias=False), bp.Sigmoid(), bp.Dense(2, 2, bias=False), bp.Sigmoid()]
    net = bp.Network(
        layers,
        bp.HalfMeanSquaredError(),
        backend=backend,
        dtype="float64",
        params=[{"weight": theta1}, {}, {"weight": theta2}, {}],
    )
    _, grads = net.gradients(x, y)

    a2 = sigmoid(x @ theta1)
    a3 = sigmoid(a2 @ theta2)
    paths1, paths2 = np.zeros((2, 2)), np.zeros((2, 2))
    for n in range(m):
        for out in range(2):
            to_z3 = (a3[n, out] - y[n, out]) / m * a3[n, out] * (1 - a3[n, out])
            for hidden in range(2):
                paths2[hidden, out] += to_z3 * a2[n, hidden]
                for i in range(2):
                    through = theta2[hidden, out] * a2[n, hidden] * (1 - a2[n, hidden])
                    paths1[i, hidden] += to_z3 * through * x[n, i]
    delta3 = (a3 - y) / m * a3 * (1 - a3)
    delta2 = (delta3 @ theta2.T) * a2 * (1 - a2)
    for found, paths, matrix in (
        (grads[0]["weight"], paths1, x.T @ delta2),
        (grads[2]["weight"], paths2, a2.T @ delta3),
    ):
        np.testing.assert_allclose(net.backend.to_numpy(found), paths, rtol=1e-12)
        np.testing.assert_allclose(net.backend.to_numpy(found), matrix, rtol=1e-12)


TORCH_ACTIVATIONS = {
    "Sigmoid": (bp.Sigmoid(), lambda F, z: F.sigmoid(z)),
    "Tanh": (bp.Tanh(), lambda F, z: F.tanh(z)),
    "ReLU": (bp.ReLU(), lambda F, z: F.relu(z)),
    "LeakyReLU": (bp.LeakyReLU(0.2), lambda F, z: F.leaky_relu(z, 0.2)),
    "ELU": (bp.ELU(1.5), lambda F, z: F.elu(z, 1.5)),
    "GELU": (bp.GELU(), lambda F, z: F.gelu(z, approximate="tanh")),
    "Softplus": (bp.Softplus(), lambda F, z: F.softplus(z)),
    "Softmax": (bp.Softmax(), lambda F, z: F.softmax(z, dim=-1)),
}
TORCH_LOSSES = {
    "SoftmaxCrossEntropy": (bp.SoftmaxCrossEntropy(), lambda F, y, t: F.cross_entropy(y, t)),
    "BinaryCrossEntropy": (
        bp.BinaryCrossEntropy(reduction="sum"),
        lambda F, y, t: F.binary_cross_entropy_with_logits(y, t, reduction="sum"),
    ),
    "MeanSquaredError": (bp.MeanSquaredError(), lambda F, y, t: F.mse_loss(y, t)),
    "HalfSquaredError": (bp.HalfSquaredError(), lambda F, y, t: 0.5 * F.mse_loss(y, t, reduction="sum")),
}


def random_case(seed):
    """A random architecture, its loss and its data."""
    noise = np.random.default_rng(seed)
    widths = noise.integers(1, 9, size=noise.integers(2, 6)).tolist()
    names = noise.choice(list(TORCH_ACTIVATIONS), size=len(widths) - 2).tolist()
    loss = str(noise.choice(list(TORCH_LOSSES)))
    batch, n_out = int(noise.integers(1, 7)), widths[-1]
    labels = noise.integers(0, n_out, size=batch)
    target = labels if loss == "SoftmaxCrossEntropy" else noise.uniform(size=(batch, n_out))
    return widths, names, loss, noise.normal(size=(batch, widths[0])), target


@pytest.mark.parametrize("seed", range(25))
def test_random_architectures_agree_with_torch_autograd(seed):
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    widths, names, loss_name, x, target = random_case(seed)
    loss, torch_loss = TORCH_LOSSES[loss_name]
    layers = [bp.Dense(widths[0], widths[1], bias_init=bp.Normal(0.5))]
    for name, n_in, n_out in zip(names, widths[1:], widths[2:], strict=False):
        layers += [TORCH_ACTIVATIONS[name][0], bp.Dense(n_in, n_out, bias_init=bp.Normal(0.5))]
    net = bp.Network(layers, loss, dtype="float64", seed=seed)
    tensors = [{name: torch.tensor(a, requires_grad=True) for name, a in layer.items()} for layer in net.params]
    y = torch.tensor(x)
    activations = iter(names)
    for own in tensors:
        y = y @ own["weight"] + own["bias"] if own else TORCH_ACTIVATIONS[next(activations)][1](F, y)
    expected = torch_loss(F, y, torch.tensor(target))
    expected.backward()
    value, grads = net.gradients(x, target)
    assert value == pytest.approx(expected.item(), rel=1e-12)
    for found, own in zip(grads, tensors, strict=True):
        for name, tensor in own.items():
            np.testing.assert_allclose(found[name], tensor.grad.numpy(), rtol=1e-10, atol=1e-14)


class Watched(bp.Identity):
    """An Identity that counts its backward passes."""

    calls = 0

    def backward(self, xp, params, cache, dy):
        type(self).calls += 1
        return super().backward(xp, params, cache, dy)


def test_no_gradient_is_carried_in_front_of_the_first_parameters():
    layers = [Watched(), bp.Dense(3, 2), bp.Sigmoid()]
    model = Model(layers, bp.HalfSquaredError())
    params = [{}, bp.Dense(3, 2).init(bp.streams.Stream(0, "init"), None), {}]
    y, caches = model.forward(np, params, np.ones((2, 3)))
    alone = model.backward_params(np, params, caches, y)
    assert Watched.calls == 0
    dx, grads = model.backward(np, params, caches, y)
    assert Watched.calls == 1
    assert dx.shape == (2, 3)
    assert all(np.array_equal(alone[1][name], grads[1][name]) for name in grads[1])


def test_equal_hidden_neurons_stay_equal_and_a_random_start_parts_them():
    """E4: starting from equal weights, all hidden neurons stay equal for ever."""
    data = bp.datasets.xor()
    for init, stay_equal in ((bp.Zeros(), True), (bp.Uniform(0.5), False)):
        net = bp.Network(
            [bp.Dense(2, 4, weight_init=init), bp.Sigmoid(), bp.Dense(4, 1, weight_init=bp.Zeros())],
            bp.BinaryCrossEntropy(),
            dtype="float64",
        )
        net.fit(*data, optimizer=bp.SGD(0.5), epochs=50, batch_size=None)
        weight = net.params[0]["weight"]
        assert np.allclose(weight, weight[:, :1], atol=1e-12) == stay_equal
