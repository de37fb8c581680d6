"""What the figures of the last steps say about why an array stopped being finite; what they don't show isn't said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf, isfinite, sqrt

from portable_bp.arrays import Array
from portable_bp.layers import Dense, Dropout, Flatten, Identity, Rescale
from portable_bp.losses.loss import CrossEntropy
from portable_bp.losses.squared_error import SquaredError
from portable_bp.step_arrays import Place
from portable_bp.training import Run
from portable_bp.tripwire.replaying import Replayed

UNSCALED = 100.0
"""|x| above which inputs count as not scaled: scaled ones are about 1, pixels 255."""
TOO_LARGE = 1.0
"""Size of an update in those of its parameters, from which on the rate is too high; a rule of thumb is 0.001."""
DIVERGED = 1e4
"""|θ| above which a training had been diverging before: initial weights are about 1."""
GROWTH = 10.0
"""Factor from the first figure shown to the last from which on it has grown."""
LARGEST = {"float32": (2 - 2.0**-23) * 2.0**127, "float64": (2 - 2.0**-52) * 2.0**1023}
"""Largest finite number by dtype."""
CLIP = "clip from the start with ClipByGlobalNorm, or scale the data"
NAMED = 2
"""Causes that one message names, the most certain first."""


@dataclass(frozen=True, eq=False)
class Scene:
    """A step in which an array stopped being finite, the steps before it, and what was trained."""

    run: Run
    shown: Sequence[Replayed]
    place: Place
    losses: Sequence[float]
    """Of the epochs before."""

    @property
    def last(self) -> Replayed:
        """The step itself."""
        return self.shown[-1]

    @property
    def dtype(self) -> tuple[str, float]:
        """Name of the training's dtype, and its largest number."""
        *_, array = self.last.arrays.values()
        name = "float64" if array.dtype == self.run.backend.xp.float64 else "float32"
        return name, LARGEST[name]

    @property
    def params_before(self) -> dict[Place, float]:
        """The largest |number| of each parameter that the step started from; empty where no step is shown."""
        before = self.shown[-2].largest if len(self.shown) > 1 else {}
        return {place: value for place, value in before.items() if place[1].startswith("params.")}

    def input_of(self, layer: int) -> Place:
        """The place of a layer's input."""
        return (layer - 1, "y") if layer else (0, "x")


def likely_causes(scene: Scene) -> str:
    """The causes that the figures show, each with its cure, behind what was seen; else the figures near the place."""
    if told := outside_the_domain(scene):
        return told
    seen = growth(scene) or squares(scene)
    found = [cause for each in CAUSES if (cause := each(scene))]
    return "; ".join([*([seen] if seen else []), *found[:NAMED]]) or figures(scene)


def training_causes(scene: Scene) -> str:
    """What the training shows of a cause where it was finite itself, and a set measured after it was not."""
    found = [cause for each in CAUSES if each is not gradient and (cause := each(scene))]
    return "".join(f"; {cause}" for cause in found[:NAMED])


def growth(scene: Scene) -> str | None:
    """Outputs that grew from step to step; where a single step is shown, losses that grew from epoch to epoch."""
    last = max((n for n, array in scene.last.largest if array == "y" and n is not None), default=0)
    outputs = [one.largest[last, "y"] for one in scene.shown if (last, "y") in one.largest]
    rows = {"the outputs grew from step to step": outputs, "the loss grew from epoch to epoch": scene.losses}
    for words, given in rows.items():
        numbers = [number for number in given if isfinite(number)]
        if len(numbers) > 1 and numbers[-1] > GROWTH * numbers[0] > 0:
            return f"{words}: {', '.join(f'{number:.2g}' for number in numbers)}"
    return None


def squares(scene: Scene) -> str | None:
    """Errors whose squares are too large for a squared loss."""
    xp, loss = scene.run.backend.xp, scene.run.model.loss
    if scene.place[1] != "loss" or not isinstance(loss, SquaredError):
        return None
    y, target = scene.last.arrays[len(scene.run.names) - 1, "y"], scene.last.arrays[None, "target"]
    error = float(xp.max(xp.abs(y - target)))
    return f"an output is off by {error:.3g}, and {scene.dtype[0]} can't hold the sum of such squares"


def outside_the_domain(scene: Scene) -> str | None:
    """A layer without parameters, or a loss, that isn't finite for numbers far from overflow."""
    layer, array = scene.place
    if array == "loss":
        return _loss(scene)
    if array != "y" or layer is None or any(n == layer for n, _ in scene.params_before):
        return None
    x, y = (scene.last.arrays[place] for place in (scene.input_of(layer), scene.place))
    if tuple(x.shape) != tuple(y.shape):
        return None
    value = _where_bad(scene, x, y)
    return f"its input there is {value:.4g}{_hint(value, scene.last.largest[scene.place])}" if isfinite(value) else None


def _where_bad(scene: Scene, x: Array, y: Array) -> float:
    xp = scene.run.backend.xp
    bad = xp.astype(xp.reshape(~xp.isfinite(y), (-1,)), xp.int64)
    return float(xp.reshape(x, (-1,))[int(xp.argmax(bad))])


def _hint(value: float, result: float) -> str:
    if value == 0:
        return ", where a logarithm or a quotient is infinite: keep it away from 0"
    if value < 0 and result != inf:
        return ", where logarithms and roots are nan: keep it above 0"
    return ", where an exponential or a power overflows: scale it down" if result == inf and abs(value) > 1 else ""


def _loss(scene: Scene) -> str | None:
    xp, y = scene.run.backend.xp, scene.last.arrays[len(scene.run.names) - 1, "y"]
    if not isinstance(scene.run.model.loss, (SquaredError, CrossEntropy)) and float(xp.min(xp.abs(y))) == 0:
        return "an output is 0, where a logarithm or a quotient is infinite: keep the outputs away from 0"
    return None


def no_activation(scene: Scene) -> str | None:
    """Two Dense layers behind each other: together they are one affine map, and nothing bounds what they give."""
    layers = scene.run.model.layers
    dense = [n for n, layer in enumerate(layers) if isinstance(layer, Dense)]
    for one, other in pairwise(dense):
        if all(isinstance(layer, (Identity, Dropout, Flatten)) for layer in layers[one + 1 : other]):
            return f"no activation stands between {scene.run.names[one]} and {scene.run.names[other]}: put one there"
    return None


def rate(scene: Scene) -> str | None:
    """An update larger than the parameters themselves, or none that is finite for a gradient that is."""
    ratios = []
    for before, after in pairwise(scene.shown[:-1]):
        for n, name in enumerate(scene.run.names):
            own, moved = (_largest_of(one, n, tree) for one, tree in ((before, "params."), (after, "update.")))
            ratios += [(moved / own, name, after.number)] if own and isfinite(moved) else []
    layer, array = scene.place
    if array.startswith("params."):
        gradient = scene.last.largest[layer, array.replace("params", "grads")]
        return f"its gradient was finite, up to {gradient:.3g}: the learning rate is too high, lower it"
    ratio, name, step = max(ratios, default=(0.0, "", 0))
    if ratio < TOO_LARGE:
        return None
    return f"the update of {name} in step {step} was {ratio:.2g} times its parameters: lower the learning rate"


def _largest_of(step: Replayed, layer: int, tree: str) -> float:
    return max(
        (value for (n, array), value in step.largest.items() if n == layer and array.startswith(tree)), default=0
    )


def unscaled(scene: Scene) -> str | None:
    """Inputs, or targets that are numbers, far from 1."""
    xp, (x, target, *_) = scene.run.place.xp, scene.run.data
    scaled = isinstance(scene.run.model.layers[0], Rescale)
    given = ({} if scaled else {"inputs": (x, "x")}) | ({"targets": (target, "y")} if _are_numbers(scene) else {})
    for words, (array, name) in given.items():
        largest = max(abs(float(xp.max(array))), abs(float(xp.min(array))))  # a mapped file is not copied
        if largest > UNSCALED:
            return f"the {words} are not scaled, |{name}| up to {largest:.6g}: scale them to about 1"
    return None


def _are_numbers(scene: Scene) -> bool:
    return scene.run.model.loss.target_kind == "values"


def gradient(scene: Scene) -> str | None:
    """A backward pass or an optimizer's square that overflows: what it was made of."""
    (layer, array), (dtype, limit), largest = scene.place, scene.dtype, scene.last.largest
    if layer is None or array == "y":
        return None
    if array.startswith("optimizer."):
        own = largest.get((layer, f"grads.{array.rpartition('.')[2]}"), 0.0)
        return (
            f"its gradient is up to {own:.3g}, whose square {dtype} can't hold: {CLIP}" if own > sqrt(limit) else None
        )
    if array.startswith("grads."):
        source, made = "", {"∂J/∂y": largest[layer, "dy"], "x": largest[scene.input_of(layer)]}
    elif array == "dy" and layer + 1 < len(scene.run.names):
        source, made = f" by {scene.run.names[layer + 1]}", {"∂J/∂y": largest[layer + 1, "dy"]}
    elif array == "dy":
        source, made = " by the loss", {"y": largest[layer, "y"]}
    else:
        return None
    numbers = " and ".join(f"{name} up to {value:.3g}" for name, value in made.items())
    overflows = largest[scene.place] == inf and max(made.values()) > sqrt(limit)
    return f"made{source} of {numbers}" + (f", it overflows {dtype}: {CLIP}" if overflows else "")


def diverged_before(scene: Scene) -> str | None:
    """Parameters that were far too large before the step."""
    params = ((value, (n, array)) for (n, array), value in scene.params_before.items() if n is not None)
    value, (n, array) = max(params, default=(0.0, (0, "")))
    if not DIVERGED < value < inf or rate(scene):
        return None
    name = array.removeprefix("params.")
    return f"{scene.run.names[n]}'s {name} was up to {value:.3g} before the step: lower the learning rate"


def figures(scene: Scene) -> str:
    """The largest numbers next to the place, where they show no cause."""
    layer = len(scene.run.names) if scene.place[0] is None else scene.place[0]
    places = [scene.input_of(layer), (layer, "dy"), *((layer, f"params.{n}") for n in ("weight", "bias"))]
    near = {place: scene.last.largest[place] for place in places if place in scene.last.largest}
    said = [f"{array} up to {value:.3g}" for (_, array), value in near.items() if isfinite(value)]
    return f"no cause stands out, with {', '.join(said)}" if said else "no cause stands out"


CAUSES: tuple[Callable[[Scene], str | None], ...] = (gradient, unscaled, rate, no_activation, diverged_before)
"""From the most certain to the least."""
