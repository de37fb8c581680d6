"""Pictures of a network at work, each a small function that draws into a matplotlib Axes and returns it.

They need matplotlib, the extra ``plot``. ``axes=None`` makes a figure of its own; ``axes.figure.savefig(…)`` writes it.
"""

from __future__ import annotations

from math import ceil, isnan, isqrt, sqrt
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from portable_bp.arguments import whole_number
from portable_bp.arrays import HostArray
from portable_bp.errors import ConfigurationError, ShapeError
from portable_bp.recording import QUANTITIES, RecordGradients
from portable_bp.tracing import Trace, norm

if TYPE_CHECKING:
    from portable_bp.network import Network

Axes: TypeAlias = Any
"""matplotlib's Axes, which is imported only when something is drawn."""

LABELS = {
    "activation": "‖activation‖",
    "delta": "‖δ‖ = ‖∂J/∂output‖",
    "gradient": "‖∂J/∂θ‖",
    "weight": "‖θ‖",
    "ratio": "‖update‖ / ‖θ‖",
}
FEW_LINES = 6
"""Lines that leave room for a legend among them, and layers whose names fit beside each other."""
RESOLUTION = 200
"""Points of a decision surface along each axis."""
FEW_CLASSES = 10
"""Number of classes that have colours of their own; more take them from a continuous map."""
SMALLEST_IMAGE = 16
"""Inputs from which a square number of them is taken for an image."""
MARGIN = 0.08
"""Share of the points' extent that a decision surface goes beyond them."""


def over_time(record: RecordGradients, quantity: str = "gradient", *, axes: Axes = None) -> Axes:
    """Draw one quantity of every layer over the epochs, on a logarithmic axis.

    ``quantity`` is "activation", "delta", "gradient", "weight" or "ratio"; see `RecordGradients`. Zeros and
    infinities leave gaps, such as the ratio of a bias that is still 0.
    """
    if quantity not in QUANTITIES:
        raise ConfigurationError(f"quantity={quantity!r}: write one of {', '.join(map(repr, QUANTITIES))}")
    columns = {name: its for name, its in record.history.columns.items() if name.startswith(f"{quantity} ")}
    if not columns:
        raise ConfigurationError("the record is empty: give it to fit first, net.fit(…, callbacks=[record])")
    axes = _axes(axes, (7, 4))
    marker = "o" if len(record.history) <= 20 else None
    for name, values in columns.items():
        label = name.removeprefix(f"{quantity} ")
        axes.plot(record.history["epoch"], _drawable(values), marker=marker, markersize=3, label=label)
    axes.set(xlabel="epoch", ylabel=LABELS[quantity], yscale="log")
    axes.grid(alpha=0.3)
    beside = {"loc": "center left", "bbox_to_anchor": (1, 0.5)} if len(columns) > FEW_LINES else {}
    axes.legend(fontsize="small", **beside)
    return axes


def norms(trace: Trace, *, axes: Axes = None) -> Axes:
    """Draw ‖activation‖, ‖δ‖ and, where there are parameters, ‖∂J/∂θ‖ of each layer, on a logarithmic axis."""
    axes = _axes(axes, (7, 4))
    layers = trace.to_numpy()
    lines = {
        "activation": [norm(layer.y) for layer in layers],
        "delta": [norm(layer.dy) for layer in layers],
        "gradient": [sqrt(sum(norm(g) ** 2 for g in layer.grads.values())) for layer in layers],
    }
    for quantity, values in lines.items():
        drawn = [(n, value) for n, value in enumerate(_drawable(values)) if not isnan(value)]
        axes.plot([n for n, _ in drawn], [value for _, value in drawn], "o-", label=LABELS[quantity])
    axes.set_xticks(range(len(layers)), [layer.name for layer in layers], rotation=90 if len(layers) > FEW_LINES else 0)
    axes.set(yscale="log", title=f"loss {trace.loss:.4g}")
    axes.grid(alpha=0.3, axis="y")
    axes.legend(fontsize="small")
    return axes


def codes(trace: Trace, layer: int | str = 1, *, names: Any = None, axes: Axes = None) -> Axes:
    """Draw a layer's outputs as a heat map, a row an example, a column a neuron: the hidden code of each input.

    ``layer`` is a number or a name such as "1 Sigmoid"; ``names`` labels the rows. Up to 16 × 16 values are written
    into their cells.
    """
    if not isinstance(layer, str):
        layer = whole_number("codes got layer", layer, 0, len(trace) - 1)
    entry = trace.to_numpy()[layer]
    values = entry.y.reshape(entry.y.shape[0], -1)
    rows, columns = values.shape
    axes = _axes(axes, (max(3.0, min(1.5 + 0.7 * columns, 10)), max(2.5, min(1.2 + 0.4 * rows, 9))))
    low, high = float(values.min()), float(values.max())
    low, high = (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)
    image = axes.imshow(values, cmap="viridis", vmin=low, vmax=high, aspect="auto")
    axes.figure.colorbar(image, ax=axes)
    if max(rows, columns) <= 16:
        _write(axes, values, (low + high) / 2)
    labels = [str(n) for n in range(rows)] if names is None else [str(name) for name in names]
    axes.set(title=f"output of {entry.name}", xlabel="neuron", ylabel="example")
    if rows <= 40:
        axes.set_yticks(range(rows), labels)
    if columns <= 20:
        axes.set_xticks(range(columns))
    return axes


def decision_surface(net: Network, x: Any, y: Any = None, *, axes: Axes = None) -> Axes:
    """Draw what a network of two inputs predicts around the points x (n, 2), and the points in the colours of y.

    One output: its value in colours, and the line at ½ where the class changes. Several: a colour a class. ``y`` is as
    for `fit`; wrong points are ringed.
    """
    points = np.asarray(x, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ShapeError(f"decision_surface draws two inputs: x must have the shape (n, 2); got {points.shape}")
    grid = [np.linspace(*_extent(points[:, n]), RESOLUTION) for n in range(2)]
    mesh = np.stack(np.meshgrid(*grid), axis=-1).reshape(-1, 2)
    axes = _axes(axes, (5.5, 4.5))
    outputs = net.predict(mesh)
    single = outputs.shape[-1] == 1
    shown = (outputs[:, 0] if single else net.classify(mesh)).reshape(RESOLUTION, RESOLUTION)
    few = outputs.shape[-1] <= FEW_CLASSES
    colours, top = (
        ("coolwarm", 1) if single else ("tab10" if few else "nipy_spectral", max(FEW_CLASSES, outputs.shape[-1]) - 1)
    )
    surface = axes.pcolormesh(*grid, shown, cmap=colours, vmin=0, vmax=top, alpha=0.6, shading="nearest", linewidth=0)
    surface.set_rasterized(True)
    if single:
        axes.figure.colorbar(surface, ax=axes, label="output")
        if shown.min() < 0.5 < shown.max():
            axes.contour(*grid, shown, levels=[0.5], colors="black", linewidths=1)
    if y is not None:
        _points(axes, points, _classes(y), net.classify(points), colours, top)
    axes.set(xlabel="$x_1$", ylabel="$x_2$", xlim=grid[0][[0, -1]], ylim=grid[1][[0, -1]])
    return axes


def weights(net: Network, layer: int = 0, *, shape: tuple[int, int] | None = None, axes: Axes = None) -> Axes:
    """Draw the weights of a layer as images, red where positive, blue where negative.

    With ``shape`` (height, width) each neuron's incoming weights as one image of that shape, tiled; by itself in the
    first layer with weights where the inputs are a square number from 16 on, such as MNIST's 28 × 28. Else the matrix
    as one image.
    """
    layer = whole_number("weights got layer", layer, 0, len(net.layers) - 1)
    if "weight" not in net.params[layer]:
        raise ConfigurationError(f"layer {layer} is {net.layers[layer]}, which has no weight: choose a Dense layer")
    matrix = net.backend.to_numpy(net.params[layer]["weight"])
    n_in, side = matrix.shape[0], isqrt(matrix.shape[0])
    inputs = not any("weight" in own for own in net.params[:layer])  # hidden neurons have no place beside each other
    if shape is None and inputs and side * side == n_in and n_in >= SMALLEST_IMAGE:
        shape = (side, side)
    if shape is not None and shape[0] * shape[1] != n_in:
        raise ShapeError(f"shape={shape} holds {shape[0] * shape[1]} weights, and layer {layer} has {n_in} inputs")
    axes = _axes(axes, (6, 5))
    bound = float(np.abs(matrix).max()) or 1.0
    image = matrix if shape is None else _tiles(matrix.T.reshape(-1, *shape))
    drawn = axes.imshow(
        image,
        cmap="RdBu_r",
        vmin=-bound,
        vmax=bound,
        interpolation="nearest",
        aspect="auto" if shape is None else "equal",
    )
    axes.figure.colorbar(drawn, ax=axes)
    axes.set_title(f"weights of {layer} {type(net.layers[layer]).__name__}")
    if shape is None:
        axes.set(xlabel="output", ylabel="input")
        axes.locator_params(integer=True)
    else:
        axes.set_axis_off()
    return axes


def _axes(axes: Axes, size: tuple[float, float]) -> Axes:
    """The axes given, or those of a new figure; one clear error where matplotlib is missing."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ConfigurationError("plots need matplotlib: pip install 'portable-bp[plot]'") from error
    return pyplot.subplots(figsize=size, layout="constrained")[1] if axes is None else axes


def _drawable(values: list[float]) -> list[float]:
    """What a logarithmic axis can show; NaN, a gap, for zeros and infinities."""
    return [value if 0 < value < float("inf") else float("nan") for value in values]


def _write(axes: Axes, values: HostArray, middle: float) -> None:
    """Write each value into its cell, light on dark and dark on light."""
    for (row, column), value in np.ndenumerate(values):
        colour = "white" if value < middle else "black"
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour, fontsize="small")


def _extent(values: HostArray) -> tuple[float, float]:
    margin = MARGIN * float(np.ptp(values)) or 1.0
    return float(values.min()) - margin, float(values.max()) + margin


def _classes(y: Any) -> HostArray:
    """Class numbers of targets: themselves, the larger of one-hot rows, or a column's 0 and 1."""
    target = np.asarray(y)
    if target.ndim == 2 and target.shape[1] > 1:
        return target.argmax(axis=1)
    return (target.reshape(-1) > 0.5).astype(int) if target.dtype.kind == "f" else target.reshape(-1).astype(int)


def _points(axes: Axes, points: HostArray, classes: HostArray, found: HostArray, colours: str, top: int) -> None:
    wrong = classes != found
    for where, edge in ((~wrong, "white"), (wrong, "black")):
        axes.scatter(
            *points[where].T, c=classes[where], cmap=colours, vmin=0, vmax=top, s=35, edgecolors=edge, linewidths=1.2
        )


def _tiles(images: HostArray) -> HostArray:
    """Images (n, height, width) in one, side by side with an empty line between."""
    n, height, width = images.shape
    columns = ceil(sqrt(n))
    rows = ceil(n / columns)
    canvas = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1), np.nan)
    for number, image in enumerate(images):
        row, column = (number // columns) * (height + 1), (number % columns) * (width + 1)
        canvas[row : row + height, column : column + width] = image
    return canvas
