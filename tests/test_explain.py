"""The chain rule written out: every path, every factor, every number, and the matrix form beside it."""

import io
import re
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import rich.console

import portable_bp as bp
from portable_bp.explanation.paths import count

NOISE = np.random.default_rng(0)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def one_one_one(backend="numpy", dtype="float64"):
    """E4's first toy network, J = ½ (y - a3)²."""
    layers = [bp.Dense(1, 1, bias=False), bp.Sigmoid(), bp.Dense(1, 1, bias=False), bp.Sigmoid()]
    params = [{"weight": np.asarray([[-1.3]])}, {}, {"weight": np.asarray([[0.8]])}, {}]
    return bp.Network(layers, bp.HalfSquaredError(), backend=backend, dtype=dtype, params=params)


def two_two_two(backend="numpy", **options):
    """E4's second toy network, J = 1/(2m) Σ (y_i - a_i)²."""
    layers = [bp.Dense(2, 2, bias=False), bp.Sigmoid(), bp.Dense(2, 2, bias=False), bp.Sigmoid()]
    return bp.Network(layers, bp.HalfMeanSquaredError(), backend=backend, dtype="float64", **options)


def explained(layers, loss=None, n=2, seed=0, **options):
    """Explain a network with biases drawn at random."""
    noise = np.random.default_rng(seed)
    net = bp.Network(layers, loss or bp.MeanSquaredError(), dtype="float64")
    net.params = [{name: noise.normal(size=array.shape) for name, array in own.items()} for own in net.params]
    x = noise.normal(size=(n, 2))
    y = noise.integers(0, 2, size=n if net.loss.target_kind == "labels" else (n, 2))
    return bp.explain(net, x, y, **options), net


def test_the_1_1_1_network_s_two_weights_have_three_and_five_factors_that_are_those_of_the_lab(backend):
    explanation = bp.explain(one_one_one(backend), np.asarray([[0.7]]), np.asarray([[0.2]]))
    a2 = sigmoid(0.7 * -1.3)
    a3 = sigmoid(a2 * 0.8)
    expected = {
        "2.weight[0, 0]": [a3 - 0.2, a3 * (1 - a3), a2],
        "0.weight[0, 0]": [a3 - 0.2, a3 * (1 - a3), 0.8, a2 * (1 - a2), 0.7],
    }
    assert [one.place for one in explanation.partials] == list(expected)
    for one in explanation.partials:
        (path,) = one.paths
        assert len(path.factors) == len(expected[one.place])
        np.testing.assert_allclose([float(f.values[0]) for f in path.factors], expected[one.place], rtol=1e-13)
        assert one.value == pytest.approx(np.prod(expected[one.place]), rel=1e-13)
    symbols = [factor.symbol.text for factor in explanation.partials[1].paths[0].factors]
    assert symbols == ["∂J/∂a³₁", "σ′(z³₁)", "θ²₁₁", "σ′(z²₁)", "x₁"]


def test_the_2_2_2_network_has_eight_partial_derivatives_of_52_factors(backend):
    explanation = bp.explain(two_two_two(backend), np.asarray([[0.7, -0.2]]), np.asarray([[0.2, 1.0]]))
    assert explanation.factors == 52
    assert len(explanation.partials) == 8
    numbers = {one.place: [len(path.factors) for path in one.paths] for one in explanation.partials}
    assert numbers["2.weight[0, 1]"] == [3]
    assert numbers["0.weight[0, 1]"] == [5, 5]
    assert "8 partial derivatives, 52 factors" in str(explanation)


def test_the_sums_over_paths_are_the_network_s_gradients_for_a_batch(backend):
    net = two_two_two(backend, seed=3)
    x, y = NOISE.normal(size=(5, 2)), NOISE.uniform(size=(5, 2))
    _, grads = net.gradients(x, y)
    for one in bp.explain(net, x, y).partials:
        layer, name, index = one.key
        assert one.value == pytest.approx(float(backend.to_numpy(grads[layer][name])[index]), rel=1e-12)


ACTIVATIONS = [
    *(bp.Sigmoid(), bp.Tanh(), bp.ReLU(), bp.LeakyReLU(0.1), bp.ELU(0.7), bp.GELU(), bp.Softplus(), bp.Identity())
]


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_every_elementwise_activation_and_every_loss_can_be_explained(activation, reduction):
    layers = [bp.Dense(2, 3), activation, bp.Dense(3, 2)]
    losses = [bp.SoftmaxCrossEntropy(reduction=reduction), bp.BinaryCrossEntropy(reduction=reduction)]
    losses += [bp.HalfSquaredError(), bp.HalfMeanSquaredError(), bp.MeanSquaredError()]
    for loss in losses:
        explanation, net = explained(layers, loss)
        assert explanation.difference < 1e-12
        assert len(explanation.partials) == 2 * 3 + 3 + 3 * 2 + 2
        assert type(net.loss).__name__ in str(explanation)


@pytest.mark.parametrize(
    "layers",
    [
        [bp.Dense(2, 2), bp.Dense(2, 2)],
        [bp.Tanh(), bp.Dense(2, 2)],
        [bp.Dense(2, 2), bp.Tanh(), bp.Sigmoid(), bp.Dense(2, 2), bp.Tanh()],
        [bp.Dense(2, 3), bp.ReLU(), bp.Dense(3, 2, bias=False), bp.Tanh(), bp.Dense(2, 2)],
    ],
    ids=["no activation", "activation first", "two in a row", "three layers"],
)
def test_any_order_of_layers_is_followed_and_the_factors_are_as_many_as_were_counted(layers):
    explanation, _ = explained(layers)
    assert explanation.difference < 1e-12
    for one in explanation.partials:
        assert (len(one.paths), len(one.paths[0].factors)) == count(layers, one.key[0])


def test_a_float32_network_is_explained_in_float64_from_its_own_numbers():
    net = one_one_one(dtype="float32")
    explanation = bp.explain(net, [[0.7]], [[0.2]])
    weight = float(net.params[0]["weight"][0, 0])
    assert explanation.chain[0].y[0, 0] == 0.7 * weight
    assert {stage.y.dtype for stage in explanation.chain} == {np.dtype("float64")}
    assert net.params[0]["weight"].dtype == np.float32


# -- what must not pass ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WrongSlope(bp.Sigmoid):
    """A sigmoid whose derivative is too large by one part in 10⁵: paths and matrix form agree, both wrong."""

    def backward(self, xp, params, cache, dy):
        return 1.00001 * super().backward(xp, params, cache, dy)[0], {}


@dataclass(frozen=True)
class WrongProduct(bp.Dense):
    """A Dense layer that carries back too much by one part in 10⁹."""

    def backward(self, xp, params, cache, dy):
        dx, grads = super().backward(xp, params, cache, dy)
        return dx * (1 + 1e-9), grads


@dataclass(frozen=True)
class WrongBias(bp.Dense):
    """A Dense layer that forgets its bias's gradient."""

    def backward_params(self, xp, params, cache, dy):
        grads = super().backward_params(xp, params, cache, dy)
        return {**grads, "bias": 0 * grads["bias"]}


@dataclass(frozen=True)
class NoBias(bp.Dense):
    """A Dense layer that leaves its bias's gradient out."""

    def backward_params(self, xp, params, cache, dy):
        return {"weight": super().backward_params(xp, params, cache, dy)["weight"]}


@dataclass(frozen=True)
class MixingTanh(bp.Tanh):
    """A Tanh that gives each neuron its neighbour's gradient, which dy = 1 alone doesn't show."""

    def backward(self, xp, params, cache, dy):
        return super().backward(xp, params, cache, xp.flip(dy, axis=-1))


@dataclass(frozen=True)
class WrongLoss(bp.HalfSquaredError):
    """A loss whose gradient is that of another convention."""

    def backward(self, xp, cache):
        return 2 * super().backward(xp, cache)


@pytest.mark.parametrize(
    ("layers", "loss", "said"),
    [
        ([bp.Dense(2, 2), WrongSlope(), bp.Dense(2, 2)], None, r"central differences: FAILED(.|\n)*1 WrongSlope"),
        (
            [bp.Dense(2, 2), bp.Tanh(), WrongProduct(2, 2)],
            None,
            r"∂J/∂θ¹₁₁, 0.weight\[0, 0\], is .* as a sum over paths",
        ),
        (
            [bp.Dense(2, 2), bp.Tanh(), WrongBias(2, 2)],
            None,
            r"∂J/∂b²₁, 2.bias\[0, 0\], is .* -?0 by backpropagation, 2 of",
        ),
        (
            [NoBias(2, 2)],
            None,
            r"layer 0, NoBias, must give gradients of the shapes .*'bias': \(1, 2\)}; got {'weight'",
        ),
        ([bp.Dense(2, 2), MixingTanh(), bp.Dense(2, 2)], None, "is .* as a sum over paths"),
        ([bp.Dense(2, 2)], WrongLoss(), "the gradient of WrongLoss itself is wrong"),
    ],
    ids=["slope", "product", "bias", "no bias", "mixing", "loss"],
)
def test_a_wrong_derivative_raises(layers, loss, said):
    with pytest.raises(bp.GradientError, match=said):
        explained(layers, loss)


@pytest.mark.parametrize(
    "layers",
    [[bp.Dense(2, 2), bp.Softmax()], [bp.Flatten(), bp.Dense(2, 2)], [bp.Dropout(0.5), bp.Dense(2, 2)]],
    ids=["Softmax", "Flatten", "Dropout"],
)
def test_other_layers_are_refused_with_the_list_of_those_that_can_be_explained(layers):
    with pytest.raises(
        bp.ConfigurationError, match=r"layer . is .*it takes Dense and elementwise activations such as Sigmoid"
    ):
        explained(layers)


def test_too_many_factors_are_counted_and_refused_before_they_are_written():
    layers = [bp.Dense(2, 20), bp.ReLU(), bp.Dense(20, 20), bp.Dense(20, 2)]
    factors = 60 * (20 * 2) * 5 + (400 + 20) * 2 * 3 + (40 + 2) * 2  # for each layer, parameters × paths × factors
    with pytest.raises(
        bp.ConfigurationError, match=rf"would write {factors:,} factors on 3,282 paths.*only=\[\(0, 'weig"
    ):
        explained(layers, n=1)
    with pytest.raises(bp.ConfigurationError, match=rf"{3 * factors:,} factors .* for 3 examples, .* or one example"):
        explained(layers, n=50)
    explanation, _ = explained(layers, n=1, only=[(3, "weight", (19, 1)), (2, "bias", (0, 4))])
    assert [one.place for one in explanation.partials] == ["3.weight[19, 1]", "2.bias[0, 4]"]
    assert explanation.factors == 2 + 2 * 3


@pytest.mark.parametrize(
    ("only", "said"),
    [
        ([], r"only=\[\]: list parameters"),
        ("weight", "only='weight': list parameters"),
        ([0], r"got 0 in only=: write \(layer, name, index\)"),
        ([(0, "weight", 1)], "write .layer, name, index."),
        ([(7, "weight", (0, 0))], "layer=7: it must be a whole number from 0 to 1"),
        ([(1, "weight", (0, 0))], "layer 1 has no 'weight'; its parameters: none"),
        ([(0, "theta", (0, 0))], "layer 0 has no 'theta'; its parameters: 'weight', 'bias'"),
        ([(0, "weight", (0,))], r"weight of layer 0 has the shape \(2, 2\)"),
        ([(0, "weight", (0, 2))], "index=2: it must be a whole number from 0 to 1"),
        ([(0, "weight", (0, -1))], "index=-1"),
    ],
)
def test_parameters_that_are_not_there_are_refused(only, said):
    with pytest.raises(bp.ConfigurationError, match=said):
        explained([bp.Dense(2, 2), bp.Tanh()], only=only)


def test_a_network_whose_numbers_overflow_is_refused():
    net = bp.Network([bp.Dense(1, 1, bias=False)], bp.MeanSquaredError(), params=[{"weight": np.asarray([[np.inf]])}])
    with pytest.raises(bp.NonFiniteError, match="loss for x and y is inf"):
        bp.explain(net, [[1.0]], [[1.0]])


def test_a_network_without_parameters_is_refused():
    with pytest.raises(bp.ConfigurationError, match="without parameters"):
        explained([bp.Tanh()])


# -- how it is written ----------------------------------------------------------------------------------------------

ONE_ONE_ONE = """\
Network 1-1-1: Dense, Sigmoid, Dense, Sigmoid; HalfSquaredError; 1 example. Indices count from 1 in formulas and \
from 0 in Python.

Forward
  x₁ = 0.7
  z²₁ = x₁ · θ¹₁₁ = 0.7 · (-1.3) = -0.91
  a²₁ = σ(z²₁) = σ(-0.91) = 0.287
  z³₁ = a²₁ · θ²₁₁ = 0.287 · 0.8 = 0.2296
  a³₁ = σ(z³₁) = σ(0.2296) = 0.5571
  y₁ = 0.2
  J = HalfSquaredError(a³; y) = 0.06378

Backward, path by path
  ∂J/∂θ²₁₁, 2.weight[0, 0]
    = ∂J/∂a³₁ · σ′(z³₁) · a²₁ = 0.3571 · 0.2467 · 0.287 = 0.02529
  ∂J/∂θ¹₁₁, 0.weight[0, 0]
    = ∂J/∂a³₁ · σ′(z³₁) · θ²₁₁ · σ′(z²₁) · x₁ = 0.3571 · 0.2467 · 0.8 · 0.2046 · 0.7 = 0.0101

Backward, in matrix form
  δ³ = ∂J/∂a³ ⊙ σ′(z³) = [0.3571] ⊙ [0.2467] = [0.08812]
  ∂J/∂Θ² = (a²)ᵀ δ³ = [0.287] · [0.08812] = [0.02529]
  δ² = δ³ (Θ²)ᵀ ⊙ σ′(z²) = [0.08812] · [0.8] ⊙ [0.2046] = [0.01443]
  ∂J/∂Θ¹ = xᵀ δ² = [0.7] · [0.01443] = [0.0101]

"""


def test_the_1_1_1_network_is_written_like_this():
    """The numbers are those of test_backpropagation.py's hand-written chain rule, to four digits."""
    text = str(bp.explain(one_one_one(), [[0.7]], [[0.2]]))
    assert text.startswith(ONE_ONE_ONE)
    assert "2 partial derivatives, 8 factors, largest difference" in text[len(ONE_ONE_ONE) :]


TWO_PATHS = """\
  ∂J/∂θ¹₂₁, 0.weight[1, 0]
    = ∂J/∂a³₁ · σ′(z³₁) · θ²₁₁ · σ′(z²₁) · x₂ = 0.4076 · 0.2378 · 0.5 · 0.25 · 2     = 0.02423
    + ∂J/∂a³₂ · σ′(z³₂) · θ²₁₂ · σ′(z²₁) · x₂ = (-0.2311) · 0.1966 · (-2) · 0.25 · 2 = 0.04543
    = 0.06966
"""


def test_a_weight_of_the_2_2_2_network_is_written_as_a_sum_of_two_paths():
    """By hand: z² = (0, 0), a² = (½, ½), z³ = (0.45, -1), a³ = (0.61064, 0.26894), σ′(z³) = (0.23776, 0.19661)."""
    params = [{"weight": np.asarray([[2.0, 4.0], [-1.0, -2.0]])}, {}, {"weight": np.asarray([[0.5, -2.0], [0.4, 0.0]])}]
    explanation = bp.explain(two_two_two(params=[*params, {}]), [[1.0, 2.0]], [[0.203, 0.5]])
    assert TWO_PATHS in str(explanation)
    table = next(block for block in explanation.markdown().split("###") if "`0.weight[1, 0]`" in block)
    assert "|  | **sum** | $0.06966$ |" in table
    assert explanation.markdown().count("**sum**") == 4  # not where there is one path


def test_the_products_and_sums_that_are_printed_are_right_to_their_digits():
    """Every line of a path is computed again from the numbers that stand in it."""
    text = str(explained([bp.Dense(2, 2), bp.Tanh(), bp.Dense(2, 2)], n=2)[0])
    lines = [line for line in text.splitlines() if re.match(r"    [=+] ∂J", line)]
    assert len(lines) == 2 * (6 + 6 * 2)
    for line in lines:
        symbols, numbers, product = line.split(" = ")[-3:]
        assert symbols.count("·") == numbers.count("·")
        factors = [float(number.strip(" ()")) for number in numbers.split("·")]
        assert float(product) == pytest.approx(np.prod(factors), rel=5e-3)


def test_the_equations_of_the_forward_pass_hold_in_the_numbers_that_are_printed():
    text = str(explained([bp.Dense(2, 2), bp.Identity(), bp.Dense(2, 2)], n=2)[0])
    lines = [line for line in text.splitlines() if re.match(r"  z.\S = ", line)]
    assert len(lines) == 2 * (2 + 2)
    for line in lines:
        symbols, numbers, value = line.split(" = ")[-3:]
        assert re.sub(r"[^·+]", "", symbols) == re.sub(r"[^·+]", "", numbers) == "·+·+"
        terms = [np.prod([float(f.strip(" ()")) for f in term.split("·")]) for term in numbers.split("+")]
        assert float(value) == pytest.approx(sum(terms), abs=5e-3 * sum(map(abs, terms)))


@pytest.mark.parametrize("n", [1, 4])
def test_the_matrices_that_are_shown_multiply_to_what_is_shown_behind_them(n):
    layers = [bp.Tanh(), bp.Dense(2, 3), bp.Sigmoid(), bp.Tanh(), bp.Dense(3, 4), bp.Dense(4, 2), bp.Softplus()]
    explanation, net = explained(layers, n=n, only=[(1, "weight", (0, 0))])
    lefts = [equation.left.text for equation in explanation.matrices]
    assert lefts == ["δ⁴", "∂J/∂Θ³", "∂J/∂b³", "δ³", "∂J/∂Θ²", "∂J/∂b²", "δ²", "∂J/∂Θ¹", "∂J/∂b¹"]
    for equation in explanation.matrices:
        if not equation.parts:  # a bias: the sum over the batch of the δ two lines above
            delta = explanation.matrices[lefts.index(equation.left.text) - 2]
            np.testing.assert_allclose(equation.value, delta.value.sum(axis=0, keepdims=True), rtol=1e-12)
            continue
        result = equation.parts[0]
        for operator, matrix in zip(equation.parts[1::2], equation.parts[2::2], strict=True):
            result = result @ matrix if operator.text == "·" else result * matrix
        np.testing.assert_allclose(result, equation.value, rtol=1e-12)
    _, grads = net.gradients(explanation.chain[0].x, explanation.target)
    shown = {equation.left.text: equation.value for equation in explanation.matrices}
    for number, k in ((1, "¹"), (4, "²"), (5, "³")):
        np.testing.assert_allclose(shown[f"∂J/∂Θ{k}"], grads[number]["weight"], rtol=1e-12)
        np.testing.assert_allclose(shown[f"∂J/∂b{k}"], grads[number]["bias"], rtol=1e-12)


def test_a_batch_is_written_example_by_example_for_the_first_few_and_summed_over_all():
    explanation, _ = explained([bp.Dense(2, 2), bp.Tanh()], n=5)
    text = str(explanation)
    assert text.count("example 3\n") == 1 + len(explanation.partials)
    assert "example 4" not in text
    assert text.count("… and 2 more examples") == 1 + len(explanation.partials)
    for one in explanation.partials:
        assert sum(float(path.values.sum()) for path in one.paths) == pytest.approx(one.value)
        assert [path.values.shape for path in one.paths] == [(5,)]


def test_a_notebook_shows_the_markdown():
    explanation, _ = explained([bp.Dense(2, 2)])
    assert explanation._repr_markdown_() == explanation.markdown()
    assert repr(explanation) == "<explanation of 6 partial derivatives, 12 factors>"


def test_markdown_has_balanced_formulas_and_tables_of_equal_columns():
    text = explained([bp.Dense(2, 3), bp.Sigmoid(), bp.Dense(3, 2)], bp.SoftmaxCrossEntropy())[0].markdown()
    assert text.count("$$") % 2 == 0
    assert text.count("$") % 2 == 0
    assert text.count("{") == text.count("}")
    assert text.count(r"\begin{") == text.count(r"\end{")
    assert r"\frac{\partial J}{\partial \theta^{(1)}_{23}}" in text
    assert (
        r"\delta^{(2)} &= \delta^{(3)} \left(\Theta^{(2)}\right)^{\mathsf T} \odot \sigma'(z^{(2)}) = \begin{b" in text
    )
    tables = re.findall(r"(?:^\|.*\|\n?)+", text, re.MULTILINE)
    assert len(tables) == 6 + 3 + 6 + 2
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1


def test_the_formulas_can_be_read_by_a_reader_of_latex():
    """matplotlib's own, which knows everything but matrices and alignment."""
    mathtext = pytest.importorskip("matplotlib.mathtext").MathTextParser("path")
    layers = [bp.GELU(), bp.Dense(2, 11), bp.Softplus(), bp.Sigmoid(), bp.ReLU(), bp.Dense(11, 2)]
    text = explained(layers, bp.BinaryCrossEntropy(), only=[(1, "weight", (1, 10)), (1, "bias", (0, 2))])[0].markdown()
    inline = re.findall(r"(?<!\$)\$([^$\n]+)\$", text)
    rows = [
        row for block in re.findall(r"begin{aligned}\n(.*?)\n\\end", text, re.DOTALL) for row in block.split("\\\\\n")
    ]
    formulas = [*inline, *(row.replace("&", "") for row in rows if "matri" not in row and "left[" not in row)]
    assert len(inline) > 20
    assert len(formulas) > len(inline) + 10
    for formula in formulas:
        mathtext.parse(f"${formula.strip()}$")


@pytest.mark.parametrize("width", [60, 200])
def test_rich_prints_tables_and_nothing_of_the_matrices_is_cut(width):
    explanation, _ = explained([bp.Dense(2, 2), bp.Sigmoid(), bp.Dense(2, 2)], n=1)
    file = io.StringIO()
    rich.console.Console(file=file, width=width).print(explanation)
    printed = file.getvalue()
    for words in ("Forward", "Backward, path by path", "Backward, in matrix form", "θ¹₂₁", "0.weight[1,"):
        assert words in printed
    for line in str(explanation).splitlines():
        if "⎦" in line and width == 200:
            assert line in printed
    assert printed.count("⎣") == printed.count("⎦") == str(explanation).count("⎦")


def test_large_matrices_are_named_by_their_shape_and_long_sums_by_their_sign():
    net = bp.Network([bp.Dense(30, 2), bp.Tanh(), bp.Dense(2, 1)], bp.MeanSquaredError())
    text = str(bp.explain(net, np.ones((1, 30)), [[1.0]], only=[(0, "weight", (29, 1))]))
    assert "z²₂ = Σᵢ xᵢ · θ¹ᵢ,₂ + b¹₂ = " in text
    assert "∂J/∂Θ¹ = xᵀ δ² = (30 × 1) · [" in text
    assert "∂J/∂θ¹₃₀,₂, 0.weight[29, 1]" in text
    assert "z²₁" not in text.split("Backward")[0]  # not on the way of this weight


@dataclass(frozen=True)
class Soft_Sign(bp.Layer):
    """y = x / (1 + |x|). Backward: dx = dy / (1 + |x|)²."""

    elementwise: ClassVar[bool] = True

    def forward(self, xp, params, x):
        return x / (1 + xp.abs(x)), x

    def backward(self, xp, params, cache, dy):
        return dy / ((1 + xp.abs(cache)) * (1 + xp.abs(cache))), {}


@dataclass(frozen=True)
class MeanCube(bp.Loss):
    """J = 1/m Σ (y - t)³, a mean over the batch of m; dy = 3 (y - t)² / m."""

    @property
    def averages(self):
        return True

    def forward(self, xp, y, target, weight=None):
        d = y - target
        return xp.sum(d * d * d, axis=(-2, -1)) / y.shape[-2], d

    def backward(self, xp, cache):
        return 3 * cache * cache / cache.shape[-2]


def test_elementwise_layers_and_losses_of_one_s_own_are_explained_by_their_classes_names():
    explanation, net = explained([bp.Dense(2, 3), Soft_Sign(), bp.Dense(3, 2)], MeanCube())
    z = float(explanation.chain[1].x[0, 0])
    assert explanation.chain[1].slope[0, 0] == pytest.approx((1 + abs(z)) ** -2, rel=1e-12)
    assert "Soft_Sign(z²₁)" in str(explanation)
    assert "Soft_Sign′(z²₁)" in str(explanation)
    assert "J = MeanCube(z³; y)" in str(explanation)
    assert r"\mathrm{Soft\_Sign}'(z^{(2)}_{1})" in explanation.markdown()
    assert len(explanation.partials) == sum(array.size for own in net.params for array in own.values())


def test_a_layer_that_says_wrongly_that_it_is_elementwise_is_found():
    @dataclass(frozen=True)
    class Mixing(bp.Layer):
        elementwise: ClassVar[bool] = True

        def forward(self, xp, params, x):
            return x * xp.sum(x, axis=-1, keepdims=True), x

        def backward(self, xp, params, cache, dy):
            total = xp.sum(cache, axis=-1, keepdims=True)
            return dy * total + xp.sum(dy * cache, axis=-1, keepdims=True), {}

    with pytest.raises(bp.GradientError, match="as a sum over paths and"):
        explained([bp.Dense(2, 3), Mixing(), bp.Dense(3, 2)])
