"""E4, first half: the chain rule as products of factors along paths, then the same as matrices.

With sigmoid neurons and no biases, z(l+1) = a(l) Θ(l), a = σ(z), J = 1/(2m) Σ (y - a3)² over m examples:

    δ(3) = 1/m (a3 - y) ⊙ f'(z3),   δ(2) = δ(3) Θ(2)ᵀ ⊙ f'(z2),   ∂J/∂Θ(l) = a(l)ᵀ δ(l+1)

Weights are (n_in, n_out) here; the report's Θ is the transpose, so its formulas read δ(l+1)ᵀ a(l) and δ(l+1) Θ(l).
What is put right: the report prints δ = 1/m (y - a) f'(a). With that sign θ := θ - η ∂J/∂θ climbs, as is shown below;
f' is taken at z (for the sigmoid that is a (1 - a)), never at a. And the report calls δ(2) dW1 and δ(1) dW2: they are
no gradients of weights, but what these are made of.

python examples/chain_rule.py
"""

from itertools import pairwise
from math import prod

import numpy as np
from reporting import can_draw, compare, curves, expect, figure, options, table

import portable_bp as bp

NEURONS = "₁₂₃₄"
"""Indices as they are written behind a name: θ1₁₂ leads from input 1 to hidden neuron 2."""


def network(widths, backend, weights=None, seed=0, init=None):
    """Sigmoid layers without biases, J = 1/(2m) Σ (y - a)², float64."""
    layers = []
    for n_in, n_out in pairwise(widths):
        layers += [bp.Dense(n_in, n_out, bias=False, weight_init=init or bp.Normal(1.0)), bp.Sigmoid()]
    params = None if weights is None else [own for w in weights for own in ({"weight": np.asarray(w, float)}, {})]
    return bp.Network(layers, bp.HalfMeanSquaredError(), backend=backend, dtype="float64", seed=seed, params=params)


def gradients(net, x, y):
    """The library's gradients by theta1 and theta2, as NumPy arrays."""
    return [net.backend.to_numpy(layer["weight"]) for layer in net.gradients(x, y)[1] if layer]


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def paths(x, y, theta1, theta2, m=1):
    """Every ∂J/∂θ of one example as a list of paths, each a dict of its named factors; neurons count from 1.

    θ1ᵢₕ: one path through each output o, 5 factors; θ2ₕₒ: one path, 3 factors.
    """
    a2 = sigmoid(x @ theta1)
    a3 = sigmoid(a2 @ theta2)
    found = {}
    for o, out in enumerate(NEURONS[: len(a3)]):
        head = {f"∂J/∂a3{out}": (a3[o] - y[o]) / m, f"∂a3{out}/∂z3{out}": a3[o] * (1 - a3[o])}
        for h, hid in enumerate(NEURONS[: len(a2)]):
            found[f"θ2{hid}{out}"] = [{**head, f"∂z3{out}/∂θ2{hid}{out}": a2[h]}]
            through = {f"∂z3{out}/∂a2{hid}": theta2[h, o], f"∂a2{hid}/∂z2{hid}": a2[h] * (1 - a2[h])}
            for i, inp in enumerate(NEURONS[: len(x)]):
                path = {**head, **through, f"∂z2{hid}/∂θ1{inp}{hid}": x[i]}
                found.setdefault(f"θ1{inp}{hid}", []).append(path)
    return {name: found[name] for name in sorted(found)}


def path_sums(found, *shapes):
    """Sum over paths of the products of their factors, as matrices by theta1 and theta2."""
    sums = {name: sum(prod(path.values()) for path in its) for name, its in found.items()}
    return [
        np.array([[sums[f"θ{layer}{i}{j}"] for j in NEURONS[:n_out]] for i in NEURONS[:n_in]])
        for layer, (n_in, n_out) in enumerate(shapes, start=1)
    ]


def matrix_form(x, y, theta1, theta2, sign=1.0):
    """∂J/∂Θ(l) = a(l)ᵀ δ(l+1); sign -1 is the report's printed (y - a)."""
    a2 = sigmoid(x @ theta1)
    a3 = sigmoid(a2 @ theta2)
    delta3 = sign * (a3 - y) / len(x) * a3 * (1 - a3)
    delta2 = delta3 @ theta2.T * a2 * (1 - a2)
    return [x.T @ delta2, a2.T @ delta3]


def count(found):
    return sum(len(path) for its in found.values() for path in its)


def show_paths(title, found):
    """One row a factor: the derivative, the path, the factor's name and number; the product behind the last one."""
    rows = []
    for name, its in found.items():
        for number, path in enumerate(its, start=1):
            numbers = " · ".join(f"{value:.4f}" for value in path.values())
            first = f"∂J/∂{name}" if number == 1 else ""
            rows.append((first, " · ".join(path), f"{numbers} = {prod(path.values()):.6f}"))
        if len(its) > 1:
            rows.append(("", "sum over the paths", f"{sum(prod(path.values()) for path in its):.6f}"))
    table(title, ("derivative", "factors", "numbers"), rows)


def largest_difference(found, expected):
    return max(np.abs(a - b).max() for a, b in zip(found, expected, strict=True))


def toy(backend):
    """The 1-1-1 network: one path a weight."""
    x, y, theta1, theta2 = np.array([0.7]), np.array([0.2]), np.array([[-1.3]]), np.array([[0.8]])
    found = paths(x, y, theta1, theta2)
    show_paths("1-1-1, J = ½ (y - a3)², x = 0.7, y = 0.2, θ1 = -1.3, θ2 = 0.8", found)
    net = network((1, 1, 1), backend, (theta1, theta2))
    apart = largest_difference(gradients(net, x[None], y[None]), path_sums(found, (1, 1), (1, 1)))
    expect("the products are the library's gradients to 1e-12", apart < 1e-12)
    return {name: len(its[0]) for name, its in found.items()}


def two_two_two(backend, seed):
    """The 2-2-2 network: sums over paths, for one example and for three, and the matrix form."""
    noise = np.random.default_rng(seed)
    x, y = noise.normal(size=(3, 2)), noise.uniform(size=(3, 2))
    theta1, theta2 = noise.normal(size=(2, 2)), noise.normal(size=(2, 2))
    net = network((2, 2, 2), backend, (theta1, theta2))
    first = paths(x[0], y[0], theta1, theta2)
    show_paths(f"2-2-2, one example, {len(first)} partial derivatives, {count(first)} factors", first)
    apart = largest_difference(gradients(net, x[:1], y[:1]), path_sums(first, (2, 2), (2, 2)))
    expect("the path sums of one example are the library's gradients to 1e-12", apart < 1e-12)
    each = [path_sums(paths(*pair, theta1, theta2, m=3), (2, 2), (2, 2)) for pair in zip(x, y, strict=True)]
    sums, matrices, found = (
        [sum(own) for own in zip(*each, strict=True)],
        matrix_form(x, y, theta1, theta2),
        gradients(net, x, y),
    )
    expect("the path sums of three examples are the matrix form to 1e-12", largest_difference(sums, matrices) < 1e-12)
    expect("the matrix form is the library's gradients to 1e-12", largest_difference(matrices, found) < 1e-12)
    return count(first), climbs(net, x, y, theta1, theta2)


def climbs(net, x, y, theta1, theta2):
    """J before a step, after one with the right sign, and after one with the report's (y - a)."""
    losses = [net.evaluate(x, y)["loss"]]
    for sign in (1.0, -1.0):
        steps = matrix_form(x, y, theta1, theta2, sign)
        net.params = [{"weight": theta1 - steps[0]}, {}, {"weight": theta2 - steps[1]}, {}]
        losses.append(net.evaluate(x, y)["loss"])
    return losses


def apart_while_training(net, steps):
    """How far the hidden neurons' incoming weights are from each other, after every tenth step on XOR's points."""
    x, y = bp.datasets.xor()
    spread = []
    for _ in range(steps // 10):
        net.fit(x, y, optimizer=bp.SGD(1.0), epochs=10, batch_size=None)
        spread.append(float(np.ptp(net.backend.to_numpy(net.params[0]["weight"]), axis=1).max()))
    return spread


def main():
    given = options(__doc__)
    factors = toy(given.backend)
    total, (before, right, wrong) = two_two_two(given.backend, given.seed)
    steps = 200 if given.quick else 2_000
    equal = network((2, 4, 1), given.backend, (np.full((2, 4), 0.5), np.full((4, 1), 0.5)))
    uniform = network((2, 4, 1), given.backend, seed=given.seed, init=bp.Uniform(0.5))
    spreads = {
        "all weights 0.5": apart_while_training(equal, steps),
        "uniform in [-0.5, 0.5)": apart_while_training(uniform, steps),
    }
    still, broken = (spread[-1] for spread in spreads.values())
    wrong_sign = f"J {before:.5f} → {wrong:.5f}"
    compare(
        [
            ("factors of ∂J/∂θ1, 1-1-1", 5, factors["θ1₁₁"], ""),
            ("factors of ∂J/∂θ2, 1-1-1", 3, factors["θ2₁₁"], ""),
            ("factors, 2-2-2", 52, total, ""),
            ("a step with δ = 1/m (a - y) f'(z)", "not printed", f"J {before:.5f} → {right:.5f}", "It descends."),
            ("a step with δ = 1/m (y - a) f'", "descends", wrong_sign, "The printed sign is wrong: it climbs."),
            ("hidden neurons apart, equal start", "0", still, "They differ by rounding at most." if still else ""),
            (f"hidden neurons apart, uniform start, {steps} steps", "breaks the symmetry", broken, ""),
        ]
    )
    expect("the 2-2-2 network has 52 factors, the toy's weights 5 and 3", (total, *factors.values()) == (52, 5, 3))
    expect("the right sign descends, the printed one climbs", right < before < wrong)
    expect("hidden neurons that start equal stay equal, and others do not", still < 1e-12 and broken > 0.1)
    if can_draw(given.out):
        with figure(given.out / "symmetry.png", "largest difference between hidden neurons' weights") as (axes,):
            curves(axes, spreads, "step", "difference", log=False, every=10)


if __name__ == "__main__":
    main()
