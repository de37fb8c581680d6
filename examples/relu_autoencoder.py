"""E3, eight numbers in, the same eight out: affine - ReLU - affine, mean squared error, SGD; with and without biases.

Each layer is one file of the library with its gradient by hand, the activation counted as a layer of its own. The eight
numbers, the eight hidden neurons and He's start are this script's choice: 1/8, 2/8 … 1.

python examples/relu_autoencoder.py --quick
"""

from itertools import pairwise

import numpy as np
from reporting import can_draw, compare, curves, expect, figure, options, table

import portable_bp as bp

STEPS = {1e-2: 1_000, 1e-3: 10_000, 1e-4: 100_000, 1e-5: 300_000, 1e-6: 300_000}
"""Steps by learning rate, over the report's range of 1,000 to 300,000."""
NUMBERS = np.arange(1, 9)[None] / 8


def network(bias, backend, seed):
    first, second = (bp.Dense(8, 8, bias=bias, weight_init=bp.He()) for _ in range(2))
    return bp.Network([first, bp.ReLU(), second], bp.MeanSquaredError(), backend=backend, dtype="float64", seed=seed)


def train(bias, rate, steps, given):
    """The network and its losses, the first one that of the random start."""
    net = network(bias, given.backend, given.seed)
    history = net.fit(NUMBERS, NUMBERS, optimizer=bp.SGD(rate), epochs=steps, batch_size=None)
    return net, history["loss"]


def biases(net):
    """The biases by name, and which hidden neurons are dead: their ReLU gives 0, so that no gradient passes."""
    hidden, _, out = net.params
    to_numpy = net.backend.to_numpy
    z = NUMBERS @ to_numpy(hidden["weight"]) + to_numpy(hidden["bias"])
    return {"hidden": to_numpy(hidden["bias"])[0], "output": to_numpy(out["bias"])[0]}, z[0] <= 0


def signs(values):
    return " ".join("+" if value > 0 else "-" if value < 0 else "0" for value in values)


def draw(folder, losses, learnt):
    with figure(folder / "losses.png", "eight numbers to themselves, ReLU", columns=2) as panels:
        for axes, bias in zip(panels, (True, False), strict=True):
            lines = {f"rate {rate:g}": losses[rate, bias] for rate in STEPS}
            curves(axes, lines, "step", "mean squared error", log=True)
            axes.set(xscale="log", ylim=(1e-9, 10), title=f"with{'' if bias else 'out'} biases")
    with figure(folder / "biases.png", "learnt biases, rate 0.01", columns=2, size=(3.6, 3)) as panels:
        for axes, (name, values) in zip(panels, learnt.items(), strict=True):
            axes.bar(range(1, 9), values, color=["tab:red" if value < 0 else "tab:blue" for value in values])
            axes.axhline(0, color="black", linewidth=0.8)
            axes.set(xlabel="neuron", title=f"{name} layer", xticks=range(1, 9))


def report(after, with_bias, without, learnt, same):
    """Compare losses after 1,000 steps, with and without biases, and the signs of the learnt biases."""
    compare(
        [
            (
                "rate 0.01 … 1e-6 after 1,000 steps",
                "curves only",
                " / ".join(f"{loss:.2g}" for loss in after.values()),
                "The report gives no numbers; a rate ten times smaller needs about ten times the steps.",
            ),
            (
                "rate 0.001 after 1,000 steps, no biases",
                "curves only",
                f"{without:.3g}, with them {with_bias:.3g}",
                "Biases alone can give the outputs here, so training without them is slower.",
            ),
            ("signs of the hidden biases", "looked at", signs(learnt["hidden"]), "They depend on the start, --seed."),
            (
                "signs of the output biases",
                "looked at",
                signs(learnt["output"]),
                f"{same} of 8 have the sign of what the start lacked.",
            ),
        ]
    )


def main():
    given = options(__doc__)
    steps = {rate: min(most, 2_000) if given.quick else most for rate, most in STEPS.items()}
    runs = {(rate, bias): train(bias, rate, steps[rate], given) for rate in STEPS for bias in (True, False)}
    losses = {key: found for key, (_, found) in runs.items()}
    rows = [
        (f"{rate:g}", f"{steps[rate]:,}", losses[rate, True][0], losses[rate, True][-1], losses[rate, False][-1])
        for rate in STEPS
    ]
    table("mean squared error", ("rate", "steps", "at the start", "with biases", "without biases"), rows)
    learnt, dead = biases(runs[1e-2, True][0])
    after = {rate: losses[rate, True][999] for rate in STEPS}
    with_bias, without = (losses[1e-3, bias][999] for bias in (True, False))
    lacked = NUMBERS - network(True, given.backend, given.seed).predict(NUMBERS)
    same = int(np.sum(np.sign(learnt["output"]) == np.sign(lacked)))
    report(after, with_bias, without, learnt, same)
    expect("a thousand steps of rate 0.01 make the loss a hundredth", after[1e-2] < losses[1e-2, True][0] / 100)
    expect("the smaller the rate, the higher the loss", all(a < b for a, b in pairwise(after.values())))
    expect("training without biases is slower", with_bias < without)
    stuck = bool(np.all(dead[learnt["hidden"] == 0]))
    expect("a hidden bias that is still 0 is that of a dead neuron, whose ReLU lets no gradient pass", stuck)
    if can_draw(given.out):
        draw(given.out, losses, learnt)


if __name__ == "__main__":
    main()
