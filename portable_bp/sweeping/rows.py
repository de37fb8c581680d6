"""What is known of a run: before it the values of the sweep's parameters, after it a row of the table."""

from typing import Any, TypeAlias

Values: TypeAlias = dict[str, Any]
"""By the names written in the sweep."""
TableRow: TypeAlias = dict[str, Any]
"""By the columns of the table."""
