"""What retraining with pictures from the field changed: the network before and after, on the same pictures, among them
some that neither has learnt from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from bench.compress.learner import Learner
from bench.compress.method import Method, Request

if TYPE_CHECKING:
    from torch import nn

    from bench.compress.training import Samples


@dataclass(frozen=True)
class Scored:
    """Of `pictures`, how many the network is right about `before` and `after`, and how many only one of both is."""

    pictures: int
    before: int
    after: int
    only_before: int
    only_after: int


@dataclass(frozen=True)
class Retrained:
    """`apart` are pictures of the field that nothing learnt from, `learnt` those that were added to the training,
    `test` the data's own part to test with. `before` is what the same command makes without the added pictures."""

    apart: Scored
    learnt: Scored
    test: Scored
    source: str
    notes: tuple[str, ...] = ()

    @property
    def flattery(self) -> float:
        """By how much accuracy on the pictures that were learnt from exceeds that on those held apart: what would have
        been claimed too much (a fraction; negative where it is less)."""
        return self.learnt.after / self.learnt.pictures - self.apart.after / self.apart.pictures

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "flattery": self.flattery}


def retrained(method: Method, before: Learner, after: Learner, package: bytes, request: Request) -> Retrained:
    """Both networks read back from their packages and compared. `package` is the one made with the added pictures.

    Raises what `method.compress` raises.
    """
    from bench.compress.result import restored

    assert after.data is not None
    assert after.data.added is not None
    field = after.data.added
    _, old = restored(method, before.network, method.compress(before, request))
    _, new = restored(method, after.network, package)
    apart, learnt, test = (_scored(old, new, part) for part in (field.apart, field.learnt, after.data.test))
    return Retrained(apart, learnt, test, field.source, field.notes)


def _scored(old: nn.Module, new: nn.Module, samples: Samples) -> Scored:
    from bench.compress import training

    before, after = (training.right(network, samples) for network in (old, new))
    return Scored(
        len(samples), int(before.sum()), int(after.sum()), int((before & ~after).sum()), int((after & ~before).sum())
    )
