"""E2, linear and XOR data: two hidden layers, sigmoid everywhere, C = (ŷ - y)² for one example after the other.

With batches of one, MeanSquaredError is exactly C, with the gradient 2 (ŷ - y). The report prints
σ'(x) = σ(x) / (1 - σ(x)); it is σ(x) (1 - σ(x)), which is what the library computes.

python examples/linear_xor.py --quick
"""

import numpy as np
from reporting import can_draw, compare, curves, expect, figure, options, table

import portable_bp as bp

SEEDS = 3
"""Starts averaged in the studies, and tried until all points are right: XOR's centre alone can stay wrong."""


def network(widths, backend, seed, activation=True):
    """2 inputs, hidden layers of these widths, 1 output; a sigmoid behind each, or nothing."""
    layers = []
    for n_in, n_out in zip((2, *widths), (*widths, 1), strict=True):
        layers.append(bp.Dense(n_in, n_out, weight_init=bp.Normal(1.0), bias_init=bp.Normal(1.0)))
        layers += [bp.Sigmoid()] if activation else []
    return bp.Network(layers, bp.MeanSquaredError(), backend=backend, seed=seed)


def train(net, data, rate, epochs):
    """C, a mean over the examples, epoch by epoch."""
    return net.fit(*data, optimizer=bp.SGD(rate), epochs=epochs, batch_size=1)["loss"]


def learn(data, rate, epochs, given):
    """Train 8-8 from the seed's start, or the next ones', until every point is right; the network and its losses."""
    for seed in range(given.seed, given.seed + SEEDS):
        net = network((8, 8), given.backend, seed)
        losses = train(net, data, rate, epochs)
        if net.score(*data) == 1.0:
            break
    return net, losses


def study(points, epochs, given):
    """Losses by name for (name, widths, rate), XOR's points, averaged over starts."""
    seeds = range(given.seed, given.seed + (1 if given.quick else SEEDS))
    data = bp.datasets.xor()
    return {
        name: np.mean([train(network(widths, given.backend, seed), data, rate, epochs) for seed in seeds], axis=0)
        for name, widths, rate in points
    }


def overflow(data, given):
    """What training without activation functions ends with: the error's own words."""
    try:
        train(network((8, 8), given.backend, given.seed, activation=False), data, 0.1, 10)
    except bp.NonFiniteError as error:
        return str(error)
    return ""


def slope_at_one(backend):
    """σ'(1) as the library's backward pass computes it."""
    with backend.activate():
        one, layer = backend.asarray(np.ones((1, 1))), bp.Sigmoid()
        _, cache = layer.forward(backend.xp, {}, one)
        return float(layer.backward(backend.xp, {}, cache, one)[0][0, 0])


def show_predictions(name, net, data):
    outputs = net.predict(data.x)[:, 0]
    picked = range(0, len(outputs), len(outputs) // 6)
    rows = [(*map(float, data.x[i]), int(data.y[i, 0]), float(outputs[i]), int(outputs[i] > 0.5)) for i in picked]
    table(f"{name}: some of {len(outputs)} predictions", ("x1", "x2", "truth", "output", "class"), rows)


def scatter(axes, data, classes, title, net=None):
    """Points coloured by class; with a network its output behind them."""
    if net is not None:
        grid = np.linspace(-0.05, 1.05, 111)
        plane = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
        output = net.predict(plane).reshape(111, 111)
        extent = (-0.055, 1.055, -0.055, 1.055)
        axes.imshow(output, origin="lower", extent=extent, cmap="coolwarm", vmin=0, vmax=1, alpha=0.5)
    axes.scatter(*data.x.T, c=classes, cmap="coolwarm", vmin=0, vmax=1, edgecolors="black", linewidths=0.5, s=28)
    axes.set(title=title, xlabel="x1", ylabel="x2", xlim=(-0.05, 1.05), ylim=(-0.05, 1.05), aspect="equal")


def draw(folder, learnt, rates, widths):
    for name, (data, net, losses) in learnt.items():
        with figure(folder / f"{name}.png", f"{name}: 2-8-8-1, sigmoid", columns=3, size=(3.6, 3.6)) as panels:
            scatter(panels[0], data, data.y[:, 0], "ground truth")
            scatter(panels[1], data, net.classify(data.x), "prediction, output behind", net)
            curves(panels[2], {"C": losses}, "epoch", "C per example", log=True)
    with figure(folder / "studies.png", "XOR: learning rates with 4-4, widths with rate 0.1", columns=2) as panels:
        for axes, lines in zip(panels, (rates, widths), strict=True):
            curves(axes, lines, "epoch", "C per example", log=False)


def main():
    given = options(__doc__)
    sets = {"linear": (bp.datasets.linear(100), 0.1, 100 if given.quick else 300)}
    sets["xor"] = (bp.datasets.xor(), *((1.0, 250) if given.quick else (0.5, 4_000)))
    learnt = {name: (data, *learn(data, rate, epochs, given)) for name, (data, rate, epochs) in sets.items()}
    accuracy = {name: net.score(*data) for name, (data, net, _) in learnt.items()}
    for name, (data, net, _) in learnt.items():
        show_predictions(name, net, data)

    epochs = 150 if given.quick else 3_000
    rates = study([(f"rate {rate:g}", (4, 4), rate) for rate in (1.0, 0.1, 0.01)], epochs, given)
    widths = study([(f"width {width}", (width, width), 0.1) for width in (2, 3)], epochs, given)
    widths["width 4"] = rates["rate 0.1"]  # the same run
    rows = [(name, losses[0], losses[-1], np.diff(losses).max()) for name, losses in {**rates, **widths}.items()]
    title = f"XOR, {epochs:,} epochs, C per example, mean over {1 if given.quick else SEEDS} starts"
    table(title, ("", "first epoch", "last epoch", "largest rise in an epoch"), rows)

    message, slope = overflow(learnt["linear"][0], given), slope_at_one(bp.get_backend(given.backend))
    print(f"\nwithout activation functions: NonFiniteError: {message}")
    short = f"{epochs:,} epochs only; the full run takes 3,000." if given.quick else ""
    starts = learnt["xor"][1].seed - given.seed
    other = f"Start {starts + 1}: earlier ones left a point near the centre wrong." if starts else ""
    compare(
        [
            ("accuracy, linear", "100 %", f"{100 * accuracy['linear']:.0f} %", ""),
            ("accuracy, xor", "100 %", f"{100 * accuracy['xor']:.0f} %", other),
            ("rate 0.01", "hardly moves", f"C ends at {rows[2][2]:.3f}", "0.25 is what answering ½ everywhere costs."),
            ("rate 1", "jumps about", f"C rises by up to {rows[0][3]:.3f} in an epoch", ""),
            ("rate 0.1", "right", f"C ends at {rows[1][2]:.3f}", short),
            ("widths 2 / 3 / 4", "more is faster", " / ".join(f"{row[2]:.3f}" for row in rows[3:]), short),
            ("without activations", "nan from epoch 0", message.split(":")[0], "The library stops at the first one."),
            ("σ'(1)", f"{np.e:.4f}", f"{slope:.4f}", "The printed σ / (1 - σ) is eˣ; σ (1 - σ) is right."),
        ]
    )
    expect("both sets are learnt to 100 %", set(accuracy.values()) == {1.0})
    expect("the larger the rate, the larger the jumps of the loss", rows[2][3] < rows[1][3] < rows[0][3])
    expect("the network without activations is stopped in epoch 1", " of epoch 1:" in message)
    expect("σ'(1) is 0.1966", abs(slope - 0.19661193) < 1e-6)
    if can_draw(given.out):
        draw(given.out, learnt, rates, widths)


if __name__ == "__main__":
    main()
