"""Two trainings in lockstep part where something was broken, and are told apart nowhere else."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

import portable_bp as bp
from portable_bp.lockstep.differ import compared

NOISE = np.random.default_rng(0)
X, LABELS = NOISE.normal(size=(24, 4)), NOISE.integers(0, 3, 24)
LAYERS = [bp.Dense(4, 6), bp.Tanh(), bp.Dropout(0.2), bp.Dense(6, 5), bp.Tanh(), bp.Dense(5, 3)]
SLIGHTLY = 1.00001


def network(layers=LAYERS, **options):
    return bp.Network(layers, bp.SoftmaxCrossEntropy(), **{"dtype": "float64", **options})


@dataclass(frozen=True)
class WrongFromStep3On(bp.Dense):
    """A Dense layer whose weight's gradient is × 1.00001 in every step but the first two."""

    stochastic: ClassVar[bool] = True  # so that it is told the step
    tree: str = "weight"

    def forward(self, xp, params, x, draw=None):
        y, cache = super().forward(xp, params, x)
        late = xp.zeros((), dtype=x.dtype) if draw is None else xp.astype(draw.step >= 2, x.dtype)
        return y, (cache, 1 + late * (SLIGHTLY - 1))

    def backward(self, xp, params, cache, dy):
        x, factor = cache
        dx = xp.matmul(dy, xp.matrix_transpose(params["weight"]))
        grads = super().backward_params(xp, params, x, dy)
        return (dx * factor, grads) if self.tree == "x" else (dx, {**grads, self.tree: grads[self.tree] * factor})

    def backward_params(self, xp, params, cache, dy):
        return self.backward(xp, params, cache, dy)[1]


def broken(inner, number, tree):
    """The backend ``inner``, with a wrong layer in the place of the Dense layer of these sizes."""
    spoilt = LAYERS[number]

    class Broken(type(inner)):
        def lower(self, part):
            return WrongFromStep3On(part.n_in, part.n_out, tree=tree) if part == spoilt else super().lower(part)

    return Broken()


PLACES = [(0, "weight", "0 Dense", "grads.weight"), (3, "weight", "3 Dense", "grads.weight"),
          (3, "bias", "3 Dense", "grads.bias"), (5, "x", "4 Tanh", "dy")]  # fmt: skip


@pytest.mark.parametrize("spec", ["numpy", "torch", "jax"])
@pytest.mark.parametrize(("number", "tree", "layer", "array"), PLACES)
def test_a_gradient_times_1_00001_from_step_3_on_is_named(number, tree, layer, array, spec, require_backend):
    wrong = broken(require_backend(spec), number, tree)
    report = bp.diff(network(), X, LABELS, ["numpy", wrong], optimizer=bp.Momentum(0.1), batch_size=8)
    assert not report.ok
    assert (report.steps, report.first.layer, report.first.array) == (3, layer, array)
    assert report.first.difference == pytest.approx(1e-5, rel=1e-3)
    assert str(report).startswith(
        f"numpy and {wrong.spec} differ first in step 3, {array} of {layer}: by up to 1e-05 of its "
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sound_backends_agree_and_show_a_table_of_the_last_step(dtype, backend):
    report = bp.diff(
        network(dtype=dtype), X, LABELS, ["numpy", backend], optimizer=bp.Adam(0.01), steps=4, batch_size=8
    )
    assert report.ok
    assert (report.steps, report.dtype) == (4, dtype)
    assert report.tolerance == {"float32": 1e-4, "float64": 1e-11}[dtype]
    lines = str(report).splitlines()
    assert lines[0].endswith(" in all 4 steps; in the last one:")
    assert lines[1].split() == ["layer", "array", "difference", "ULPs", "of", dtype, "there"]
    places = [(row.layer, row.array) for row in report.rows]
    assert len(lines) == 2 + len(places)
    assert places[:7] == [*((layer, "y") for layer in network().architecture.names), (None, "loss")]
    assert places[7:11] == [("5 Dense", "dy"), ("5 Dense", "grads.weight"), ("5 Dense", "grads.bias"), ("4 Tanh", "dy")]
    assert ("0 Dense", "grads.weight") in places
    assert places[-1] == ("5 Dense", "params.bias")
    assert {place[1] for place in places} >= {"optimizer.m.weight", "optimizer.v.bias"}


def test_in_reproducible_arithmetic_the_bits_are_compared_and_are_the_same(backend):
    report = bp.diff(network(arithmetic="reproducible"), X, LABELS, ["numpy", backend], steps=2, batch_size=8)
    assert (report.ok, report.tolerance) == (True, 0.0)
    assert {(row.difference, row.ulps, row.bit) for row in report.rows} == {(0.0, 0, None)}


def test_sides_may_name_dtype_and_arithmetic_and_are_compared_in_the_lower_precision():
    report = bp.diff(
        network(), X, LABELS, ["numpy@float32", "numpy@float64@reproducible"], optimizer=bp.SGD(0.1), steps=5
    )
    assert (report.ok, report.dtype, report.tolerance) == (True, "float32", 1e-4)
    assert max(row.difference for row in report.rows) > 1e-9
    exact = bp.diff(network(), X, LABELS, ["numpy@float32@reproducible", "numpy@reproducible@float32"], steps=2)
    assert (exact.tolerance, exact.ok) == (0.0, True)


def test_with_tolerance_0_the_first_bit_is_named():
    report = bp.diff(
        network(), X, LABELS, ["numpy", broken(bp.get_backend("numpy"), 3, "weight")], tolerance=0, batch_size=8
    )
    first = report.first
    assert (report.steps, first.layer, first.array, first.index) == (3, "3 Dense", "grads.weight", (0, 0))
    a, b = first.values
    assert b == pytest.approx(a * SLIGHTLY, rel=1e-15)
    assert first.ulps == pytest.approx(abs(b - a) / np.spacing(abs(a)), rel=0.5)
    assert str(report).endswith(f"at [0, 0]: {a:.17g} and {b:.17g}, different from bit {first.bit} on")


def test_two_networks_are_compared_as_they_are_and_stay_what_they_were():
    right, wrong = network(), network([*LAYERS[:3], WrongFromStep3On(6, 5), *LAYERS[4:]])
    wrong.params = right.params
    with pytest.raises(bp.ConfigurationError, match=r"differ in their layers.*WrongFromStep3On"):
        bp.diff([right, wrong], X, LABELS)
    one, other = network(), network(seed=0, backend="numpy")
    for net in (one, other):
        net.fit(X, LABELS, optimizer=bp.Adam(0.01), epochs=2, batch_size=8, progress=False)
    digest = one.digest()
    report = bp.diff([one, other], X, LABELS, steps=7, batch_size=8, tolerance=0)
    assert report.ok  # with Adam as it stood
    assert ("0 Dense", "optimizer.m.weight") in [(row.layer, row.array) for row in report.rows]
    assert (one.digest(), one.epoch, one.step) == (digest, 2, 6)
    other.params = [{n: a * 1.001 for n, a in own.items()} for own in other.params]
    shown = bp.diff([one, other], X, LABELS, optimizer=bp.SGD(0.1), batch_size=8)
    assert (shown.steps, shown.first.layer, shown.first.array) == (1, "0 Dense", "y")
    assert shown.sides == ("numpy@float64@native",) * 2


def test_the_steps_compared_are_those_of_fit():
    """After as many steps as fit takes, the parameters compared are those that fit ends with."""
    trained, net = network(), network()
    trained.fit(X, LABELS, optimizer=bp.Adam(0.01), epochs=2, batch_size=10, progress=False)
    report = bp.diff(net, X, LABELS, ["numpy", "numpy"], optimizer=bp.Adam(0.01), steps=6, batch_size=10, tolerance=0)
    last = {(row.layer, row.array): row.values[0] for row in report.rows}
    assert report.ok
    assert last["0 Dense", "params.weight"] == trained.params[0]["weight"][0, 0]
    assert net.epoch == net.step == 0


def test_a_report_is_a_dict_of_numbers_and_text():
    report = bp.diff(network(), X, LABELS, ["numpy", "numpy"], steps=1)
    found = report.to_dict()
    assert set(found) == {"ok", "sides", "dtype", "tolerance", "steps", "first", "rows"}
    assert set(found["rows"][0]) == {"layer", "array", "difference", "ulps", "index", "values", "bit"}


PAIRS = {
    "equal": ([1.0, np.inf, np.nan], [1.0, np.inf, np.nan], 0.0, 0),
    "an infinity of the other sign": ([1.0, np.inf], [1.0, -np.inf], np.inf, 1),
    "a NaN on one side": ([1.0, np.nan], [1.0, 2.0], np.inf, 1),
    "relative to the largest": ([4.0, 1.0], [4.0, 1.5], 0.125, 1),
    "zeros": ([0.0, 0.0], [0.0, 0.0], 0.0, 0),
}


@pytest.mark.parametrize("name", PAIRS)
def test_differences_are_relative_and_infinite_where_only_one_is_finite(name):
    a, b, difference, index = PAIRS[name]
    for dtype in ("float32", "float64"):
        with np.errstate(invalid="ignore"):
            row = compared((0, "y"), np.asarray(a, dtype), np.asarray(b, dtype), ["0 Dense"], 1e-3)
        assert (row.difference, row.index) == (difference, (index,))


def test_zeros_of_different_signs_are_one_number_of_different_bits():
    row = compared((None, "loss"), np.asarray(0.0), np.asarray(-0.0), [], 0.0)
    assert (row.ulps, row.difference, row.bit, row.index) == (0, 0.0, 0, ())


MISTAKES = {
    "no sides": (None, {}, "name the two to compare"),
    "one side": (["numpy"], {}, "name the two to compare"),
    "text": ("numpy", {}, "name the two to compare"),
    "a word": (["numpy", "torch@half"], {}, r"write BACKEND\[:DEVICE\]\[@DTYPE\]\[@ARITHMETIC\]"),
    "two dtypes": (["numpy", "numpy@float32@float64"], {}, r"write BACKEND\[:DEVICE\]"),
    "no steps": (["numpy", "numpy"], {"steps": 0}, "steps=0: it must be a whole number"),
    "a negative tolerance": (["numpy", "numpy"], {"tolerance": -1.0}, "tolerance=-1.0: it must be a finite number"),
    "no optimizer": (["numpy", "numpy"], {"optimizer": "adam"}, "is no optimizer"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_told_with_their_cure(name):
    sides, options, words = MISTAKES[name]
    with pytest.raises(bp.ConfigurationError, match=words):
        bp.diff(network(), X, LABELS, sides, **options)


def test_networks_that_can_not_be_compared_are_refused():
    for others, words in (
        ([network()], "one Network and two sides, or two Networks"),
        ([network(), network(seed=1)], "differ in their seed, 0 and 1"),
        ([network(), network([bp.Dense(4, 3)])], "differ in their layers"),
        (
            [network(), network([bp.Dense(4, 7), *LAYERS[1:3], bp.Dense(7, 5), *LAYERS[4:]])],
            "differ in their parameters",
        ),
    ):
        with pytest.raises(bp.ConfigurationError, match=words):
            bp.diff(others, X, LABELS)
