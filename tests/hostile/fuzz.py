"""Coverage-guided fuzzing of one reader, for as long as it is let: ``python tests/hostile/fuzz.py description``.

Needs atheris (`pip install atheris`), which the tests don't. Further arguments are libFuzzer's, ``-max_total_time=60``.
A file that makes a reader raise anything but portable_bp's own errors stops it, and is left as ``crash-…``.
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["portable_bp", "yaml"]):
    from readers import outcome, readers


def main():
    here = Path(tempfile.mkdtemp())
    (here / "sound").mkdir()
    (here / "corpus").mkdir()
    reader = readers(here / "sound")[sys.argv.pop(1)]
    for number, content in enumerate(reader.sound):
        (here / "corpus" / str(number)).write_bytes(content)

    def once(content):
        path = here / "sound" / reader.name
        path.write_bytes(reader.wrapped(content))
        outcome(reader, path)

    atheris.Setup([*sys.argv, str(here / "corpus")], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
