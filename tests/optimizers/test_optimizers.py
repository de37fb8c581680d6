"""Every rule, wrapper and schedule on every backend; steps worked by hand; torch.optim as independent truth."""

from collections import Counter
from dataclasses import fields, replace

import numpy as np
import pytest

import portable_bp as bp
from portable_bp import testing
from portable_bp.checking.cases import OPTIMIZERS

W = [{"weight": np.asarray([[1.0, -2.0]]), "bias": np.asarray([[0.5, 0.0]])}]
G = [{"weight": np.asarray([[0.1, 0.4]]), "bias": np.asarray([[-0.2, 0.3]])}]
SECOND = [{"weight": np.asarray([[-0.3, 0.2]]), "bias": np.asarray([[0.1, 0.1]])}]


def after(rule, *grads):
    state, params = rule.init(np, W), W
    for grad in grads:
        params, state = rule.update(np, params, grad, state)
    return params, state


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_passes_the_conformance_checks(name, backend):
    testing.check_optimizer(OPTIMIZERS[name], backend=backend)


def test_the_table_of_cases_holds_every_public_optimizer_and_schedule():
    used = {type(rule).__name__ for rule in OPTIMIZERS.values()}
    assert used == set(bp.optimizers.__all__) - {"Optimizer"}
    rates = {type(getattr(rule, "learning_rate", None)).__name__ for rule in OPTIMIZERS.values()}
    assert {"Constant", "CosineDecay", "ExponentialDecay", "InverseTimeDecay", "StepDecay", "WarmUp"} <= rates


BY_HAND = {
    # SGD: θ - η g
    "SGD": (bp.SGD(0.1), [G], {"weight": [1 - 0.01, -2 - 0.04], "bias": [0.5 + 0.02, -0.03]}),
    # v1 = g1, v2 = 0.9 g1 + g2; θ = θ0 - η (v1 + v2)
    "Momentum": (
        bp.Momentum(0.1, 0.9),
        [G, SECOND],
        {"weight": [1 - 0.1 * (0.1 + 0.09 - 0.3), -2 - 0.1 * (0.4 + 0.36 + 0.2)], "bias": [0.5 + 0.028, -0.067]},
    ),
    # η (g1 + μ v1) = η 1.9 g1
    "Nesterov": (bp.Nesterov(0.1, 0.9), [G], {"weight": [1 - 0.019, -2 - 0.076], "bias": [0.5 + 0.038, -0.057]}),
    # the first step of AdaGrad and of Adam has the length η in every direction, RMSProp's η / √(1 - ρ)
    "AdaGrad": (bp.AdaGrad(0.1), [G], {"weight": [0.9, -2.1], "bias": [0.6, -0.1]}),
    "Adam": (bp.Adam(0.1), [G], {"weight": [0.9, -2.1], "bias": [0.6, -0.1]}),
    "RMSProp": (
        bp.RMSProp(0.1, rho=0.75),
        [G],
        {"weight": [0.8, -2.2], "bias": [0.7, -0.2]},
    ),
    # decay of weights alone: - η λ θ
    "AdamW": (bp.AdamW(0.1, weight_decay=0.5), [G], {"weight": [0.9 - 0.05, -2.1 + 0.1], "bias": [0.6, -0.1]}),
    "L2": (bp.L2(bp.SGD(0.1), 0.5), [G], {"weight": [1 - 0.01 - 0.05, -2 - 0.04 + 0.1], "bias": [0.52, -0.03]}),
    "DecoupledWeightDecay": (
        bp.DecoupledWeightDecay(bp.SGD(0.1), 0.5),
        [G],
        {"weight": [1 - 0.01 - 0.05, -2 - 0.04 + 0.1], "bias": [0.52, -0.03]},
    ),
    # ‖g‖ = √0.30: longer than 0.1, so that the step has the length 0.1 · 0.1
    "ClipByGlobalNorm": (
        bp.ClipByGlobalNorm(bp.SGD(0.1), 0.1),
        [G],
        {
            "weight": [1 - 0.001 / 0.3**0.5, -2 - 0.004 / 0.3**0.5],
            "bias": [0.5 + 0.002 / 0.3**0.5, -0.003 / 0.3**0.5],
        },
    ),
    "ClipByGlobalNorm of a short gradient": (
        bp.ClipByGlobalNorm(bp.SGD(0.1), 10.0),
        [G],
        {"weight": [0.99, -2.04], "bias": [0.52, -0.03]},
    ),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_steps_agree_with_numbers_worked_by_hand(name):
    rule, grads, expected = BY_HAND[name]
    params, state = after(rule, *grads)
    for parameter, values in expected.items():
        np.testing.assert_allclose(params[0][parameter][0], values, rtol=1e-6, err_msg=parameter)
    assert int(state["t"]) == len(grads)


DECAY = bp.schedules.InverseTimeDecay(0.3, 0.7)
SCHEDULED = {
    f"{type(rule).__name__}, {field.name}": lambda h, rule=rule, name=field.name: replace(rule, **{name: h})
    for rule in {type(rule): rule for rule in OPTIMIZERS.values()}.values()
    for field in fields(rule)
    if field.type == "Hyperparameter"
} | {
    "L2, inner rate": lambda h: bp.L2(bp.SGD(h), 0.5),
    "DecoupledWeightDecay, inner rate": lambda h: bp.DecoupledWeightDecay(bp.SGD(h), 0.5),
    "ClipByGlobalNorm, inner rate": lambda h: bp.ClipByGlobalNorm(bp.SGD(h), 0.1),
}


def test_the_table_of_scheduled_hyper_parameters_holds_all_of_them():
    rules = {"L2": 2, "SGD": 1, "AdaGrad": 1, "Adam": 3, "AdamW": 4, "ClipByGlobalNorm": 2, "DecoupledWeightDecay": 2}
    rules |= {"Momentum": 2, "Nesterov": 2, "RMSProp": 2}
    assert Counter(name.split(",")[0] for name in SCHEDULED) == rules


@pytest.mark.parametrize("name", SCHEDULED)
def test_a_schedule_gives_update_t_its_value_at_t(name):
    build = SCHEDULED[name]
    scheduled, found, expected = build(DECAY), W, W
    state = expected_state = scheduled.init(np, W)
    for t, grad in enumerate([G, SECOND, G]):
        found, state = scheduled.update(np, found, grad, state)
        expected, expected_state = build(0.3 / (1 + 0.7 * t)).update(np, expected, grad, expected_state)
        for parameter, values in expected[0].items():
            np.testing.assert_allclose(found[0][parameter], values, rtol=1e-14, err_msg=f"{parameter} in update {t}")


def test_adamw_is_adam_with_all_its_hyper_parameters_and_a_decay_of_the_old_weights():
    settings = (0.1, 0.8, 0.9, 1e-3)
    adam, adamw = bp.Adam(*settings), bp.AdamW(*settings, weight_decay=0.5)
    params, state = W, adamw.init(np, W)
    for grad in (G, SECOND, G):
        expected, _ = adam.update(np, params, grad, state)
        expected[0]["weight"] = expected[0]["weight"] - 0.1 * 0.5 * params[0]["weight"]
        params, state = adamw.update(np, params, grad, state)
        for parameter, values in expected[0].items():
            np.testing.assert_allclose(params[0][parameter], values, rtol=1e-14, err_msg=parameter)


TORCH = {
    "SGD": (bp.SGD(0.1), lambda torch, p: torch.optim.SGD(p, 0.1)),
    "Momentum": (bp.Momentum(0.1, 0.8), lambda torch, p: torch.optim.SGD(p, 0.1, momentum=0.8)),
    "Nesterov": (bp.Nesterov(0.1, 0.8), lambda torch, p: torch.optim.SGD(p, 0.1, momentum=0.8, nesterov=True)),
    "AdaGrad": (bp.AdaGrad(0.1), lambda torch, p: torch.optim.Adagrad(p, 0.1)),
    "RMSProp": (bp.RMSProp(0.1, 0.9), lambda torch, p: torch.optim.RMSprop(p, 0.1, alpha=0.9)),
    "Adam": (bp.Adam(0.1), lambda torch, p: torch.optim.Adam(p, 0.1)),
    "AdamW": (bp.AdamW(0.1, weight_decay=0.3), lambda torch, p: torch.optim.AdamW(p, 0.1, weight_decay=0.3)),
    "L2": (bp.L2(bp.Adam(0.1), 0.3), lambda torch, p: torch.optim.Adam(p, 0.1, weight_decay=0.3)),
}


@pytest.mark.parametrize("name", TORCH)
def test_ten_steps_agree_with_torch_optim(name):
    torch = pytest.importorskip("torch")
    rule, build = TORCH[name]
    noise = np.random.default_rng(1)
    start = noise.normal(size=(4, 3))
    weight = torch.tensor(start, requires_grad=True)
    other = build(torch, [weight])
    params, state = [{"weight": start}], rule.init(np, [{"weight": start}])
    for _ in range(10):
        grad = noise.normal(size=(4, 3))
        weight.grad = torch.tensor(grad)
        other.step()
        params, state = rule.update(np, params, [{"weight": grad}], state)
    np.testing.assert_allclose(params[0]["weight"], weight.detach().numpy(), rtol=1e-10)


def test_hyper_parameters_may_differ_within_a_population():
    rates = np.asarray([0.1, 0.2, 0.3]).reshape(3, 1, 1)
    stack = [{name: np.stack([array] * 3) for name, array in W[0].items()}]
    grads = [{name: np.stack([array] * 3) for name, array in G[0].items()}]
    for rule in (bp.SGD, bp.Adam, bp.Momentum):
        together, _ = rule(rates).update(np, stack, grads, rule(rates).init(np, stack))
        for k in range(3):
            alone, _ = after(rule(float(rates[k, 0, 0])), G)
            np.testing.assert_allclose(together[0]["weight"][k], alone[0]["weight"], rtol=1e-14)


def test_clipping_leaves_a_zero_gradient_alone():
    zero = [{name: np.zeros_like(array) for name, array in W[0].items()}]
    params, _ = after(bp.ClipByGlobalNorm(bp.SGD(0.1), 1.0), zero)
    assert params[0]["weight"].tolist() == W[0]["weight"].tolist()
