"""--track logs every epoch into the folder of the run, and says before training what is missing."""

import json
import sys

import pytest

XOR = ("train", "xor", "--epochs", "3", "--json", "--output", "o")


@pytest.fixture(autouse=True)
def undrawn(monkeypatch):
    monkeypatch.setattr("portable_bp.cli.training_run.can_draw", lambda: False)


def test_every_epoch_is_logged_under_the_names_of_the_history(run, tmp_path):
    report = json.loads(run(*XOR, "--track", "csv", "--track", "jsonl", "--track", "csv").stdout)
    assert (tmp_path / "o/epochs.csv").read_bytes() == (tmp_path / "o/history.csv").read_bytes()
    first, *rows = (tmp_path / "o/epochs.jsonl").read_text().splitlines()
    assert json.loads(first)["configuration"]["optimizer"]["class"] == "Adam"
    assert len(rows) == 3
    assert json.loads(rows[-1]) == report["last_epoch"]


def test_tensorboard_s_events_lie_in_a_folder_of_their_own(run, tmp_path):
    pytest.importorskip("tensorboardX", reason="tensorboardX isn't installed")
    assert run(*XOR, "--track", "tensorboard").status == 0
    assert len(list((tmp_path / "o/tensorboard").glob("events.out.tfevents.*"))) == 1


def test_an_offline_run_of_wandb_lies_in_the_folder_and_stdout_stays_json(run, tmp_path, monkeypatch):
    pytest.importorskip("wandb.sdk", reason="wandb isn't installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    assert json.loads(run(*XOR, "--track", "wandb").stdout)["epochs"] == 3
    assert len(list((tmp_path / "o/wandb").glob("offline-run-*/*.wandb"))) == 1


def test_an_unknown_tracker_is_answered_with_the_known_ones(refused, tmp_path):
    assert "--track 'excel': write one of csv, jsonl, tensorboard, wandb" in refused(*XOR, "--track", "excel")
    assert not (tmp_path / "o").exists()


def test_a_missing_library_is_said_before_the_folder_is_made(refused, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert "pip install 'portable-bp[wandb]'" in refused(*XOR, "--track", "wandb")
    assert not (tmp_path / "o").exists()
