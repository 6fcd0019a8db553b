"""Networks that are the user's own Python: `net.py:build` or `package.module:function`.

This is the only place where Python of the user's choice is run.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import importlib.util
import inspect
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from bench.errors import UsageError
from bench.guest import FOLDERS, Left, guest
from bench.networks.network import Network

_REFERENCE = re.compile(r"(?P<place>.+):(?P<name>[^\W\d]\w*(\.[^\W\d]\w*)*)")
_folders: list[Path] = []
"""Where the user's modules of this process came from, so that two folders with modules of one name are noticed."""


@dataclass(frozen=True)
class Function:
    """Something of the user's that makes a network. `reference` names it in messages; `place` is the file that it is
    in; `sources` are that file and every module of the same package or folder that it has imported so far."""

    reference: str
    place: Path
    root: Path
    call: Callable[[], object]

    def __call__(self) -> Any:
        """What the user's function returns. Raises UsageError, with file and line, when it fails."""
        with _importable(self.root), _told(self.reference, self.root):
            return self.call()

    @property
    def sources(self) -> tuple[Path, ...]:
        return tuple(dict.fromkeys((self.place, *_own_modules(self.root))))


def is_reference(text: str) -> bool:
    """Whether it has the form of a place and a function in it."""
    return _REFERENCE.fullmatch(text) is not None


def load(reference: str, arguments: Mapping[str, Any]) -> Function:
    """The function that `reference` names, with its arguments. Runs the user's module.

    Raises UsageError: no such file, module or function; the module fails; the arguments do not suit it.
    """
    match = _REFERENCE.fullmatch(reference)
    assert match is not None
    place, name = match["place"], match["name"]
    is_file = place.endswith(".py") or "/" in place
    module = _file(Path(place), reference) if is_file else _module(place, reference)
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            names = sorted(n for n in vars(module) if callable(getattr(module, n)) and not n.startswith("_"))
            raise UsageError(f"{place} has no {name!r}", f"It has {', '.join(names[:12]) or 'no functions'}.")
        found = getattr(found, part)
    path = Path(module.__file__ or place).resolve()
    return Function(reference, path, _root(path, "" if is_file else place), _bound(found, arguments, reference))


def _bound(found: Any, arguments: Mapping[str, Any], reference: str) -> Callable[[], object]:
    if isinstance(found, Network):
        return lambda: found
    if not callable(found):
        raise UsageError(f"{reference} is a {type(found).__name__}, not a function", "Name a function or a class.")
    import torch

    if isinstance(found, torch.nn.Module):
        if arguments:
            raise UsageError(f"{reference} is a module already and takes no arguments", "Leave the arguments out.")
        return lambda: copy.deepcopy(found)
    check_arguments(found, arguments, reference)
    return lambda: found(**arguments)


def check_arguments(function: Callable[..., Any], arguments: Mapping[str, Any], reference: str) -> None:
    """Raises UsageError unless `function`, which messages call `reference`, takes these arguments."""
    try:
        signature = inspect.signature(function)
    except ValueError:  # of functions that do not tell what they take
        return
    try:
        signature.bind(**arguments)
    except TypeError as error:
        plain = (str(p.replace(annotation=inspect.Parameter.empty)) for p in signature.parameters.values())
        raise UsageError(
            f"{reference} takes ({', '.join(plain)}): {error}",
            "Give its arguments in a plan, as [cases.arguments], or name a function that needs none.",
        ) from None


def _file(path: Path, reference: str) -> ModuleType:
    if not path.is_file():
        raise UsageError(f"there is no file {path}", f"Check the path in {reference}.")
    path = path.resolve()
    _check_names(path.parent)
    name = f"_bench_{path.stem}_{abs(hash(path)):x}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} is not a Python file", "Name a file that ends in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # as import does it: dataclasses and pickles look the module up
    try:
        with _importable(path.parent), _told(reference, path.parent):
            spec.loader.exec_module(module)
    except UsageError:
        del sys.modules[name]
        raise
    return module


def _module(name: str, reference: str) -> ModuleType:
    here = Path.cwd()
    with _importable(here), _told(reference, here):
        return importlib.import_module(name)


def _root(path: Path, module: str) -> Path:
    """The folder whose files count as the user's own: that of a file; of a module, its top-level package."""
    if not module:
        return path.parent
    top = sys.modules[module.partition(".")[0]]
    return Path(top.__file__).resolve().parent if top.__file__ and hasattr(top, "__path__") else path.parent


def _own_modules(root: Path) -> Iterator[Path]:
    """The files of what has been imported from below a folder, other than installed packages."""
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and file.startswith(f"{root}/") and file.endswith(".py"):
            path = Path(file)
            if "site-packages" not in path.relative_to(root).parts:
                yield path


def _check_names(folder: Path) -> None:
    """Python knows one module of a name in a process: the second folder would get the first one's."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        others = (f"{other}/" for other in _folders if other != folder)
        if file.startswith(tuple(others)) and not file.startswith(f"{folder}/"):
            for twin in (folder / f"{name}.py", folder / name / "__init__.py"):
                if twin.is_file():
                    raise UsageError(f"{file} and {twin} are two modules with one name", "Measure them in two runs.")
    if folder not in _folders:
        _folders.append(folder)
        FOLDERS.append(str(folder))


@contextlib.contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """The folder's modules can be imported, as for a program in it; what they print does not mix with results."""
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        with guest():
            yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(str(folder))


@contextlib.contextmanager
def _told(reference: str, root: Path) -> Iterator[None]:
    """Whatever the user's code raises, as a UsageError with the line that it came from."""
    try:
        yield
    except (UsageError, Left):
        raise
    except (Exception, SystemExit) as error:
        if isinstance(error, SyntaxError) and error.filename:
            where = f"{error.filename}:{error.lineno}"
        else:
            frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).is_relative_to(root)]
            where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
        last = " ".join(traceback.format_exception_only(error)[-1].split())[:300]
        raise UsageError(
            f"{reference} fails{' at ' + where if where else ''}: {last}",
            "Run the file by itself to see more; what it imports has to be installed beside bench.",
        ) from None
