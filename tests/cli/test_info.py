"""What is installed, what answers, and the advice on NumPy's BLAS."""

import json
from importlib.metadata import version
from types import SimpleNamespace

import pytest

from portable_bp.cli.info import advice, processor_flags

MODULE = "portable_bp.cli.info"
AVX512 = ["avx2", "fma", "avx512f", "avx512dq", "avx512bw", "avx512vl"]


class Sound:
    @classmethod
    def devices(cls):
        return ["cpu"]


class Broken:
    @classmethod
    def devices(cls):
        raise ImportError("libfoo.so:\ncannot open")


@pytest.fixture
def backends(monkeypatch):
    known = {"numpy": Sound, "broken": Broken}
    monkeypatch.setattr(f"{MODULE}.installed_backends", lambda: known)
    monkeypatch.setattr(f"{MODULE}.backend_class", known.__getitem__)


def test_versions_backends_and_blas_are_reported(run, backends):
    report = json.loads(run("info", "--json").stdout)
    assert report["versions"]["portable_bp"] == version("portable-bp")
    assert report["versions"]["numpy"] == version("numpy")
    assert report["backends"] == {"numpy": {"cpu": "ok"}, "broken": {"": "libfoo.so: cannot open"}}
    assert all(set(blas) == {"library", "version", "kernels", "threads"} for blas in report["blas"])


def test_the_text_says_the_same(run, backends, monkeypatch):
    monkeypatch.setattr(f"{MODULE}.processor_flags", lambda: None)
    outcome = run("info")
    assert (outcome.status, outcome.stderr) == (0, "")
    lines = [" ".join(line.split()) for line in outcome.stdout.splitlines()]
    for line in ("numpy cpu ok", "broken libfoo.so: cannot open", f"numpy {version('numpy')}",
                 "processor's vector flags: unknown"):  # fmt: skip
        assert line in lines


def test_devices_that_have_tf32_are_said(run, backends, monkeypatch):
    monkeypatch.setattr(f"{MODULE}.get_backend", lambda spec: SimpleNamespace(precisions={"tf32", "full"}))
    assert json.loads(run("info", "--json").stdout)["precisions"] == {"numpy:cpu": ["full", "tf32"]}
    assert "--precision on numpy:cpu: full or tf32" in run("info").stdout.splitlines()


def blas(kernels, library="openblas"):
    return [{"library": library, "version": "0.3", "kernels": kernels, "threads": 2}]


@pytest.mark.parametrize(
    ("kernels", "flags", "core"),
    [
        ("Haswell", AVX512, "SKYLAKEX"),
        ("Zen", AVX512, "SKYLAKEX"),
        ("Prescott", AVX512, "SKYLAKEX"),
        ("SkylakeX", AVX512, None),
        ("Cooperlake", AVX512, None),
        ("SapphireRapids", AVX512, None),
        ("Haswell", ["avx2", "fma"], None),
        ("Haswell", ["avx2", "fma", "avx512f"], None),  # Knights Landing has no more than this
        ("Sandybridge", ["avx2", "fma"], "HASWELL"),
        ("Sandybridge", ["avx"], None),
        ("neoversen1", ["asimd"], None),
        ("Haswell", None, None),
        (None, AVX512, None),
    ],
)
def test_openblas_on_slower_kernels_than_the_processor_has_is_advised_against(kernels, flags, core):
    found = advice(blas(kernels), flags)
    assert (found is None) == (core is None)
    assert core is None or f"OPENBLAS_CORETYPE={core}" in found


def test_other_libraries_choose_for_themselves():
    assert advice(blas("Haswell", "mkl"), AVX512) is None
    assert advice([], AVX512) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("processor: 0\nflags\t\t: fpu avx2 fma\nflags : other\n", ["fpu", "avx2", "fma"]),
        ("processor: 0\nFeatures\t: fp asimd\n", ["fp", "asimd"]),
        ("processor: 0\n", None),
        (None, None),
    ],
)
def test_flags_are_read_where_linux_shows_them(tmp_path, monkeypatch, text, expected):
    path = tmp_path / "cpuinfo"
    if text is not None:
        path.write_text(text)
    monkeypatch.setattr(f"{MODULE}.CPUINFO", path)
    assert processor_flags() == expected
