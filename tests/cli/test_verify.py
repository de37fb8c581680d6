"""The table of checks, and the exit status that it gives."""

import json

import pytest


def row(case="Dense", backend="numpy", dtype="float64", difference=1e-16, ok=True, message=""):
    return {"case": case, "backend": backend, "dtype": dtype, "difference": difference, "tolerance": 1e-12, "ok": ok,
            "message": message}  # fmt: skip


TORCH = row(backend="torch")
ABSENT = row("all", "cupy", "", None, False, "needs CuPy: pip install it")


@pytest.fixture
def checks(monkeypatch):
    """Let the checks give these rows, and keep what they were asked for."""
    asked = []

    def give(*rows):
        monkeypatch.setattr(
            "portable_bp.checking.verify_backends",
            lambda named, arithmetic: asked.append((named, arithmetic)) or list(rows),
        )
        return asked

    return give


@pytest.mark.parametrize(
    ("rows", "named", "status"),
    [
        ([row(), TORCH], None, 0),
        ([row(), row("ReLU", ok=False, difference=1.0)], None, 1),
        ([row(), row("ReLU", ok=False, difference=None)], None, 1),
        ([row(), TORCH, ABSENT], None, 0),
        ([row(), ABSENT], "numpy,cupy", 1),
        ([TORCH], "torch", 0),
    ],
)
def test_the_status_is_1_where_a_check_fails_or_a_named_backend_can_not_run(run, checks, rows, named, status):
    asked = checks(*rows)
    outcome = run("verify", *([] if named is None else ["--backends", named]))
    assert (outcome.status, outcome.stderr) == (status, "")
    assert asked == [(None if named is None else named.split(","), "native")]
    report = run("verify", "--json", *([] if named is None else ["--backends", named]))
    assert report.status == status
    assert json.loads(report.stdout) == {"ok": status == 0, "arithmetic": "native", "note": None, "results": rows}
    assert outcome.stdout.splitlines()[-1] == ("FAILED" if status else "all that could run is right")


def test_the_table_has_a_row_a_case_and_a_column_a_backend_and_dtype(run, checks):
    wrong = row("ReLU", "torch", "float32", 0.5, False)
    checks(row(), row(dtype="float32"), row("ReLU"), wrong, ABSENT)
    lines = [line.strip() for line in run("verify").stdout.splitlines() if line.strip()]
    assert lines[0].split() == ["case", "numpy", "float64", "numpy", "float32", "torch", "float32"]
    assert lines[2].split() == ["Dense", "1.0e-16", "1.0e-16"]
    assert lines[3].split() == ["ReLU", "1.0e-16", "5.0e-01", "FAILED", "(>", "1.0e-12)"]
    assert lines[4] == "cupy: needs CuPy: pip install it"


@pytest.mark.parametrize(
    ("rows", "options", "why"),
    [
        ([row(), row(dtype="float32"), ABSENT], [], "can run here"),
        ([row()], ["--backends", "numpy"], "was named"),
        ([row(backend="numpy:cpu")], ["--backends", "numpy:cpu"], "was named"),
    ],
)
def test_numpy_alone_is_compared_with_nothing_and_says_so(run, checks, rows, options, why):
    checks(*rows)
    outcome = run("verify", *options)
    note = (
        f"only numpy {why}: nothing to compare with; "
        "the gradients themselves are checked by pytest and bp.check_gradients"
    )
    assert outcome.status == 0
    assert outcome.stdout.splitlines() == [*(["cupy: needs CuPy: pip install it"] if ABSENT in rows else []), note]
    assert json.loads(run("verify", "--json", *options).stdout)["note"] == note


def test_the_arithmetic_is_the_one_asked_for(run, checks):
    asked = checks(row())
    report = json.loads(run("verify", "--arithmetic", "reproducible", "--json").stdout)
    assert asked == [(None, "reproducible")]
    assert report["arithmetic"] == "reproducible"


@pytest.mark.parametrize("arithmetic", ["native", "reproducible"])
def test_numpy_agrees_with_itself(run, arithmetic):
    report = json.loads(run("verify", "--backends", "numpy", "--arithmetic", arithmetic, "--json").stdout)
    assert report["ok"] is True
    assert {result["tolerance"] == 0 for result in report["results"]} == {arithmetic == "reproducible"}
    assert {result["dtype"] for result in report["results"]} == {"float32", "float64"}
    assert any(result["case"] == "layer Dense" for result in report["results"])


def test_a_backend_that_does_not_exist_is_a_mistake_in_the_command(refused):
    assert "there is no backend 'abacus'" in refused("verify", "--backends", "numpy,abacus")
