"""A sweep file's YAML gives what it says; what would fill the memory, or says a thing twice, is refused in one line."""

import tracemalloc

import pytest

import portable_bp as bp
from portable_bp.sweeping import yaml_file
from portable_bp.sweeping.yaml_file import read_yaml


@pytest.fixture
def read(tmp_path):
    def call(text):
        (tmp_path / "s.yaml").write_bytes(text.encode() if isinstance(text, str) else text)
        return read_yaml(tmp_path / "s.yaml")

    return call


def refusal(read, text):
    with pytest.raises(bp.FileError) as caught:
        read(text)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_anchors_and_merged_keys_are_read(read):
    text = "a: &a [1, 2]\nb: *a\nc: &c {x: 1}\nd: {<<: *c, y: 2}\n"
    assert read(text) == {"a": [1, 2], "b": [1, 2], "c": {"x": 1}, "d": {"x": 1, "y": 2}}


def test_an_empty_file_says_nothing(read):
    assert read("") is None


BOMB = "a0: &a0 [" + "x, " * 9 + "x]\n" + "".join(f"a{i}: &a{i} [{f'*a{i - 1}, ' * 9}x]\n" for i in range(1, 60))
REFUSED = {
    "aliases of aliases": (BOMB, "more than 100,000 entries once its aliases are written out"),
    "merges of merges": (BOMB.replace("[", "{<<: [").replace("]", "]}"), "more than 100,000 entries"),
    "an alias in itself": ("a: &a [*a]", 'an alias stands for what it is in, in "<unicode string>", line 1'),
    "a merge of itself": ("a: &a {<<: *a}", "an alias stands for what it is in"),
    "great depth": ("a: " + "[" * 5000, "brackets within brackets, too deep"),
    "mappings of great depth": ("{a: " * 5000, "brackets within brackets, too deep"),
    "a key that is there twice": ("parameters:\n  rate: 1\n  rate: 2\n", "the key 'rate' is there twice"),
    "a number of many digits": ("a: 0x" + "f" * 50, "a whole number of more than 40 digits"),
    "a sexagesimal number of many digits": ("a: 1" + ":1" * 50, "a whole number of more than 40 digits"),
    "a command": ("a: !!python/object/apply:os.system ['false']", "could not determine a constructor"),
    "no UTF-8": (b"a: \xff", "can't decode"),
    "a byte that YAML lacks": ("a: \0", "special characters are not allowed"),
    "a whole number without digits": ("a: !!int ''", "is no valid YAML"),
    "a truth that is none": ("a: !!bool perhaps", "is no valid YAML: 'perhaps'"),
    "a day that is none": ("a: 2001-02-30", "day is out of range"),
    "a time that is none": ("a: !!timestamp soon", "is no valid YAML"),
    "a list for a key": ("? [1]\n: 2", "unhashable key"),
    "two documents": ("a: 1\n---\nb: 2\n", "but found another document"),
    "a file that is too large": ("#" * (yaml_file.LARGEST + 1), "it is longer than 131,072 bytes"),
}


@pytest.mark.parametrize(("text", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_what_no_sweep_file_needs_is_refused(read, text, said):
    assert said in refusal(read, text)


def test_aliases_are_counted_before_they_are_written_out(read):
    tracemalloc.start()
    try:
        refusal(read, BOMB)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < (1 << 20) + 400 * len(BOMB)
