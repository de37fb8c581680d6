"""Barriers of the kernel for epochs: its threads run in many orders, and each barrier is left out once."""

import re

import fake_cupy
import numpy as np
import pytest
from fake_cupy import bare
from test_captured import LABELS, ORDER, network_step
from test_persistent import ALWAYS

import portable_bp as bp
from portable_bp_cupy.persistent import kernel, tiling
from portable_bp_cupy.persistent.kernel import Persistent
from portable_bp_cupy.persistent.phases import Limits
from portable_bp_cupy.workbench import Workbench
from portable_bp_numpy.replay import leaves_of

RNG = np.random.default_rng(5)


def racing_step(gpu):
    """A network, rows of which many blocks have, with tiles, split tiles, and works that one block does alone."""
    layers = [bp.Dense(300, 40), bp.ReLU(), bp.Dense(40, 30), bp.Tanh(), bp.Dense(30, 4)]
    step, state, _ = network_step(gpu, layers, bp.SoftmaxCrossEntropy(), bp.Adam(0.01))
    data = tuple(map(gpu.asarray, (RNG.normal(size=(12, 300)), LABELS)))
    return step, state, data, gpu.asarray(ORDER[:4])


def end_of(own, state, data, order):
    """All bits of the end of an epoch."""
    (losses,) = own(dict(leaves_of(state)), data, order)
    return [bare(losses).tobytes(), *(bare(array).tobytes() for array in own.state.values())]


@pytest.fixture
def shared_out(monkeypatch):
    """Limits under which the network of `racing_step` is shared in all ways."""
    monkeypatch.setattr(kernel, "THREADS", 32)
    monkeypatch.setattr(kernel, "LIMITS", Limits(64, 256, 4096))
    monkeypatch.setattr(tiling, "GATHERED", ALWAYS)


def test_the_order_in_which_threads_run_changes_no_bit(gpu, monkeypatch, shared_out):
    step, state, data, order = racing_step(gpu)
    own = Persistent(Workbench(gpu._cupy), step, state, data, order, gpu.xp)
    assert own.source.blocks == 5
    assert "together<" in own.source.text
    assert "const int first" in own.source.text
    ends = []
    for seed in range(8):
        monkeypatch.setattr(fake_cupy.RawModule, "seed", seed)
        ends.append(end_of(own, state, data, order))
    assert all(end == ends[0] for end in ends)


BARRIER = re.compile(r"barrier\(arrived, goal\);|__syncthreads\(\);")


def test_each_missing_barrier_is_found(gpu, monkeypatch, shared_out):
    """Not one of them is superfluous: without it some order of the threads gives other bits, or never ends."""
    step, state, data, order = racing_step(gpu)
    right = Persistent(Workbench(gpu._cupy), step, state, data, order, gpu.xp)
    expected = end_of(right, state, data, order)
    places = [place.span() for place in BARRIER.finditer(right.source.text)]
    assert len(places) > 12
    original = fake_cupy.RawModule.__init__
    missed = []
    for start, end in places:

        def without(self, code, *more, start=start, end=end, **named):
            original(self, code[:start] + code[end:], *more, **named)

        with monkeypatch.context() as patch:
            patch.setattr(fake_cupy.RawModule, "__init__", without)
            own = Persistent(Workbench(gpu._cupy), step, state, data, order, gpu.xp)
            if not any(_differs(patch, seed, own, (state, data, order), expected) for seed in range(40)):
                text = right.source.text
                missed.append(f"line {text[:start].count(chr(10))}: {text[max(start - 200, 0) : end + 60]}")
    assert not missed, "\n\n".join(missed)


def _differs(patch, seed, own, given, expected):
    patch.setattr(fake_cupy.RawModule, "seed", seed)
    try:
        return end_of(own, *given) != expected
    except AssertionError:  # they wait for each other
        return True
