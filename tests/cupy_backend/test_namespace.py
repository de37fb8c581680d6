"""The namespace that is CuPy's, and NumPy's for the thread that records."""

from threading import Thread

import numpy as np
from fake_cupy import FakeArray

import portable_bp as bp
from portable_bp_cupy.outline import blank
from portable_bp_cupy.recorded import record


def test_only_the_recording_thread_gets_numpys_functions(gpu):
    kinds = []
    with gpu.xp.recording():
        thread = Thread(target=lambda: kinds.append(type(gpu.xp.zeros(2))))
        thread.start()
        thread.join()
        kinds.append(type(gpu.xp.zeros(2)))
    kinds.append(type(gpu.xp.zeros(2)))
    assert kinds == [FakeArray, np.ndarray, FakeArray]
    assert gpu.xp.float32 is np.float32
    assert gpu.xp.pi == np.pi


def test_an_error_ends_the_recording(gpu):
    try:
        with gpu.xp.recording():
            gpu.xp.reshape(np.zeros(3), (2,))
    except ValueError:
        pass
    assert type(gpu.xp.zeros(2)) is FakeArray


def test_arrays_that_a_step_closes_over_become_constants(gpu):
    table = gpu.asarray(np.arange(4.0))

    def step(state, batch):
        return {"a": state["a"] + gpu.xp.take(table, batch[0], axis=0)}, gpu.xp.sum(state["a"])

    recording = record(step, {"a": np.zeros(3)}, [((3,), np.dtype(np.int64))], gpu.xp)
    (take,) = (node for node in recording.nodes if node.function is np.take)
    assert type(take.args[0]) is np.ndarray
    np.testing.assert_array_equal(take.args[0], np.arange(4.0))


def test_recording_a_wide_network_takes_no_memory_to_speak_of(gpu):
    """The weights alone would be 4 GB."""
    width = 32768
    params = [{"weight": blank((width, width), np.float32), "bias": blank((1, width), np.float32)}]
    rule = bp.Adam()
    slots = {"t": np.zeros((), np.int64), "m": params, "v": params}

    def step(state, batch):
        y, cache = layer.forward(gpu.xp, state["params"][0], batch[0])
        grads = [layer.backward_params(gpu.xp, state["params"][0], cache, y)]
        new, after = rule.update(gpu.xp, state["params"], grads, state["optimizer"])
        return {"params": new, "optimizer": after}, y[0, 0] * 1

    layer = bp.Dense(width, width)
    recording = record(step, {"params": params, "optimizer": slots}, [((64, width), np.dtype(np.float32))], gpu.xp)
    held = {id(x.value.base if x.value.base is not None else x.value): x.value for x in recording.nodes}
    assert sum((value if value.base is None else value.base).nbytes for value in held.values()) < 2**24
