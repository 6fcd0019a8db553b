"""A farm's processes: the scheduler, and a worker for each host with phones."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import dask
from distributed import Scheduler, Worker
from distributed.security import Security

from bench.errors import BenchError, NoDevice, UsageError
from bench.farm import agent as agents
from bench.farm.address import Address, is_loopback, own_address
from bench.farm.agent import Agent

PREFIX = "phone-"
"""Of the Dask resource of a phone; the rest is its serial as its adb server knows it."""
SHARE = 0.25
"""Of that resource, for one request: a launch, a look at the phone meanwhile, and what keeps the lease."""
_THREADS = 4
"""For each phone: as many requests as its resource is enough for."""
_AGAIN_S = 3.0
_SWEEP_S = 5.0
_ALONE = "127.0.0.1:0"
"""Dask's pages of itself are neither encrypted nor wanted: they have no content, and no other computer reaches them."""


def quiet() -> None:
    """Dask's own log says in ten lines what we say in one, and its pages are left empty."""
    for name in ("distributed", "distributed.scheduler", "distributed.worker", "distributed.core", "distributed.comm",
                 "distributed.client", "distributed.nanny", "tornado", "asyncio"):  # fmt: skip
        logging.getLogger(name).setLevel(logging.CRITICAL)
    dask.config.set(
        {
            "distributed.scheduler.http.routes": [],
            "distributed.worker.http.routes": [],
            # A task is a command on a phone: it is never done twice behind our back.
            "distributed.scheduler.allowed-failures": 0,
            "distributed.scheduler.work-stealing": False,
            "distributed.scheduler.worker-ttl": "60s",
            "distributed.comm.timeouts.connect": "10s",
            "distributed.comm.timeouts.tcp": "20s",
            "distributed.comm.retry.count": 0,
            "distributed.worker.profile.enabled": False,
            "distributed.admin.tick.limit": "1 hour",
            "distributed.logging": {},
        }
    )


async def scheduler(address: Address, security: Security, say: Callable[[str], None]) -> None:
    """Be the scheduler until SIGINT or SIGTERM. Raises UsageError where it cannot listen there."""
    quiet()
    try:
        async with Scheduler(
            host=address.host, port=address.port, protocol=address.scheme, security=security,
            dashboard_address=_ALONE, dashboard=False,
        ) as one:  # fmt: skip
            say(f"The scheduler listens at {one.address}")
            await _until_ended()
    except OSError as error:
        raise UsageError(f"cannot listen at {address}: {error.strerror or error}", "Choose another port.") from None


async def worker(address: Address, security: Security, agent: Agent, say: Callable[[str], None]) -> None:
    """Be this host's worker until SIGINT or SIGTERM; one that loses its scheduler comes back to it. Raises NoDevice
    where no phone is ready at the beginning."""
    quiet()
    agents.install(agent)
    ended = asyncio.create_task(_until_ended())
    sweeping = asyncio.create_task(_sweep(agent, say))
    before = ""
    try:
        serials = [one.serial for one in agent.phones() if one.state == "device"]
        if not serials:
            raise NoDevice("no phone is ready here", "`bench devices` says what is connected, `bench doctor` checks.")
        while not ended.done():
            try:
                async with _joined(address, security, agent, serials) as one:
                    say(f"{agent.name} works {', '.join(serials)} for {address}")
                    before = ""
                    finished = asyncio.create_task(one.finished())
                    await asyncio.wait({ended, finished}, return_when=asyncio.FIRST_COMPLETED)
                    finished.cancel()
                why = f"{address} went away"
            except (OSError, ValueError, RuntimeError, TimeoutError) as error:
                why = f"{address} cannot be reached: {str(error).partition(chr(10))[0] or type(error).__name__}"
            if ended.done():
                return
            agent.leases.sweep(everything=True)
            if why != before:
                say(f"{why}; trying again every {_AGAIN_S:g} s")
            before = why
            await asyncio.wait({ended}, timeout=_AGAIN_S)
            with contextlib.suppress(BenchError):  # the phones of before are as good as none
                serials = [one.serial for one in agent.phones() if one.state == "device"] or serials
    finally:
        ended.cancel()
        sweeping.cancel()
        agent.close()


@asynccontextmanager
async def _joined(address: Address, security: Security, agent: Agent, serials: list[str]) -> AsyncIterator[Worker]:
    with tempfile.TemporaryDirectory(prefix="bench-farm-") as folder:
        one = Worker(
            str(address), nthreads=_THREADS * len(serials), resources={f"{PREFIX}{serial}": 1 for serial in serials},
            security=security, host=own_address(address), protocol=address.scheme, local_directory=str(Path(folder)),
            memory_limit=0, dashboard_address=_ALONE, dashboard=False, death_timeout=20,
        )  # fmt: skip
        assert address.scheme == "tls" or is_loopback(own_address(address))
        try:
            await one
            yield one
        finally:
            with contextlib.suppress(Exception):  # it may have closed itself
                await one.close(timeout=2)


async def _sweep(agent: Agent, say: Callable[[str], None]) -> None:
    while True:
        await asyncio.sleep(_SWEEP_S)
        for serial in agent.leases.sweep():
            say(f"{serial} is free again: its coordinator is not heard of any more")


async def _until_ended() -> None:
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, over.set)
    await over.wait()
