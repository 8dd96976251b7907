"""A generator as a header of C++17 that needs nothing but the standard library.

The graph of ATen's operations, traced for one event, is walked once and a statement is written for
each: all shapes are known, so that every tensor is an array of a fixed size. What does not depend
on noise or conditions is computed here and enters as numbers. Operations that only move numbers
write nothing unless they join several arrays: they are applied to the numbers' places.
"""

import itertools
import math
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from string import Template
from textwrap import indent
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.fx import Interpreter, Node
from torch.utils._pytree import tree_leaves, tree_map

from mleg_ray.errors import CheckpointError
from mleg_ray.events import Field
from mleg_ray.exporting.generation import Generation

MOST_STACK = 1 << 20  # bytes of arrays while an event is made, of the few that a thread has
TYPES = {
    torch.float32: "float",
    torch.float64: "double",
    torch.int64: "std::int64_t",
    torch.int32: "std::int32_t",
    torch.int16: "std::int16_t",
    torch.int8: "std::int8_t",
    torch.uint8: "std::uint8_t",
    torch.bool: "bool",
}
ARITHMETIC = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
COMPARISON = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
LOGIC = {"logical_and": "&&", "bitwise_and": "&", "logical_or": "||", "bitwise_or": "|"}
FUNCTIONS = (
    "exp expm1 log log1p sqrt abs sin cos tan asin acos atan sinh cosh tanh asinh erf erfc floor "
    "ceil trunc isnan isinf"
)
# Of one number each: {0}, {1}, ... are the operands, {t} is the type in which it is computed.
EXPRESSIONS = {
    **{name: f"{{0}} {sign} {{1}}" for name, sign in (ARITHMETIC | COMPARISON | LOGIC).items()},
    **{name: f"std::{name}({{0}})" for name in FUNCTIONS.split()},
    **{name: f"std::{name}({{0}}, {{1}})" for name in ("atan2", "pow", "fmod")},
    "neg": "-{0}",
    "reciprocal": "{t}(1) / {0}",
    "rsqrt": "{t}(1) / std::sqrt({0})",
    "round": "std::nearbyint({0})",
    "sigmoid": "{t}(1) / ({t}(1) + std::exp(-{0}))",
    "relu": "{0} > 0 ? {0} : {t}(0)",
    "leaky_relu": "{0} > 0 ? {0} : {0} * {1}",
    "minimum": "std::min({0}, {1})",
    "maximum": "std::max({0}, {1})",
    "logical_not": "!{0}",
    "bitwise_not": "!{0}",
    "where": "{0} ? {1} : {2}",
    "remainder": "modulo({0}, {1})",
    "sign": "{t}(({0} > 0) - ({0} < 0))",
    "special_erfcx": "erfcx({0})",
    "_to_copy": "{0}",
}
MOVES = (
    "alias cat clone constant_pad_nd detach expand flip gather index index_put index_select "
    "lift_fresh_copy permute repeat scatter select select_scatter slice slice_scatter "
    "split_with_sizes squeeze transpose unbind unsqueeze view _unsafe_view"
)
FILLS = ("full_like", "zeros_like", "ones_like", "new_full", "new_zeros", "new_ones")
PLACES = ("index", "indices")  # arguments that tell where, and are not moved themselves
# Of a row x of n numbers: one number y, or as many.
REDUCTIONS = {
    "sum": "T y = 0; for (int i = 0; i < n; ++i) y += x[i]; return y;",
    "mean": "T y = 0; for (int i = 0; i < n; ++i) y += x[i]; return y / n;",
    "prod": "T y = 1; for (int i = 0; i < n; ++i) y *= x[i]; return y;",
    "amax": "return *std::max_element(x, x + n);",
    "amin": "return *std::min_element(x, x + n);",
    "any": "return std::any_of(x, x + n, [](T v) { return v != 0; });",
    "all": "return std::all_of(x, x + n, [](T v) { return v != 0; });",
    "argmax": "return std::max_element(x, x + n) - x;",
}
ROWS = {
    "_softmax": (
        "const T most = *std::max_element(x, x + n); T sum = 0; "
        "for (int i = 0; i < n; ++i) sum += y[i] = std::exp(x[i] - most); "
        "for (int i = 0; i < n; ++i) y[i] /= sum;"
    ),
    "cumsum": "T sum = 0; for (int i = 0; i < n; ++i) y[i] = sum += x[i];",
}
HELPERS = {
    "modulo": (
        "template <class T> T modulo(T x, T y) { const T rest = std::fmod(x, y); "
        "return rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest; }"
    ),
    # exp(x²) erfc(x), by its continued fraction where erfc is small.
    "erfcx": (
        "template <class T> T erfcx(T x) { if (x < T(5)) return std::exp(x * x) * std::erfc(x); "
        "T below = x; for (int k = 40; k > 0; --k) below = x + T(k) / 2 / below; "
        f"return T({1 / math.sqrt(math.pi)!r}) / below; }}"
    ),
    "position": (
        "template <class T> std::int64_t position(const T* sorted, int n, T x, bool right) { "
        "return (right ? std::upper_bound(sorted, sorted + n, x) "
        ": std::lower_bound(sorted, sorted + n, x)) - sorted; }"
    ),
    "row_order": (
        "template <class T> void row_order(const T* x, std::int64_t* y, int n, bool down) { "
        "for (int i = 0; i < n; ++i) y[i] = i; std::stable_sort(y, y + n, "
        "[=](auto a, auto b) { return down ? x[a] > x[b] : x[a] < x[b]; }); }"
    ),
    **{
        f"row_{name}": f"template <class T> auto row_{name}(const T* x, int n) {{ {body} }}"
        for name, body in REDUCTIONS.items()
    },
    **{
        f"row_{name}": f"template <class T> void row_{name}(const T* x, T* y, int n) {{ {body} }}"
        for name, body in ROWS.items()
    },
}
KEYWORDS = (
    "alignas alignof and and_eq asm auto bitand bitor bool break case catch char class compl const "
    "constexpr continue decltype default delete do double else enum explicit export extern false "
    "float for friend goto if inline int long mutable namespace new noexcept not not_eq nullptr "
    "operator or or_eq private protected public register return short signed sizeof static struct "
    "switch template this throw true try typedef typeid typename union unsigned using virtual void "
    "volatile while xor xor_eq"
)
TEMPLATE = Template(
    """// ${name}: a generator of events of ${dataset}, exported by mleg_ray ${version}.
// Checkpoint ${checkpoint}
//
//   std::mt19937_64 engine(1);
//   const ${space}::Generator generate;
//   const ${space}::Event event = generate(${space}::draw(engine)${example});
//
// C++17; it needs nothing but the standard library.

#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>

namespace ${space} {

// What this is, as JSON.
inline constexpr char card[] = R"card(${card})card";

using Noise = std::array<float, ${width}>;

${conditions}
${event}

inline constexpr const char* names[] = {${names}};
inline constexpr const char* units[] = {${units}};

namespace detail {
inline constexpr bool uniform[] = {${uniform}};
${helpers}
${constants}
}  // namespace detail

// Returns the noise of one event: uniform in [-1, 1), or standard normal.
template <class Engine>
Noise draw(Engine& engine) {
  std::uniform_real_distribution<float> flat(-1, 1);
  std::normal_distribution<float> normal;
  Noise noise;
  for (std::size_t i = 0; i < noise.size(); ++i)
    noise[i] = detail::uniform[i] ? flat(engine) : normal(engine);
  return noise;
}

struct Generator {
  // Returns the event that this noise becomes.
  Event operator()(const Noise& noise${given}) const {
    using namespace detail;
${lines}
    return event;
  }
};

}  // namespace ${space}
"""
)


class UnsupportedError(Exception):
    """An operation for which there is no C++ here."""


@dataclass(frozen=True, eq=False)
class Elements:
    """A tensor in C++: numbers of one array, each at its place (shape of the tensor)."""

    array: str
    dtype: torch.dtype
    places: Tensor


class Writer(Interpreter):
    """Walks a graph of one event and writes a statement for each of its operations.

    `constants` and `lines` are what is written, `helpers` the functions that the lines call, and
    `stack` the bytes of all arrays.
    """

    def __init__(self, module: torch.fx.GraphModule) -> None:
        super().__init__(module)
        self.constants: list[str] = []
        self.lines: list[str] = []
        self.helpers: set[str] = set()
        self.stack = 0
        self._sizes: dict[str, int] = {}
        self._known: dict[tuple[torch.dtype, bytes], str] = {}
        self._numbers = itertools.count()
        self._written: dict[str, Callable[..., Any]] = {
            **dict.fromkeys(MOVES.split(), self._moved),
            **dict.fromkeys(REDUCTIONS, self._reduced),
            **dict.fromkeys(ROWS, self._by_row),
            **dict.fromkeys(("addmm", "mm"), self._product),
            "clamp": self._clamped,
            "searchsorted": self._searched,
            "sort": self._sorted,
        }

    def given(self, array: str, like: Tensor) -> Elements:
        """Return an array that the function is given, of the shape and type of a tensor."""
        self._sizes[array] = like.numel()
        return _whole(array, like.dtype, like.shape)

    def elements(self, x: Elements | Tensor) -> Elements:
        """Return a tensor in C++, written if it is known."""
        return self._constant(x) if isinstance(x, Tensor) else x

    def run_node(self, n: Node) -> Any:  # noqa: ANN401 - whatever a node makes
        """Write what an operation does; one of constants is done here.

        Raises:
            UnsupportedError: there is no C++ for it.
        """
        if n.op != "call_function":
            return super().run_node(n)
        target: Any = n.target
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        if not any(isinstance(leaf, Elements) for leaf in tree_leaves((args, kwargs))):
            return target(*args, **kwargs)
        if target is operator.getitem:
            return args[0][args[1]]
        name = str(target).split(".")[1]
        if name.startswith("_assert"):
            return None
        if name in FILLS:
            return target(torch.zeros(args[0].places.shape), *args[1:], **kwargs)
        if any(isinstance(place, Elements) for place in _places(target, args)):
            return self._looked_up(n, *args)
        return self._written.get(name, self._expressed)(n, *args, **kwargs)

    def _new(self, dtype: torch.dtype, shape: Sequence[int]) -> Elements:
        """Declare an array for a tensor, unless it has no number at all."""
        name, n = f"v{next(self._numbers)}", math.prod(shape)
        self._sizes[name] = n
        self.stack += n * dtype.itemsize
        if n:
            self.lines.append(f"{TYPES[dtype]} {name}[{n}];")
        return _whole(name, dtype, shape)

    def _constant(self, values: Tensor) -> Elements:
        """Return numbers that are known, each array of which is written once."""
        flat = values.contiguous().flatten()
        key = (flat.dtype, flat.numpy().tobytes())
        if key not in self._known:
            name = self._known[key] = f"c{next(self._numbers)}"
            self._sizes[name] = len(flat)
            listed = [_literal(value, flat.dtype) for value in flat.tolist()]
            lines = [", ".join(listed[i : i + 8]) for i in range(0, len(listed), 8)]
            self.constants.append(
                f"inline constexpr {TYPES[flat.dtype]} {name}[] = {{\n  "
                + ",\n  ".join(lines)
                + "};"
            )
        return _whole(self._known[key], flat.dtype, values.shape)

    def _contiguous(self, x: Elements | Tensor) -> Elements:
        """Return the numbers in an array of their own, one after the other."""
        x = self.elements(x)
        if torch.equal(x.places.flatten(), torch.arange(self._sizes[x.array])):
            return x
        return self._each("{0}", (x,), x.dtype, x.places.shape)

    def _each(
        self, expression: str, args: Sequence[object], dtype: torch.dtype, shape: torch.Size
    ) -> Elements:
        """Write an expression of each number of operands that are broadcast to a shape."""
        if not shape.numel():
            return self._new(dtype, shape)
        computed = dtype
        if dtype == torch.bool:  # numbers are compared as they are
            tensors = [a.dtype for a in args if isinstance(a, Elements | Tensor)]
            computed = reduce(torch.promote_types, tensors)
            if any(isinstance(a, float) for a in args):
                computed = torch.promote_types(computed, torch.float32)
        operands = [self._operand(a, shape, computed) for a in args]
        made = self._new(dtype, shape)
        self._assign(made, expression.format(*operands, t=TYPES[computed]))
        self.helpers |= {name for name in HELPERS if expression.startswith(f"{name}(")}
        return made

    def _assign(self, made: Elements, expression: str) -> None:
        """Write the number i of some places of an array."""
        target = self.at(made.array, made.places.flatten())
        self.lines.append(_repeated(made.places.numel(), f"{target} = {expression};"))

    def _operand(self, x: object, shape: torch.Size, dtype: torch.dtype) -> str:
        """Return the expression of the number i of an operand that is broadcast to a shape."""
        if isinstance(x, Tensor):
            first = x.flatten()[0]
            x = first.item() if (x == first).all() else self.elements(x)
        if not isinstance(x, Elements):
            assert isinstance(x, bool | int | float)
            literal = _literal(x, dtype)
            real = dtype.is_floating_point or dtype == torch.bool
            return literal if real else f"{TYPES[dtype]}({literal})"  # else it would be an int
        at = self.at(x.array, x.places.expand(shape).flatten())
        return at if x.dtype in (dtype, torch.bool) else f"{TYPES[dtype]}({at})"

    def at(self, array: str, places: Tensor) -> str:
        """Return the expression of the number i of those at these places (n,)."""
        first, steps = int(places[0]), np.unique(np.diff(places.numpy())).tolist()
        if steps in ([], [0]):
            return f"{array}[{first}]"
        if len(steps) == 1:
            scaled = "i" if steps == [1] else f"{steps[0]} * i"
            return f"{array}[{scaled} + {first}]" if first else f"{array}[{scaled}]"
        return f"{array}[{self._constant(places.int()).array}[i]]"

    def _expressed(self, node: Node, *args: object, **options: object) -> Elements:
        name, out = str(node.target).split(".")[1], node.meta["val"]
        plain = options.get("alpha", 1) == 1 and not {"rounding_mode", "decimals"} & set(options)
        if name not in EXPRESSIONS or not plain:
            raise UnsupportedError(str(node.target))
        if out.dtype == torch.bool:
            name = {"mul": "logical_and", "add": "logical_or"}.get(name, name)
        if name == "pow" and args[1] == 2:
            return self._each("{0} * {0}", args[:1], out.dtype, out.shape)
        return self._each(EXPRESSIONS[name], args, out.dtype, out.shape)

    def _moved(self, node: Node, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - one or several
        """Return numbers at other places: those of one array, or a new one of several."""
        target: Any = node.target
        told = [id(place) for place in _places(target, args)]
        sources: list[Elements] = []
        starts = [0]

        def numbered(x: object) -> object:
            if id(x) in told or not isinstance(x, Elements | Tensor):
                return x
            source = self.elements(x)
            sources.append(source)
            starts.append(starts[-1] + self._sizes[source.array])
            return source.places + starts[-2]

        moved, beyond = tree_map(numbered, args), 0.0
        if target is torch.ops.aten.constant_pad_nd.default:
            moved, beyond = [*moved[:2], -1], args[2] if len(args) > 2 else 0.0
        found, out = target(*moved, **options), node.meta["val"]
        if isinstance(found, Tensor):
            return self._joined(found, out.dtype, sources, starts, beyond)
        return [
            self._joined(places, own.dtype, sources, starts, beyond)
            for places, own in zip(found, out, strict=True)
        ]

    def _joined(
        self,
        places: Tensor,
        dtype: torch.dtype,
        sources: Sequence[Elements],
        starts: Sequence[int],
        beyond: float,
    ) -> Elements:
        """Return numbers at places of arrays that begin at `starts`; -1 is what lies `beyond`."""
        places = places.contiguous()  # so that all views of it are possible
        flat = places.flatten()
        owner = torch.bucketize(flat, torch.tensor(starts), right=True) - 1
        owners = np.unique(owner.numpy()).tolist()
        if len(owners) == 1 and owners[0] >= 0 and sources[owners[0]].dtype == dtype:
            return Elements(sources[owners[0]].array, dtype, places - starts[owners[0]])
        made = self._new(dtype, places.shape)
        for k in owners:
            there = (owner == k).nonzero()[:, 0]
            value = (
                _literal(beyond, dtype)
                if k < 0
                else self.at(sources[k].array, flat[there] - starts[k])
            )
            self._assign(replace(made, places=there), value)
        return made

    def _looked_up(self, node: Node, x: Elements | Tensor, *args: Any) -> Elements:  # noqa: ANN401
        """Write what is taken from places that are computed."""
        out = node.meta["val"]
        shape = x.shape if isinstance(x, Tensor) else x.places.shape
        whole = torch.arange(math.prod(shape)).view(shape)
        if node.target is torch.ops.aten.gather.default:
            dim, index = args[0] % len(shape), args[1]
            begun = torch.gather(whole, dim, torch.zeros(out.shape, dtype=torch.int64))
        elif node.target is torch.ops.aten.index.Tensor and len(args[0]) == 1:
            dim, [index] = 0, args[0]
            begun = whole[torch.zeros(index.places.shape, dtype=torch.int64)]
            index = replace(
                index, places=index.places.view(*index.places.shape, *[1] * (len(shape) - 1))
            )
        else:
            raise UnsupportedError(f"{node.target} at several places that are computed")
        source, step = self._contiguous(x), math.prod(shape[dim + 1 :])
        place = self._operand(index, out.shape, torch.int64)
        first = self._operand(begun, out.shape, torch.int64)
        made = self._new(out.dtype, out.shape)
        self._assign(made, f"{source.array}[{first} + {step} * {place}]")
        return made

    def _clamped(self, node: Node, x: object, low: object = None, high: object = None) -> object:
        out = node.meta["val"]
        for function, end in (("max", low), ("min", high)):
            if end is not None:
                x = self._each(f"std::{function}({{0}}, {{1}})", (x, end), out.dtype, out.shape)
        return x

    def _product(self, node: Node, *args: Any) -> Elements:  # noqa: ANN401 - tensors
        """Write a matrix product; its innermost loop runs along rows of weights."""
        *bias, a, b = args
        out, a, b = node.meta["val"], self._contiguous(a), self._contiguous(b)
        (rows, inner), width = a.places.shape, b.places.shape[1]
        begun = self._operand(bias[0] if bias else 0.0, out.shape, out.dtype)
        made = self._new(out.dtype, out.shape)
        self._assign(made, begun)
        self.lines.append(
            f"for (int r = 0; r < {rows}; ++r) for (int k = 0; k < {inner}; ++k) "
            f"for (int j = 0; j < {width}; ++j) {made.array}[r * {width} + j] += "
            f"{a.array}[r * {inner} + k] * {b.array}[k * {width} + j];"
        )
        return made

    def _searched(
        self, node: Node, edges: object, x: Elements, *, right: bool = False, side: str = "left"
    ) -> Elements:
        if not isinstance(edges, Tensor) or edges.ndim > 1:
            raise UnsupportedError(f"{node.target} among edges that are computed")
        out, known = node.meta["val"], self._constant(edges)
        value = self._operand(x, out.shape, edges.dtype)
        above = _literal(right or side == "right", torch.bool)
        made = self._new(out.dtype, out.shape)
        self._assign(made, f"position({known.array}, {len(edges)}, {value}, {above})")
        self.helpers.add("position")
        return made

    def _rows(self, x: Elements, dims: Sequence[int], dtype: torch.dtype) -> tuple[str, int]:
        """Return an array of numbers with some axes last, and how many numbers these have."""
        ndim = x.places.ndim
        last = sorted(d % ndim for d in dims) or list(range(ndim))
        order = [d for d in range(ndim) if d not in last] + last
        moved = Elements(x.array, x.dtype, x.places.permute(order))
        if x.dtype != dtype:
            moved = self._each("{0}", (moved,), dtype, moved.places.shape)
        return self._contiguous(moved).array, math.prod(x.places.shape[d] for d in last)

    def _reduced(
        self,
        node: Node,
        x: Elements,
        dims: Sequence[int] | int | None = (),
        *_: object,
        **__: object,
    ) -> Elements:
        """Write one number of each row; whether its axes stay is in the node's shape."""
        name, out = str(node.target).split(".")[1], node.meta["val"]
        dtype = out.dtype if name in ("sum", "mean", "prod") else x.dtype
        rows, length = self._rows(x, [dims] if isinstance(dims, int) else dims or [], dtype)
        made = self._new(out.dtype, out.shape)
        self._assign(made, f"row_{name}({rows} + {length} * i, {length})")
        self.helpers.add(f"row_{name}")
        return made

    def _by_row(self, node: Node, x: Elements, dim: int, *_: object, **__: object) -> Elements:
        """Write as many numbers of each row along an axis."""
        name, out = str(node.target).split(".")[1], node.meta["val"]
        rows, length = self._rows(x, [dim], out.dtype)
        shape = list(out.shape)
        shape.append(shape.pop(dim))
        made = self._new(out.dtype, shape)
        self.lines.append(
            f"for (int i = 0; i < {out.numel() // length}; ++i) "
            f"row_{name}({rows} + {length} * i, {made.array} + {length} * i, {length});"
        )
        self.helpers.add(f"row_{name}")
        return replace(made, places=made.places.movedim(-1, dim))

    def _sorted(
        self, node: Node, x: Elements, *, stable: bool, dim: int = -1, descending: bool = False
    ) -> list[Elements]:
        """Write which numbers along an axis come first, and these numbers if they are used."""
        out, _ = node.meta["val"]
        rows, length = self._rows(x, [dim], x.dtype)
        shape = list(out.shape)
        shape.append(shape.pop(dim))
        order = self._new(torch.int64, shape)
        down = _literal(descending, torch.bool)
        self.lines.append(
            f"for (int i = 0; i < {out.numel() // length}; ++i) "
            f"row_order({rows} + {length} * i, {order.array} + {length} * i, {length}, {down});"
        )
        self.helpers.add("row_order")
        values = order
        if any(user.args[1] == 0 for user in node.users):
            values = self._new(x.dtype, shape)
            self._assign(values, f"{rows}[i / {length} * {length} + {order.array}[i]]")
        return [replace(made, places=made.places.movedim(-1, dim)) for made in (values, order)]


def header(generation: Generation) -> bytes:
    """Return a header with a generator of one event at a time.

    Raises:
        CheckpointError: an operation has no C++ here, or arrays would not fit on a stack; or see
            `Generation.traced`.
    """
    card = generation.card
    program = generation.traced(events=1).run_decompositions()
    writer = Writer(program.module(check_guards=False))
    arrays = map(writer.given, ("noise.data()", "asked"), generation.example(1))
    try:
        made = writer.run(*arrays)
    except UnsupportedError as error:
        operation, *_ = str(error).splitlines()  # PyTorch adds where it was
        raise CheckpointError(
            f"{generation.uri}: its model or its steps need {operation}, for which there is no C++ "
            "here; export it --to onnx or torchscript, or train a student of it"
        ) from None
    if writer.stack > MOST_STACK:
        raise CheckpointError(
            f"{generation.uri}: an event needs {writer.stack / 2**20:.1f} MiB of arrays, more than "
            f"the {MOST_STACK >> 20} MiB that a thread is asked for; export it --to onnx or "
            "torchscript"
        )
    fields = {field.name: field for field in card.fields}
    members: list[Member] = []
    lines: list[str] = []
    for name, known in made.items():
        value = writer.elements(known)
        kind, n = TYPES[value.dtype], value.places.numel()
        shaped = value.places.ndim > 1
        if shaped:
            kind = f"std::array<{kind}, {n}>"
        field = fields.get(name)
        members.append(
            _told(kind, field) if field else Member(kind, name, "1", "how many there are")
        )
        target = f"event.{_member(name)}" + (("[i]" if n > 1 else "[0]") if shaped else "")
        lines.append(_repeated(n, f"{target} = {writer.at(value.array, value.places.flatten())};"))
    given = [_told("double", field) for field in card.conditions]
    if given:
        asked = ", ".join(f"conditions.{_member(field.name)}" for field in card.conditions)
        writer.lines.insert(0, f"const double asked[] = {{{asked}}};")
    noise = [i in card.noise.uniform for i in range(card.noise.width)]
    text = TEMPLATE.substitute(
        name=card.name,
        dataset=card.dataset,
        version=card.mleg_ray,
        checkpoint=card.checkpoint_digest,
        space=re.sub(r"\W", "_", f"_{card.name}" if card.name[0].isdigit() else card.name),
        card=card.model_dump_json(indent=1),
        width=card.noise.width,
        uniform=", ".join(_literal(even, torch.bool) for even in noise),
        conditions=_struct("Conditions", given) if given else "",
        given=", const Conditions& conditions" if given else "",
        example=f", {{{', '.join('...' for _ in given)}}}" if given else "",
        event=_struct("Event", members),
        names=", ".join(f'"{member.name}"' for member in members),
        units=", ".join(f'"{member.unit}"' for member in members),
        helpers="\n".join(HELPERS[name] for name in sorted(writer.helpers)),
        constants="\n".join(writer.constants),
        lines=indent("\n".join([*writer.lines, "Event event;", *lines]), "    "),
    )
    return text.encode()


def _repeated(n: int, statement: str) -> str:
    """Return a statement of a number i, for n of them; one alone mostly has no i."""
    alone = n == 1 and not re.search(r"\bi\b", statement)
    return statement if alone else f"for (int i = 0; i < {n}; ++i) {statement}"


class Member(NamedTuple):
    """One of a struct: its type, the field that it is, and what that means."""

    kind: str
    name: str
    unit: str
    meaning: str


def _told(kind: str, field: Field) -> Member:
    return Member(kind, field.name, field.unit, " ".join(field.description.split()))


def _struct(name: str, members: Iterable[Member]) -> str:
    lines = [
        f"  {one.kind} {_member(one.name)};  // {', '.join(filter(None, (one.unit, one.meaning)))}"
        for one in members
    ]
    return "\n".join([f"struct {name} {{", *lines, "};"])


def _member(name: str) -> str:
    """Return what a field or condition is called in C++: `electron_px` of "electron.px"."""
    plain = name.replace(".", "_")
    return f"{plain}_" if plain in KEYWORDS.split() else plain


def _literal(value: float, dtype: torch.dtype) -> str:
    """Return a number as C++ has it, with all its digits."""
    if dtype == torch.bool:
        return "true" if value else "false"
    if not dtype.is_floating_point:
        return str(int(value))
    if not math.isfinite(value):
        limits = f"std::numeric_limits<{TYPES[dtype]}>"
        own = f"{limits}::quiet_NaN()" if math.isnan(value) else f"{limits}::infinity()"
        return f"-{own}" if value < 0 else own
    if dtype == torch.float32:
        return f"{float(str(np.float32(value)))!r}f"
    return repr(float(value))


def _whole(array: str, dtype: torch.dtype, shape: Sequence[int]) -> Elements:
    return Elements(array, dtype, torch.arange(math.prod(shape)).view(*shape))


def _places(target: Any, args: Sequence[object]) -> list[object]:  # noqa: ANN401 - an overload of ATen
    """Return the arguments of an operation that tell where others are."""
    pairs = zip(target._schema.arguments, args, strict=False)
    return tree_leaves([value for argument, value in pairs if argument.name in PLACES])
