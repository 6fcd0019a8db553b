"""What `forward` does that a recording of it does not hold: it reads values, draws random numbers, keeps a state."""

from __future__ import annotations

import itertools
import linecache
import random
import re
import sys
import sysconfig
import threading
import time
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import CodeType
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import nn
from torch._ops import HigherOrderOperator
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_TORCH = str(Path(torch.__file__).parent)
_BENCH = str(Path(__file__).parent)
_PYTHON = sysconfig.get_path("stdlib")
_READERS = frozenset(
    {
        *("numpy", "__array__", "tolist", "item", "__bool__", "__int__", "__index__", "__float__", "__complex__"),
        *("__dlpack__", "data_ptr", "storage", "untyped_storage", "__repr__", "__reduce_ex__", "__deepcopy__"),
    }
)
"""Methods of a tensor that hand its values to something that is not torch."""
_CONSTRUCTORS = frozenset({"tensor", "as_tensor", "asarray", "new_tensor", "scalar_tensor", "sparse_coo_tensor"})
"""Functions whose result is a constant for a recording, even where they are given tensors."""
_IDENTITIES = frozenset({"as_tensor", "asarray"})
"""Those of them that give back a tensor as it is."""
_OUTSIDE: Mapping[tuple[Any, str], str] = {
    (threading.Thread, "start"): "a thread is started, which a recording does not follow",
    (torch, "get_num_threads"): "the number of threads is asked for",
    **{
        (time, name): "the clock is asked"
        for name in ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns")
    },
}
"""What else an answer must not follow from, and what to say of a forward that calls it."""
SCRIPT_LINE = re.compile(r'File "(.+)", line (\d+)')
"""How TorchScript writes a place in the source."""


class Watch:
    """Watches runs of a network, one after the other.

    `reason` says what made a value of an input a value of Python, `drawn` where a random number was drawn, `changed`
    where an input was changed in place; each is empty when that did not happen. `place` is the user's line of `reason`.
    """

    def __init__(self) -> None:
        self.reason = self.place = self.drawn = self.changed = ""
        self._known: dict[int, Any] = {}
        self._given: Collection[int] = ()
        self._outermost: CodeType | None = None

    @contextmanager
    def run(self, inputs: Sequence[torch.Tensor], outermost: CodeType) -> Iterator[None]:
        """Watch one run with these inputs. `outermost` is the function below which the user's lines are."""
        self._known, self._outermost = {}, outermost
        self.add(inputs)
        self._given = frozenset(self._known)

        before = _random_states()
        with ExitStack() as stack:
            for (owner, name), reason in _OUTSIDE.items():
                stack.enter_context(mock.patch.object(owner, name, self._guarded(getattr(owner, name), reason)))
            stack.enter_context(_Functions(self))
            stack.enter_context(_Operators(self))
            yield
        if not self.drawn and any(a != b for a, b in zip(before, _random_states(), strict=True)):
            self.drawn = "by Python's random or NumPy"

    def _guarded(self, function: Callable[..., Any], reason: str) -> Callable[..., Any]:
        """The function, which refuses calls from the user's lines, but not those of other threads and of libraries."""
        watched = threading.get_ident()

        def guarded(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() == watched and is_users(sys._getframe(1).f_code.co_filename):
                self.refuse(reason)
            return function(*args, **kwargs)

        return guarded

    def add(self, found: object) -> None:
        """Note that these tensors follow from the inputs. Their memory is kept, so that no other gets its address."""
        for leaf in tree_leaves(found):
            if (storage := _storage(leaf)) is not None and storage.data_ptr():
                self._known[storage.data_ptr()] = storage

    def depends(self, arguments: object) -> bool:
        """Whether one of the tensors in `arguments` follows from the inputs."""
        return any(_address(leaf) in self._known for leaf in tree_leaves(arguments))

    def is_input(self, tensor: object) -> bool:
        return _address(tensor) in self._given

    def refuse(self, reason: str) -> None:
        """End the run. The reason is kept, since the user's own `except` may catch what is raised here, and
        TorchScript's interpreter turns it into another error."""
        if not self.reason:
            self.reason, self.place = reason, self.here()
        raise _Refused

    def here(self) -> str:
        """The user's line that is being run."""
        frames = itertools.takewhile(lambda pair: pair[0].f_code is not self._outermost, traceback.walk_stack(None))
        return _innermost([(frame.f_code.co_filename, number) for frame, number in frames])


class _Refused(Exception):
    """Ends a run."""


def _storage(leaf: object) -> torch.UntypedStorage | None:
    """A tensor's memory; None for what has none that could be shared."""
    if not isinstance(leaf, torch.Tensor) or leaf.layout is not torch.strided or leaf.is_meta:
        return None
    with torch._C.DisableTorchFunction(), torch._C._DisableTorchDispatch():  # so that this does not count as reading
        return leaf.untyped_storage()


def _address(leaf: object) -> int:
    """Of a tensor's memory, even where that has two storages (through DLPack); 0 for what has none."""
    storage = _storage(leaf)
    return storage.data_ptr() if storage is not None else 0


def _random_states() -> tuple[object, ...]:
    _, keys, position, *_ = np.random.get_state(legacy=True)
    return random.getstate(), (np.asarray(keys).tobytes(), position)


class _Operators(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows what depends on the inputs through all operators."""

    supports_higher_order_operators = True

    def __init__(self, watch: Watch) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.watch = watch

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, watch = kwargs or {}, self.watch
        if isinstance(func, HigherOrderOperator):
            watch.refuse(f"torch.{func._name}, of which a recording holds one branch")
        depends = watch.depends((args, kwargs))
        if depends and _reads_values(func, args):
            name = func._schema.name.removeprefix("aten::")
            watch.refuse("a tensor's value becomes a Python value" if name == "_local_scalar_dense" else name)
        written = _written(func, args, kwargs)
        if not watch.changed and any(map(watch.is_input, tree_leaves(written))):
            watch.changed = watch.here() or func._schema.name
        result = self._random(func, args, kwargs) if _may_draw(func) else func(*args, **kwargs)
        if depends:
            if any(isinstance(leaf, torch.Tensor) and leaf.layout is not torch.strided for leaf in tree_leaves(result)):
                watch.refuse("a sparse tensor holds what is not 0")
            watch.add((result, written))
        return result

    def _random(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Attention and recurrent layers can draw, but do not without dropout."""
        before = torch.get_rng_state()
        result = func(*args, **kwargs)
        if kwargs.get("generator") is not None or not torch.equal(before, torch.get_rng_state()):
            self.watch.drawn = self.watch.drawn or f"at {self.watch.here()}"
        return result


def _may_draw(operator: Any) -> bool:
    return torch.Tag.nondeterministic_seeded in operator.tags


def _reads_values(operator: Any, arguments: Sequence[Any]) -> bool:
    if operator is torch.ops.aten.index.Tensor:  # of a size that follows from values only for a mask
        return any(place is not None and place.dtype in (torch.bool, torch.uint8) for place in arguments[1])
    tags = operator.tags
    return torch.Tag.data_dependent_output in tags or torch.Tag.dynamic_output_shape in tags


def _written(operator: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
    """The arguments that an operator changes."""
    declared = operator._schema.arguments
    if not operator._schema.is_mutable:
        return []
    given = dict(zip((each.name for each in declared), args, strict=False)) | dict(kwargs)
    return [given[e.name] for e in declared if e.alias_info and e.alias_info.is_write and e.name in given]


class _Functions(TorchFunctionMode):
    """Sees what hands a tensor's values to something else, which no operator does."""

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self.watch = watch

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, name = kwargs or {}, getattr(func, "__name__", "")
        if func is torch.nn.functional.one_hot:  # which looks only whether the values are allowed
            with torch._C._DisableTorchDispatch():
                return func(*args, **kwargs)
        if name in _READERS and self.watch.depends(args[:1]):
            self.watch.refuse(f"{name} reads a tensor's values")
        if name in _CONSTRUCTORS:
            values = args[1:] if func is torch.Tensor.new_tensor else args
            same = name in _IDENTITIES and bool(values) and isinstance(values[0], torch.Tensor)
            if not same and self.watch.depends((values, kwargs)):
                self.watch.refuse(f"{name} makes a constant of a tensor's values")
        return func(*args, **kwargs)


class State:
    """What a network knows besides its structure: parameters and buffers, and plain values among its attributes.

    Tensors among the attributes are left out: networks keep results there for others to see.
    """

    def __init__(self, network: nn.Module) -> None:
        named = (*network.named_parameters(), *network.named_buffers())
        self._tensors = {name: (tensor, tensor._version) for name, tensor in named}
        self._plain = {
            f"{prefix}.{name}".lstrip("."): plain
            for prefix, module in network.named_modules()
            for name, value in vars(module).items()
            if (plain := _plain(value)) is not None
        }

    def changed(self, later: State) -> str:
        """The name of something that is not as it was; empty if all is."""
        for name in self._plain.keys() | later._plain.keys():
            if self._plain.get(name) != later._plain.get(name):
                return name
        for name in self._tensors.keys() | later._tensors.keys():
            if name not in self._tensors or name not in later._tensors:
                return name
            (before, old), (after, new) = self._tensors[name], later._tensors[name]
            if (before is after and old != new) or (before is not after and not torch.equal(before, after)):
                return name
        return ""


def _plain(value: object) -> object:
    """What is compared of an attribute: itself, or how many things it holds; None for what is not compared."""
    match value:
        case bool() | int() | float() | str():
            return value
        case list() | dict() | set():
            return len(value)
    return None


def raised_at(error: BaseException) -> str:
    """The user's line at which `error` was raised: `net.py:12: return x / x.max().item()`.

    It is the innermost one that `is_users`; empty when there is none.
    """
    places = [(frame.f_code.co_filename, number) for frame, number in traceback.walk_tb(error.__traceback__)]
    places += [(file, int(number)) for file, number in SCRIPT_LINE.findall(str(error))]
    return _innermost(places[::-1])


def _innermost(places: Sequence[tuple[str, int]]) -> str:
    return next((line(*place) for place in places if is_users(place[0])), "")


def is_users(file: str) -> bool:
    """Whether a source file belongs neither to Python, nor to torch, nor to the exporter."""
    return not file.startswith((_TORCH, _BENCH, "<")) and (not file.startswith(_PYTHON) or "site-packages" in file)


def line(file: str, number: int) -> str:
    """A line of source code with its place."""
    return f"{Path(file).name}:{number}: {linecache.getline(file, number).strip()[:200]}".rstrip(": ")
