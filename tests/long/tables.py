"""The figures of long tests as Markdown tables: ``python tests/long/tables.py report.jsonl``; the last run counts."""

import json
import sys
from pathlib import Path


def tables(lines):
    """One table for each set of figures, in the order in which they come."""
    rows, found = {row["name"]: row for row in map(json.loads, lines)}, {}
    for row in rows.values():
        found.setdefault(tuple(row), []).append(row)
    return [table(names, some) for names, some in found.items()]


def table(names, rows):
    head = [" | ".join(name.replace("_", " ") for name in names), " | ".join("---" for _ in names)]
    body = [
        " | ".join(f"{row[name]:,}" if isinstance(row[name], int) else str(row[name]) for name in names) for row in rows
    ]
    return "\n".join(f"| {line} |" for line in [*head, *body])


if __name__ == "__main__":
    print("\n\n".join(tables(Path(sys.argv[1]).read_text(encoding="utf-8").splitlines())))
