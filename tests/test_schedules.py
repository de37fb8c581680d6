"""Every schedule is its formula, on every backend, and an optimizer takes its steps with the schedules' values."""

from math import cos, exp, floor, pi

import numpy as np
import pytest

import portable_bp as bp

STEPS = (0, 1, 2, 3, 4, 5, 9, 10, 11, 100, 12_345)


def cosine(t, steps, initial, final):
    return final + (initial - final) * (1 + cos(pi * min(t, steps) / steps)) / 2


# A schedule and its formula in plain Python.
SCHEDULES = {
    "Constant": (bp.Constant(0.3), lambda t: 0.3),
    "StepDecay": (bp.StepDecay(0.3, 0.5, every=4), lambda t: 0.3 * 0.5 ** floor(t / 4)),
    "StepDecay every step": (bp.StepDecay(0.3, 0.9, every=1), lambda t: 0.3 * 0.9**t),
    "ExponentialDecay": (bp.ExponentialDecay(0.3, 0.01), lambda t: 0.3 * exp(-0.01 * t)),
    "InverseTimeDecay": (bp.InverseTimeDecay(0.3, 0.7), lambda t: 0.3 / (1 + 0.7 * t)),
    "CosineDecay": (bp.CosineDecay(0.3, steps=10, final=0.02), lambda t: cosine(t, 10, 0.3, 0.02)),
    "CosineDecay, rising": (bp.CosineDecay(0.1, steps=10, final=0.9), lambda t: cosine(t, 10, 0.1, 0.9)),
    "WarmUp to a number": (bp.WarmUp(5, 0.3), lambda t: 0.3 * min(1, (t + 1) / 5)),
    "WarmUp of one step": (bp.WarmUp(1, 0.3), lambda t: 0.3),
    "WarmUp to a decay": (
        bp.WarmUp(4, then=bp.ExponentialDecay(0.3, 0.1)),
        lambda t: 0.3 * (t + 1) / 4 if t < 4 else 0.3 * exp(-0.1 * (t - 4)),
    ),
    "WarmUp to a cosine": (
        bp.WarmUp(3, then=bp.CosineDecay(0.3, steps=8, final=0.1)),
        lambda t: 0.3 * (t + 1) / 3 if t < 3 else cosine(t - 3, 8, 0.3, 0.1),
    ),
    "WarmUp to a warm-up": (
        bp.WarmUp(2, then=bp.WarmUp(2, 0.8)),
        lambda t: {0: 0.2, 1: 0.4, 2: 0.4, 3: 0.8}.get(t, 0.8),
    ),
}


def value(backend, schedule, t):
    with backend.activate():
        given = backend.xp.asarray(float(t), dtype=backend.xp.float64)
        found = schedule(backend.xp, given)
        assert backend.owns(found)
        assert float(given) == t
        return backend.to_numpy(found)


@pytest.mark.parametrize(("schedule", "formula"), SCHEDULES.values(), ids=SCHEDULES.keys())
def test_a_schedule_is_its_formula_on_every_backend(backend, schedule, formula):
    found = [value(backend, schedule, t) for t in STEPS]
    assert {(array.shape, str(array.dtype)) for array in found} == {((), "float64")}
    np.testing.assert_allclose(found, [formula(t) for t in STEPS], rtol=1e-12, atol=0)


EDGES = {
    "a cosine begins at its initial value": (bp.CosineDecay(0.3, steps=10, final=0.02), 0, 0.3),
    "a cosine is half way at half its steps": (bp.CosineDecay(0.3, steps=10, final=0.1), 5, 0.2),
    "a cosine ends at its final value": (bp.CosineDecay(0.3, steps=10, final=0.02), 10, 0.02),
    "a cosine stays at its final value": (bp.CosineDecay(0.3, steps=10, final=0.02), 10_000, 0.02),
    "a step comes after every steps": (bp.StepDecay(0.3, 0.5, every=4), 3, 0.3),
    "a step comes at every steps": (bp.StepDecay(0.3, 0.5, every=4), 4, 0.15),
    "a warm-up doesn't begin at 0": (bp.WarmUp(4, 0.8), 0, 0.2),
    "a warm-up's last step is whole": (bp.WarmUp(4, 0.8), 3, 0.8),
    "what follows a warm-up begins at its own 0": (bp.WarmUp(4, then=bp.StepDecay(0.8, 0.5, every=1)), 4, 0.8),
    "what follows a warm-up goes on": (bp.WarmUp(4, then=bp.StepDecay(0.8, 0.5, every=1)), 5, 0.4),
}


@pytest.mark.parametrize(("schedule", "t", "expected"), EDGES.values(), ids=EDGES.keys())
def test_at_the_edges(schedule, t, expected):
    assert float(value(bp.get_backend("numpy"), schedule, t)) == pytest.approx(expected, rel=1e-15)


REFUSED = [
    (lambda: bp.Constant(-0.1), "Constant got initial=-0.1: it must be a finite number of at least 0"),
    (lambda: bp.Constant(float("nan")), "Constant got initial=nan"),
    (lambda: bp.Constant(True), "Constant got initial=True"),
    (lambda: bp.Constant("0.1"), "Constant got initial='0.1'"),
    (lambda: bp.Constant(bp.Constant(0.1)), "Constant got initial=Constant(initial=0.1)"),
    (lambda: bp.StepDecay(0.1, -0.5, 2), "StepDecay got factor=-0.5"),
    (lambda: bp.StepDecay(0.1, 0.5, 0), "StepDecay got every=0: it must be a finite number of at least 1"),
    (lambda: bp.ExponentialDecay(float("inf"), 1), "ExponentialDecay got initial=inf"),
    (lambda: bp.ExponentialDecay(0.1, -1), "ExponentialDecay got decay=-1"),
    (lambda: bp.InverseTimeDecay(0.1, None), "InverseTimeDecay got decay=None"),
    (lambda: bp.CosineDecay(0.1, 0), "CosineDecay got steps=0: it must be a finite number of at least 1"),
    (lambda: bp.CosineDecay(0.1, 5, final=-1), "CosineDecay got final=-1"),
    (lambda: bp.CosineDecay(bp.Constant(0.1), 5), "CosineDecay got initial=Constant(initial=0.1)"),
    (lambda: bp.WarmUp(0, 0.1), "WarmUp got steps=0: it must be a finite number of at least 1"),
    (lambda: bp.WarmUp(5, -0.1), "WarmUp got then=-0.1"),
    (lambda: bp.WarmUp(5, "cosine"), "WarmUp got then='cosine'"),
]


@pytest.mark.parametrize(("call", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_a_schedule_refuses_what_is_no_number_it_can_use(call, words):
    with pytest.raises(bp.ConfigurationError) as caught:
        call()
    assert words in str(caught.value)
    assert "it must be a finite number of at least" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_optimizer_takes_its_steps_with_the_values_of_its_schedules(backend):
    rule = bp.Momentum(bp.ExponentialDecay(0.5, 0.3), momentum=bp.WarmUp(3, 0.9))
    w, v, expected = 2.0, 0.0, []
    for t in range(5):
        v = 0.9 * min(1, (t + 1) / 3) * v + 3 * w  # the gradient is 3 w
        w -= 0.5 * exp(-0.3 * t) * v
        expected.append(w)
    with backend.activate():
        xp = backend.xp
        params = [{"weight": xp.full((1, 1), 2.0, dtype=xp.float64)}]
        state, found = rule.init(xp, params), []
        for _ in range(5):
            params, state = rule.update(xp, params, [{"weight": 3 * params[0]["weight"]}], state)
            found.append(float(params[0]["weight"][0, 0]))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_schedule_goes_on_over_the_steps_of_an_epoch_and_over_fits(backend):
    x, y = np.ones((4, 1)), np.zeros((4, 1))
    net = bp.Network([bp.Dense(1, 1, bias=False)], bp.HalfMeanSquaredError(), backend=backend, dtype="float64")
    w = float(backend.to_numpy(net.params[0]["weight"])[0, 0])
    for _ in range(2):
        net.fit(x, y, optimizer=bp.SGD(bp.InverseTimeDecay(0.4, 0.5)), epochs=2, batch_size=2)
    for t in range(8):
        w -= 0.4 / (1 + 0.5 * t) * w  # the gradient of w²/2 is w
    assert float(backend.to_numpy(net.params[0]["weight"])[0, 0]) == pytest.approx(w, rel=1e-12)
