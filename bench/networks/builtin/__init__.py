"""The networks that come with bench: for each a file NAME.py, which makes it, and its card NAME.toml.

`NAME.py` has `build`, with arguments that all have defaults; `learner`, where Frequency Regularization trains another
form than the ordinary one; `twin`, where it does so through a narrower network. This module imports none of them until
a network has to be built, and torch neither.
"""

from __future__ import annotations

import importlib
import tomllib
from collections.abc import Callable, Mapping
from functools import cache
from importlib import metadata, resources
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from bench.errors import ToolMissing, UsageError
from bench.networks.network import Network, checked, parse_inputs
from bench.networks.python import check_arguments
from bench.preprocess import Preprocess
from bench.records import Record, Task, Tensor

if TYPE_CHECKING:
    from torch import nn

_HERE = Path(__file__).parent
_PRETRAINED = Path(str(resources.files("bench"))) / "pretrained"
NAMES = tuple(sorted(path.stem for path in _HERE.glob("*.toml")))


class Card(Record):
    """What a person has to know of a network, and what bench does.

    `about` says what it is and who published it; `weights` where its weights come from; `licence` is that of the
    weights where they are others' and else of this code. `input` is as `--input` has it; `side` is
    the argument of `build` that its height and width follow, where there is one. `forms` are the functions
    beside `build` that its file has. `requires` are packages that it needs, which bench's `extra` brings. The other
    fields are those of `Network`.
    """

    title: str
    about: str
    weights: str
    licence: str
    task: Task
    data: Literal["digits", "vehicles", "photos", "enlarged"]
    input: str
    side: str = ""
    smallest: int | None = None
    coefficients: int | None = None
    trained: bool = False
    learns: bool = False
    forms: tuple[Literal["learner", "twin"], ...] = ()
    requires: tuple[str, ...] = ()
    extra: str = ""
    preprocess: Preprocess | None = None


@cache
def card(name: str) -> Card:
    """The card of the network of that name, which is one of `NAMES`."""
    return Card.model_validate(tomllib.loads((_HERE / f"{name}.toml").read_text(encoding="utf-8")))


def network(name: str, arguments: Mapping[str, Any]) -> Network:
    """The network of that name, which is one of `NAMES`; with `arguments` of its `build`, another size of it.

    Raises UsageError (arguments) and ToolMissing (a package that it needs).
    """
    facts = card(name)
    shipped = None if arguments else _shipped(name)
    if arguments:
        check_arguments(_module(name).build, arguments, name)
    sources: list[Path | str | bytes] = [
        name,  # else two networks of one input, and of one data, have one key and are each other's artifact
        repr(sorted(arguments.items())),
        *_versions(name, facts),
        *sorted(_HERE.glob("*.py")),
    ]
    return Network(
        name=name,
        title=facts.title,
        inputs=_inputs(facts, arguments, name),
        task=facts.task,
        build=lambda: _built(name, arguments, shipped),
        sources=(*sources, shipped) if shipped else tuple(sources),
        trained=not arguments and (facts.trained or shipped is not None),
        learns=facts.learns,
        data=facts.data,
        preprocess=facts.preprocess,
        smallest=facts.smallest,
        coefficients=facts.coefficients,
        learner=_maker(name, "learner") if "learner" in facts.forms and not arguments else None,
        twin=_maker(name, "twin") if "twin" in facts.forms and not arguments else None,
        packages={} if arguments else _packages(name),
    )


def _inputs(facts: Card, arguments: Mapping[str, Any], name: str) -> tuple[Tensor, ...]:
    """As its card says, or of the size that the arguments make it for. Raises UsageError."""
    stated = parse_inputs(facts.input)
    if facts.side not in arguments:
        return stated
    side = arguments[facts.side]
    if not isinstance(side, int) or isinstance(side, bool):
        raise UsageError(f"{facts.side} of {name} is not a whole number: {side!r}", "Give its height in pixels.")
    shape = (stated[0].shape[0], side, side)
    return checked([stated[0].model_copy(update={"shape": shape})])


@cache
def _packages(name: str) -> Mapping[str, Path]:
    """The packages NAME.frq and NAME-….frq that come with bench, by their number of coefficients."""
    from bench.compress.frequency import package

    paths = [path for path in sorted(_PRETRAINED.glob(f"{name}*.frq")) if ".ordinary." not in path.name]
    read = {path: package.read(path.read_bytes()) for path in paths}
    return {str(found.coefficients): path for path, found in read.items() if found.name == name}


def _shipped(name: str) -> Path | None:
    """Weights of the ordinary network that come with bench, if any: NAME.ordinary.frq or .safetensors."""
    paths = (_PRETRAINED / f"{name}.ordinary.{ending}" for ending in ("frq", "safetensors"))
    return next((path for path in paths if path.is_file()), None)


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"{__name__}.{name.replace('-', '_')}")


def _maker(name: str, form: str) -> Callable[..., nn.Module]:
    def make(**arguments: Any) -> nn.Module:
        made: nn.Module = getattr(_module(name), form)(**arguments)
        return made

    return make


def _built(name: str, arguments: Mapping[str, Any], shipped: Path | None) -> nn.Module:
    network = _maker(name, "build")(**arguments)
    if shipped:
        from bench.networks.weights import load

        load(network, shipped)
    return network


def _versions(name: str, facts: Card) -> list[str]:
    """Of the packages that a network needs. Raises ToolMissing."""
    found = []
    for package in facts.requires:
        try:
            found.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            raise ToolMissing(
                f"{name} needs the package {package}, which is not installed", f"pip install 'fr-bench[{facts.extra}]'"
            ) from None
    return found
