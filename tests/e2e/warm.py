"""`bench` in processes that a server forks, which has imported torch and the rest once: a test that starts and kills
ten of them waits for none of their imports."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

IMPORTED = ["bench.cli.main", "bench.campaign.session", "bench.analyse.noise", "torch", "matplotlib.pyplot"]


def start(arguments: Sequence[str | Path], env: Mapping[str, str], said: Path) -> BaseProcess:
    """`bench` with these arguments; what it prints is added to the file `said`."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    process = context.Process(target=_go, args=([str(one) for one in arguments], dict(env), str(said)))
    process.start()
    return process


def _go(arguments: list[str], env: dict[str, str], said: str) -> None:
    from bench.cli.main import main

    os.environ.clear()
    os.environ.update(env)
    out = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in (1, 2):
        os.dup2(out, number)
    sys.argv = ["bench", *arguments]
    main()
