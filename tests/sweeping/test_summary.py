"""Points and their order."""

import pytest

from portable_bp.sweeping.metrics import Metric
from portable_bp.sweeping.summary import points

LOSS, ACCURACY = Metric("loss", rises=False), Metric("loss", rises=True)


def rows(*given):
    return [
        {"run": number, "rate": rate, "status": "diverged" if figure is None else "finished", "final_loss": figure}
        for number, (rate, figure) in enumerate(given, start=1)
    ]


ROWS = rows((0.1, 4.0), (0.2, 1.0), (0.1, 2.0), (0.3, 0.5), (0.3, None), (0.2, 2.0))


def test_a_point_is_the_mean_and_the_spread_of_its_seeds():
    first = points(ROWS, ["rate"], LOSS)[0]
    assert (first.values, first.runs, first.mean) == ({"rate": 0.2}, (2, 6), 1.5)
    assert first.spread == pytest.approx(0.5**0.5)
    assert points(rows((0.1, 4.0)), ["rate"], LOSS)[0].spread is None


@pytest.mark.parametrize(("metric", "order"), [(LOSS, [0.2, 0.1, 0.3]), (ACCURACY, [0.1, 0.2, 0.3])])
def test_the_best_come_first_and_points_with_failed_runs_last(metric, order):
    found = points(ROWS, ["rate"], metric)
    assert [point.values["rate"] for point in found] == order
    assert found[-1].as_dict() == {"rate": 0.3, "runs": 2, "finished": 1, "mean": None, "spread": None}


def test_runs_that_differ_in_their_seed_alone_are_one_point():
    assert len(points(ROWS, [], LOSS)) == 1
