"""The public function: networks in, trained networks out."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from portable_bp.arguments import whole_number
from portable_bp.callbacks import Callback
from portable_bp.errors import ConfigurationError
from portable_bp.history import History
from portable_bp.layers.layer import Layer
from portable_bp.optimizers.optimizer import Optimizer
from portable_bp.populations.comparison import differing_numbers, require_same_architecture
from portable_bp.populations.grouping import Footprint, Form, groups_of
from portable_bp.populations.member import Member, callbacks_for
from portable_bp.populations.padding import padded_groups, widths_of, with_widths
from portable_bp.populations.stacking import common_shapes
from portable_bp.populations.step import members_of, population_step
from portable_bp.populations.training import Training
from portable_bp.training import MOST_EPOCHS, Run

if TYPE_CHECKING:
    from portable_bp.network import Network

MEMORY = 2**28
"""Bytes of the members that are trained at a time."""


def fit_together(
    networks: Sequence[Network],
    x: Any,
    y: Any,
    *,
    optimizers: Optimizer | Sequence[Optimizer] | None = None,
    epochs: int | Sequence[int] = 1,
    batch_size: int | Literal["auto"] | None = "auto",
    shuffle: bool = True,
    validation: tuple[Any, Any] | None = None,
    measure_training: bool = False,
    class_weight: Any = None,
    sample_weight: Any = None,
    callbacks: Sequence[Callback] | Sequence[Sequence[Callback]] = (),
    memory: int = MEMORY,
) -> list[History]:
    """Train networks of one architecture on the same data as one network with a leading axis; give their histories.

    Each ends as after ``fit`` alone: with parameters, optimizer, epochs, steps and history of its own; in reproducible
    arithmetic to the last bit, else within rounding. Members may differ in parameters and seed (hence in batches and
    dropout masks), in hidden widths, in the number of ``epochs`` (one for all, or a list), and in the numbers of their
    ``optimizers`` (one for all, or a list of one class): rates, momenta, decays. ``callbacks`` are [EarlyStopping(…)]
    for all, each with a copy of its own, or a list a network, of EarlyStopping and of what only reads rows. The other
    arguments are those of `Network.fit`.

    A member whose numbers stop being finite ends alone, with the parameters of its last good epoch; nothing is raised,
    its history has the ``error``. ``seconds`` is an epoch's time divided by the members that shared it. So many members
    are trained at a time as fit into about ``memory`` bytes; the results don't depend on it.
    """
    listed = _networks(networks)
    require_same_architecture(listed)
    first, limit = listed[0], whole_number("memory", memory, 1)
    with first.backend.activate(), ExitStack() as stack:
        weight = (sample_weight, class_weight)
        run = first.preparation.run(x, y, (batch_size, shuffle), validation, measure_training, weight)
        members = _members(listed, optimizers, epochs, callbacks_for(callbacks, len(listed), run.columns))
        numbers = differing_numbers([member.optimizer for member in members])
        for member in members:
            member.begin(run.settings, stack)
        for widths, some in padded_groups(first, [widths_of(network.layers) for network in listed]):
            own = {name: [values[i] for i in some] for name, values in numbers.items()}
            _train(run, [members[i] for i in some], own, with_widths(first.layers, widths), limit)
        for member in members:
            member.leave()
    return [member.history for member in members]


def _train(
    run: Run, members: list[Member], numbers: dict[str, list[float]], layers: tuple[Layer, ...], limit: int
) -> None:
    """Train members in arrays of the shapes of these ``layers``."""
    network, backend = members[0].network, run.backend
    shapes = replace(network.architecture, layers=layers).shapes(tuple(run.data[0].shape[1:]))
    model = members_of(replace(run.model, layers=[backend.lower(layer) for layer in layers]), shapes)
    step = population_step(backend.xp, model, backend.lower(members[0].optimizer), own_batches=run.batches.differ)
    form = Form(layers, common_shapes([member.state for member in members]))
    footprint = Footprint.of(run, form.state, shapes)
    training = Training(run, model, run.reaching(backend.compile(step)), footprint.evaluated(limit))
    training.train(groups_of(run, members, numbers, form, footprint.trained(limit)))


def _networks(given: Any) -> list[Network]:
    from portable_bp.network import Network  # it reads NumPy arrays, which the core must do without

    listed = list(given) if isinstance(given, Sequence) else []
    if not listed or not all(isinstance(one, Network) for one in listed):
        came = "[]" if isinstance(given, list) and not given else f"a {type(given).__name__}"
        raise ConfigurationError(f"networks is {came}: give a list of at least one Network, and nothing else")
    if not any(own for own in listed[0].params):
        raise ConfigurationError("networks[0] has no parameters: there is nothing to train")
    return listed


def _members(networks: list[Network], optimizers: Any, epochs: Any, callbacks: list[list[Callback]]) -> list[Member]:
    """The networks' parts, each with its own optimizer, number of epochs, and callbacks."""
    rules = _one_each("optimizers", optimizers, len(networks), (Optimizer, type(None)))
    lengths = _one_each("epochs", epochs, len(networks), int)
    members = []
    for number, (network, given, length, own) in enumerate(zip(networks, rules, lengths, callbacks, strict=True)):
        rule = network.optimizer_for(given)
        whole_number(f"epochs[{number}]", length, 1, MOST_EPOCHS)
        members.append(Member(network, length, rule, network.state_for(rule), own))
    return members


def _one_each(name: str, given: Any, count: int, single: Any) -> list[Any]:
    if isinstance(given, single):
        return [given] * count
    if not isinstance(given, Sequence) or len(given) != count:
        came = f"{len(given)}" if isinstance(given, Sequence) else repr(given)
        raise ConfigurationError(f"{name} must be one for all, or a list of {count}, one a network; got {came}")
    return list(given)
