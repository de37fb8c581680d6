"""A sweep's definition: what a file may say, what makes two of them the same, and what is refused."""

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

import portable_bp as bp
from portable_bp.sweeping.definition import IGNORED, read_definition
from portable_bp.sweeping.distributions import DISTRIBUTIONS
from portable_bp.sweeping.options import train_options
from portable_bp.sweeping.sweep import Sweep

PARAMETERS = {"learning_rate": {"values": [0.1, 0.2]}, "seed": {"values": [0, 1]}}
GRID = {"method": "grid", "parameters": PARAMETERS}
RANDOM = {**GRID, "method": "random", "run_cap": 5}
XOR = {"dataset": "xor"}


def test_a_file_says_the_same_as_its_dict(tmp_path):
    (tmp_path / "s.yaml").write_text(
        "method: grid\nparameters:\n  learning_rate:\n    values: [1e-1, 0.2]\n  seed: {values: [0, 1]}\n"
    )
    assert read_definition(tmp_path / "s.yaml", XOR) == read_definition(GRID, XOR)


def test_keys_for_wandb_alone_are_named_and_change_nothing():
    ignored = dict.fromkeys(IGNORED, "something")
    found = read_definition({**ignored, **GRID}, XOR)
    assert found.ignored == IGNORED
    assert found.digest == read_definition(GRID, XOR).digest


def test_a_run_has_the_options_of_train_its_own_values_and_the_fixed_ones():
    recipe = read_definition(GRID, {**XOR, "batch-size": 7}).recipe({"learning_rate": 0.2, "seed": 1})
    found = (recipe.dataset, recipe.rate, recipe.seed, recipe.batch_size, recipe.epochs)
    assert found == ("xor", 0.2, 1, 7, 500)


OTHERS = {
    "values": ({**GRID, "parameters": {**PARAMETERS, "seed": {"values": [0]}}}, XOR, 0),
    "order": ({**GRID, "parameters": dict(reversed(PARAMETERS.items()))}, XOR, 0),
    "dataset": (GRID, {"dataset": "linear"}, 0),
    "backend": (GRID, {**XOR, "backend": "torch"}, 0),
    "method": (RANDOM, XOR, 0),
}


@pytest.mark.parametrize("other", OTHERS)
def test_what_changes_a_row_or_the_order_makes_another_sweep(other):
    assert read_definition(*OTHERS[other]).digest != read_definition(GRID, XOR).digest


def test_metric_and_run_cap_leave_the_rows_as_they_are_and_the_sweep_the_same():
    metric = {"metric": {"name": "loss"}, "run_cap": 9}
    assert read_definition({**RANDOM, **metric}, XOR).digest == read_definition(RANDOM, XOR).digest


def test_the_sweeps_seed_makes_another_random_search_but_no_other_grid():
    assert read_definition(RANDOM, XOR, 1).digest != read_definition(RANDOM, XOR).digest
    assert read_definition(GRID, XOR, 1).digest == read_definition(GRID, XOR).digest


REFUSED = [
    ({**GRID, "parameter": {}}, XOR, "unknown key 'parameter' in the sweep: it takes method, parameters"),
    ({**GRID, "method": "gird"}, XOR, "method: 'gird': write one of grid, random"),
    ({"parameters": PARAMETERS}, XOR, "method: None"),
    ({**GRID, "parameters": {}}, XOR, "write at least one"),
    ({**GRID, "parameters": [1]}, XOR, "write at least one"),
    ({"method": "grid"}, XOR, "parameters: None"),
    ({**GRID, "parameters": {**PARAMETERS, "rate": {"value": 1}}}, XOR, "'learning_rate' and 'rate' are the same"),
    ({**GRID, "parameters": {"learn": {"value": 1}}}, XOR, "unknown parameter 'learn'"),
    ({**GRID, "metric": "loss"}, XOR, "metric: 'loss': write name: and goal:"),
    ({**GRID, "metric": {"name": "loss", "goal": "max"}}, XOR, "goal: 'max': write minimize or maximize"),
    ({**GRID, "run_cap": 0}, XOR, "run_cap=0: it must be a whole number of at least 1"),
    (None, XOR, "the sweep is a NoneType: give a dict, or the path of a sweep file"),
    (GRID, {}, "names no dataset: write dataset"),
    (GRID, {**XOR, "seed": 3}, "seed=3: the sweep's parameter 'seed' sets it too"),
    (GRID, {**XOR, "layers": 3}, "unknown parameter 'layers'"),
]


@pytest.mark.parametrize(("given", "fixed", "said"), REFUSED)
def test_wrong_definitions_are_refused_in_one_line_with_the_cure(given, fixed, said):
    with pytest.raises(bp.ConfigurationError, match=said) as caught:
        read_definition(given, fixed)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [("a: [1", "is no valid YAML: .*line"), ("- 1\n", "holds list, no sweep"), ("", "holds NoneType, no sweep")],
)
def test_files_that_hold_no_sweep_are_refused_in_one_line(tmp_path, text, said):
    (tmp_path / "s.yaml").write_text(text)
    with pytest.raises(bp.FileError, match=said) as caught:
        read_definition(tmp_path / "s.yaml", XOR)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_missing_pyyaml_name_the_cure(tmp_path, monkeypatch):
    with pytest.raises(bp.FileError, match=r"can't read the sweep file .*none.yaml.*: name one that is there"):
        read_definition(tmp_path / "none.yaml", XOR)
    monkeypatch.setitem(__import__("sys").modules, "yaml", None)
    with pytest.raises(bp.ConfigurationError, match=r"pip install 'portable-bp\[sweep\]'"):
        read_definition(tmp_path / "none.yaml", XOR)


NUMBERS = (
    st.integers(-3, 5)
    | st.floats()
    | st.sampled_from([10**400, -(10**400), 1e308, -1e308, 5e-324, 2**63, True, None, "1e-3"])
)
LEAVES = NUMBERS | st.text(max_size=3) | st.dates() | st.binary(max_size=2)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3),
    max_leaves=6,
)
LIMITS = dict.fromkeys(("min", "max", "mu", "sigma", "q", "value"), NUMBERS | TREES)
ENTRIES = (
    st.fixed_dictionaries({"distribution": st.sampled_from(list(DISTRIBUTIONS))}, optional=LIMITS)
    | st.fixed_dictionaries({"values": st.lists(TREES, max_size=3)}, optional={"probabilities": st.lists(NUMBERS)})
    | st.fixed_dictionaries({"min": NUMBERS, "max": NUMBERS})
    | TREES
)
DEFINITIONS = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["grid", "random"]),
        "parameters": st.dictionaries(st.sampled_from(list(train_options())), ENTRIES, min_size=1, max_size=3),
    },
    optional={"run_cap": NUMBERS, "metric": TREES, "name": TREES},
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(definition=DEFINITIONS)
def test_any_definition_is_a_sweep_or_refused_in_one_line(definition):
    try:
        made = Sweep(read_definition(definition, {} if "dataset" in definition["parameters"] else XOR))
        said = f"{made.search.runs} runs"
    except bp.PortableBPError as error:
        said = str(error)
    assert len(said.splitlines()) == 1
