"""Who may use the processor at the same time."""

from __future__ import annotations

import threading

from bench.campaign.turns import Turns


def test_many_share_and_one_has_it_alone() -> None:
    turns, log, lock = Turns(), [], threading.Lock()
    both = threading.Barrier(2, timeout=10)

    def sharing() -> None:
        with turns.shared():
            both.wait()  # passed only if two are inside at once
            with lock:
                log.append("shared")

    def alone(name: str) -> None:
        with turns.alone():
            with lock:
                log.append(f"{name} in")
            with lock:
                log.append(f"{name} out")

    threads = [threading.Thread(target=sharing) for _ in range(2)]
    threads += [threading.Thread(target=alone, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(log) == ["a in", "a out", "b in", "b out", "shared", "shared"]
    for name in "ab":
        assert log.index(f"{name} out") == log.index(f"{name} in") + 1


def test_whoever_wants_it_alone_comes_before_those_who_would_share_it_next() -> None:
    turns, order = Turns(), []
    inside, waiting = threading.Event(), threading.Event()

    def alone() -> None:
        waiting.set()
        with turns.alone():
            order.append("alone")

    def late() -> None:
        with turns.shared():
            order.append("late")

    with turns.shared():
        inside.set()
        first = threading.Thread(target=alone)
        first.start()
        waiting.wait(10)
        threading.Event().wait(0.2)  # until it is queued
        second = threading.Thread(target=late)
        second.start()
    first.join(10)
    second.join(10)
    assert order == ["alone", "late"]
