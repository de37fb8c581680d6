"""The figures hold the table's numbers."""

import math

import pytest

import portable_bp as bp
from portable_bp.sweeping import figures
from portable_bp.sweeping.definition import read_definition

GIVEN = {
    "method": "grid",
    "parameters": {"rate": {"values": [0.1, 0.2]}, "epochs": {"values": [1, 3]}, "seed": {"values": [0, 1]}},
}
DEFINITION = read_definition(GIVEN, {"dataset": "xor"})


def test_a_cell_is_the_mean_over_the_seeds_and_empty_where_nothing_finished():
    results = bp.sweep(GIVEN, dataset="xor")
    for row in results[:2]:
        row["status"] = "diverged"
    found = figures.cells(results, *DEFINITION.parameters[:2])
    assert math.isnan(found[0][0])
    last = [row["final_training_accuracy"] for row in results[-2:]]
    assert found[1][1] == sum(last) / 2
    assert len(found) == len(found[0]) == 2


def test_the_files_are_drawn_and_curves_are_the_longest_of_their_kind(tmp_path):
    results = bp.sweep(GIVEN, dataset="xor", out=tmp_path)
    assert figures.draw(results, DEFINITION, tmp_path) == ["heatmaps.png", "curves.png"]
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in ("heatmaps.png", "curves.png"))
    assert sorted((p.values["rate"], p.values["epochs"]) for p in figures.longest(results, DEFINITION)) == [
        (0.1, 3), (0.2, 3),
    ]  # fmt: skip
    columns = figures.read_epochs(tmp_path / "epochs.csv", "training_accuracy", {3})
    assert (list(columns), len(columns[3])) == ([3], 3)
    assert columns[3][-1] == results[2]["final_training_accuracy"]


def test_one_parameter_has_no_heat_map_and_no_matplotlib_no_figure(tmp_path, monkeypatch):
    one = {"method": "grid", "parameters": {"epochs": {"values": [1, 2]}}}
    results = bp.sweep(one, dataset="xor", out=tmp_path)
    assert figures.draw(results, read_definition(one, {"dataset": "xor"}), tmp_path) == ["curves.png"]
    monkeypatch.setattr(figures, "can_draw", lambda: False)
    assert figures.draw(results, DEFINITION, tmp_path) == []


def test_a_band_runs_from_the_lowest_to_the_highest_and_ends_with_the_run_that_stops_first():
    assert figures.band([[1.0, 2.0, 3.0], [3.0, 6.0]]) == ([2.0, 4.0], [1.0, 2.0], [3.0, 6.0])
    assert figures.band([]) == ([], [], [])


@pytest.fixture
def drawn(monkeypatch):
    """The figures of a sweep of iris, by their files' names."""
    found = {}
    monkeypatch.setattr(figures, "_write", lambda figure, path: found.update({path.name: figure}))

    def call(folder, **lists):
        given = {"method": "grid", "parameters": {name: {"values": values} for name, values in lists.items()}}
        fixed = {"dataset": "iris", "epochs": 2, "optimizer": "sgd"}
        results = bp.sweep(given, out=folder, **fixed)
        figures.draw(results, read_definition(given, fixed), folder)
        return found

    return call


def test_all_heat_maps_have_the_same_colours(drawn, tmp_path):
    found = drawn(tmp_path, rate=[0.01, 0.1], hidden=["2", ""], bias=[True, False])
    *panels, bar = found["heatmaps.png"].axes
    assert len(panels) == 3
    assert {panel.images[0].get_clim() for panel in panels} == {bar.get_ylim()}
    assert [text.get_text() for text in panels[0].get_xticklabels()] == ["2", "none"]


def test_curves_name_the_points_that_have_one(drawn, tmp_path):
    axes = drawn(tmp_path / "some", rate=[0.01, 1e38])["curves.png"].axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["rate=0.01"]
    assert axes.get_title().startswith("best points by training accuracy;")
    assert drawn(tmp_path / "none", rate=[1e38])["curves.png"].axes[0].get_legend() is None
