"""The fully connected layer."""

from dataclasses import dataclass, field

from portable_bp.arguments import settle, whole_number
from portable_bp.arrays import Array, HostArray, Namespace, Params, Shape
from portable_bp.errors import ConfigurationError, ShapeError
from portable_bp.initializers import Initializer, Xavier, Zeros
from portable_bp.layers.layer import Layer
from portable_bp.streams import Stream


@dataclass(frozen=True)
class Dense(Layer):
    r"""Affine map y = x W + b.

    Shapes: x (batch, n_in), W ``weight`` (n_in, n_out), b ``bias`` (1, n_out), y (batch, n_out). With a leading axis of
    K networks: W (K, n_in, n_out), b (K, 1, n_out), x (K, batch, n_in) or shared (batch, n_in).

    Backward, with dy = ∂J/∂y (batch, n_out)::

        ∂J/∂W = xᵀ dy               (n_in, n_out)
        ∂J/∂b = Σ_batch dy          (1, n_out)
        dx    = dy Wᵀ               (batch, n_in)

    The gradients are sums over the batch; a mean comes from the loss, whose dy then carries 1/batch.

    Source: Rumelhart, Hinton and Williams, Nature 323 (1986), eqs. 6 and 7, in matrix form.
    """

    n_in: int
    n_out: int
    bias: bool = True
    weight_init: Initializer = field(default_factory=Xavier)
    bias_init: Initializer = field(default_factory=Zeros)

    def __post_init__(self) -> None:
        for name in ("n_in", "n_out"):
            settle(self, name, whole_number(f"Dense got {name}", getattr(self, name), 1))
        if not isinstance(self.bias, bool):
            raise ConfigurationError(
                f"Dense got bias={self.bias!r}: write True or False; weight_init= takes initializers"
            )
        for name, init in (("weight_init", self.weight_init), ("bias_init", self.bias_init)):
            if not isinstance(init, Initializer):
                raise ConfigurationError(f"Dense got {name}={init!r}: give an instance such as He()")

    def init(self, stream: Stream, shape: Shape | None) -> dict[str, HostArray]:
        draw = {"weight": self.weight_init, "bias": self.bias_init}
        return {name: draw[name](stream.named(name), its) for name, its in self.param_shapes(shape).items()}

    def param_shapes(self, shape: Shape | None) -> dict[str, Shape]:
        weight: dict[str, Shape] = {"weight": (self.n_in, self.n_out)}
        return {**weight, "bias": (1, self.n_out)} if self.bias else weight

    @property
    def input_shape(self) -> Shape:
        return (self.n_in,)

    def output_shape(self, shape: Shape | None) -> Shape:
        if shape is not None and shape != (self.n_in,):
            raise ShapeError(self._mismatch(("batch", *shape)))
        return (self.n_out,)

    def forward(self, xp: Namespace, params: Params, x: Array) -> tuple[Array, Array]:
        if x.ndim > params["weight"].ndim or x.ndim < 2 or x.shape[-1] != self.n_in:
            raise ShapeError(self._mismatch(x.shape))
        y = xp.matmul(x, params["weight"])
        return (y + params["bias"] if self.bias else y), x

    def backward(self, xp: Namespace, params: Params, cache: Array, dy: Array) -> tuple[Array, Params]:
        dx = xp.matmul(dy, xp.matrix_transpose(params["weight"]))
        return dx, self.backward_params(xp, params, cache, dy)

    def backward_params(self, xp: Namespace, params: Params, cache: Array, dy: Array) -> Params:
        grads = {"weight": xp.matmul(xp.matrix_transpose(cache), dy)}
        if self.bias:
            grads["bias"] = xp.sum(dy, axis=-2, keepdims=True)
        return grads

    def _mismatch(self, shape: tuple[object, ...]) -> str:
        got = "(" + ", ".join(str(n) for n in shape) + ")"
        image = len(shape) > 2
        cure = (
            f"reshape it to ({shape[0]}, {self.n_in}) or put Flatten() first"
            if image
            else (f"give rows of {self.n_in} numbers, or write Dense({shape[-1]}, {self.n_out})")
        )
        return f"Dense({self.n_in}, {self.n_out}) expects x of shape (batch, {self.n_in}); got {got}: {cure}"
