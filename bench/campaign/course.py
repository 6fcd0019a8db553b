"""Which trials a machine has, in their order: the planned ones, those that a goal asks for beyond them, and what was
put off."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count, groupby

from bench.campaign.adaptive import Goal
from bench.measure.order import Block
from bench.records import GoalRecord, Measurement, Trial


class Course:
    """The trials of one machine, each when its turn comes.

    `blocks` are its own, `goal` gives what is pursued for a network after its planned launches, `ended` are trials of
    an earlier attempt at the run, by their id: they are not done again. `places` numbers the trials of all machines as
    they begin. `further` is told of a block beyond the plan: its goal and its length.
    """

    def __init__(
        self, blocks: Sequence[Block], goal: Callable[[str], Goal | None], ended: Mapping[str, Measurement],
        places: count[int], further: Callable[[Goal, int], None],
    ) -> None:  # fmt: skip
        self.planned = sum(one.id not in ended for block in blocks for one in block.trials)
        """How many trials of the plan are left to do."""
        self.complete = False
        self._blocks = blocks
        self._goal = goal
        self._ended = ended
        self._places = places
        self._further = further
        self._late: deque[Trial] = deque()
        self._pursued: list[Goal] = []
        self._trials = self._in_order()

    def next(self) -> Trial | None:
        """The next trial; None when all are done."""
        one = next(self._trials, None)
        self.complete = one is None
        return one

    def begun(self, trial: Trial) -> Trial:
        """The trial with its place in the run, which it gets when it begins."""
        return trial.model_copy(update={"order": next(self._places)})

    def put_off(self, trial: Trial) -> None:
        """Do it again when all others are done."""
        self._late.append(trial)

    def tell(self, measured: Measurement) -> None:
        """A trial has ended."""
        if measured.trial.pass_ == "latency":
            for goal in self._pursued:
                if goal.model == measured.trial.subject.model:
                    goal.add(measured)

    def goals(self) -> list[GoalRecord]:
        """What came of all goals so far."""
        return [record for goal in self._pursued for record in goal.records()]

    def _in_order(self) -> Iterator[Trial]:
        for (model, pass_), blocks in groupby(self._blocks, key=lambda block: (block.model, block.pass_)):
            goal = self._goal(model) if pass_ == "latency" else None
            if goal:
                self._pursued.append(goal)
            for block in blocks:
                yield from self._left(block.trials)
            while goal and (trials := goal.block()):
                left = tuple(self._left(trials))
                if left:
                    self._further(goal, len(left))
                yield from left
        while self._late:
            yield self._late.popleft()

    def _left(self, trials: Sequence[Trial]) -> Iterator[Trial]:
        for one in trials:
            if one.id in self._ended:
                self.tell(self._ended[one.id])
            else:
                yield one
