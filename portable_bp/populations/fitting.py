"""The public function: networks in, trained networks out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from portable_bp.arguments import whole_number
from portable_bp.errors import ConfigurationError
from portable_bp.history import History
from portable_bp.optimizers.optimizer import Optimizer
from portable_bp.populations.comparison import differing_numbers, require_same_architecture
from portable_bp.populations.grouping import Footprint, groups_of
from portable_bp.populations.step import members_of, population_step
from portable_bp.populations.training import Member, Training
from portable_bp.training import MOST_EPOCHS

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
    memory: int = MEMORY,
) -> list[History]:
    """Train networks of one architecture on the same data as one network with a leading axis; give their histories.

    Each ends as after ``fit`` alone: with parameters, optimizer, epochs, steps and history of its own; in reproducible
    arithmetic to the last bit, else within rounding. Members may differ in parameters and seed (hence in batches and
    dropout masks), in the number of ``epochs`` (one for all, or a list), and in the numbers of their ``optimizers``
    (one for all, or a list of one class): rates, momenta, decays. The other arguments are those of `Network.fit`.

    A member whose numbers stop being finite ends alone, with the parameters of its last good epoch; nothing is raised,
    its history has the ``error``. ``seconds`` is an epoch's time divided by the members that shared it. So many members
    are trained at a time as fit into about ``memory`` bytes; the results don't depend on it.
    """
    listed = _networks(networks)
    require_same_architecture(listed)
    first, limit = listed[0], whole_number("memory", memory, 1)
    members = _members(listed, optimizers, epochs)
    numbers = differing_numbers([member.optimizer for member in members])
    with first.backend.activate():
        weight = (sample_weight, class_weight)
        run = first.preparation.run(x, y, (batch_size, shuffle), validation, measure_training, weight)
        shapes = first.architecture.shapes(tuple(run.data[0].shape[1:]))
        model = members_of(first.model, shapes)
        rule = first.backend.lower(members[0].optimizer)
        step = population_step(first.backend.xp, model, rule, own_batches=run.batches.differ)
        footprint = Footprint.of(run, members[0].state, shapes)
        training = Training(run, model, run.reaching(first.backend.compile(step)), footprint.evaluated(limit))
        training.train(groups_of(run, members, numbers, footprint.trained(limit)))
    for network, member in zip(listed, members, strict=True):
        network.take_over(member.state, member.optimizer, member.history)
    return [member.history for member in members]


def _networks(given: Any) -> list[Network]:
    from portable_bp.network import Network  # it reads NumPy arrays, which the core must do without

    listed = list(given) if isinstance(given, Sequence) else []
    if not listed or not all(isinstance(one, Network) for one in listed):
        raise ConfigurationError(f"networks={given!r}: give a list of at least one Network")
    if not any(own for own in listed[0].params):
        raise ConfigurationError("networks[0] has no parameters: there is nothing to train")
    return listed


def _members(networks: list[Network], optimizers: Any, epochs: Any) -> list[Member]:
    """The networks' parts, each with its own optimizer and number of epochs."""
    rules = _one_each("optimizers", optimizers, len(networks), (Optimizer, type(None)))
    lengths = _one_each("epochs", epochs, len(networks), int)
    members = []
    for number, (network, given, length) in enumerate(zip(networks, rules, lengths, strict=True)):
        rule = network.optimizer_for(given)
        whole_number(f"epochs[{number}]", length, 1, MOST_EPOCHS)
        with network.backend.activate():
            members.append(Member(network.seed, network.epoch, length, rule, network.state_for(rule)))
    return members


def _one_each(name: str, given: Any, count: int, single: Any) -> list[Any]:
    if isinstance(given, single):
        return [given] * count
    if not isinstance(given, Sequence) or len(given) != count:
        came = f"{len(given)}" if isinstance(given, Sequence) else repr(given)
        raise ConfigurationError(f"{name} must be one for all, or a list of {count}, one a network; got {came}")
    return list(given)
