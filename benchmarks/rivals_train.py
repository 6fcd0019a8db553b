"""Packages of all methods at all sizes for several seeds, made on a machine with a GPU that need not have a network.

    python -m benchmarks.rivals_train jobs JOBS.json --plan PLAN.toml --data DATA     where there are the native tools
    python -m benchmarks.rivals_train train JOBS.json OUT --data DATA --seconds 200   on the GPU
    python -m benchmarks.rivals_train plan OUT PLAN.toml --data DATA                  for `bench run --plan PLAN.toml`
    python -m benchmarks.rivals_train table OUT                                       what the seeds gave

`jobs` asks a plan's methods which bytes of a package give the files that the plan asks for. `train` makes packages by
the code of `bench compress`, most wanted first, in processes beside each other; what is done when the time is up is
kept, with how it was made and its accuracy, in `OUT/made.json`. `plan` writes a plan that measures these packages.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import multiprocessing.connection
import os
import queue
import re
import sys
import time
import traceback
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.plan import Case, Variant

if TYPE_CHECKING:
    from bench.compress.learner import Learner
    from bench.compress.method import Request
    from bench.networks import Network
    from bench.records import Progress

MANIFEST = "made.json"
ORDINARY = "baseline"
SPARE_S = 5.0
"""Before the time is up, when no further package is begun and what is done is written."""


def stage(title: str) -> Progress:
    """Nobody watches."""
    return lambda fraction, words: None


@dataclass(frozen=True)
class Job:
    """One package: a variant of a case, by its seed. `rank` orders jobs, the smallest first."""

    case: str
    variant: str
    seed: int
    rank: tuple[int, ...] = ()

    @property
    def stem(self) -> str:
        return re.sub(r"[^A-Za-z0-9._-]+", "-", f"{self.case}-{self.variant}-s{self.seed}")


# --- jobs: what to make, found where there are the tools that export ------------------------------------------------


def jobs(plan_file: Path, data: Path, out: Path) -> None:
    from bench import plan
    from bench.cache import Cache
    from bench.campaign import asked
    from bench.campaign.changes import Changes, changed
    from bench.errors import BenchError
    from bench.prepare import variant as one
    from bench.prepare.samples import samples

    cache = Cache()
    base = plan.load(plan_file)
    cases = tuple(
        changed(base.model_copy(update={"cases": (case,)}), Changes(data=data)).cases[0] for case in base.cases
    )
    wanted = asked.checked(base.model_copy(update={"cases": cases}), cache)
    told: dict[str, Any] = {"cases": {}}
    for case in wanted.plan.cases:
        network, shown = wanted.networks[case.label], samples(wanted.networks[case.label], case.data, cache)
        variants = {}
        for variant in case.variants or ():
            if variant.method is None:
                variants[variant.label] = variant.model_dump(mode="json")
                continue
            job = one.Job(
                network, case, variant, wanted.runtimes_of(case)[variant.label], shown, cache, _nothing, stage
            )
            try:
                target = job.request.target
            except BenchError as error:
                print(f"{case.label}, {variant.label}: {error.what}", flush=True)
                continue
            except Exception as error:  # of any kind: one method must not end the others
                print(f"{case.label}, {variant.label}, as asked: {error!r}", flush=True)
                target = variant.target
            variants[variant.label] = variant.model_copy(update={"target": target}).model_dump(mode="json")
            print(f"{case.label}, {variant.label}: {target}", flush=True)
        plain = case.model_copy(update={"variants": None, "data": None})
        told["cases"][case.label] = {"case": plain.model_dump(mode="json"), "variants": variants}
    out.write_text(json.dumps(told, indent=1), encoding="utf-8")


def _nothing(*_: Any) -> tuple[Any, ...]:
    raise AssertionError("a target is found without running anything")


# --- train: packages, in processes beside each other ----------------------------------------------------------------


def ordered(cases: dict[str, Any], seeds: Iterable[int]) -> list[Job]:
    """The ordinary networks of the first seed, what is made of them, then of the other seeds; cases side by side, and
    of a case the sizes in the plan's order, so that no method lacks them all when the time is up."""
    found = []
    for turn, seed in enumerate(seeds):
        for place, (label, case) in enumerate(cases.items()):
            sizes: dict[str, int] = {}
            for name, variant in case["variants"].items():
                size = name.partition(":")[2]
                first = variant["method"] is None
                step = 0 if first else 1 + sizes.setdefault(size, len(sizes))
                found.append(Job(label, name, seed, (turn, 0 if first else 1, step, place)))
    return sorted(found, key=lambda job: job.rank)


def made(job: Job, told: dict[str, Any], data: Path, out: Path) -> dict[str, Any]:
    """One package, or the weights of the ordinary network, with its accuracy. Raises what the method raises."""
    import torch

    from bench import compress, networks
    from bench.cache import Cache
    from bench.compress import training
    from bench.plan import Data
    from bench.prepare import making
    from bench.prepare.compression import learner_of
    from bench.prepare.variant import request_of

    case = Case.model_validate(told["cases"][job.case]["case"])
    variant = Variant.model_validate(told["cases"][job.case]["variants"][job.variant])
    network = networks.resolve(case.model, arguments=case.arguments, inputs=case.input, input_size=case.input_size)
    network = replace(network, learns=True)
    learner = in_memory(learner_of(network, Data(path=data), Cache(out / ".cache"), stage))
    seeded = variant.model_copy(update={"effort": variant.effort.model_copy(update={"seed": job.seed})})
    request = request_of(seeded, network)
    if variant.method is None:
        return _ordinary(job, learner, request, network, out)
    method = compress.method(variant.method)
    package, how = making.made(variant.method, method, learner, request)
    (out / f"{job.stem}{method.suffix}").write_bytes(package)
    module = method.restored(network, package, method.executions[0]).to(training.best_device())
    test = learner.needed().test
    right = training.accuracy(module, test)
    del module
    torch.cuda.empty_cache()
    how = how.model_copy(update={"shipped": variant.shipped})
    return {"file": f"{job.stem}{method.suffix}", "bytes": len(package), "accuracy": right, "made": how.model_dump()}


def in_memory(learner: Learner) -> Learner:
    """The same with all of its pictures read: sixteen processes that decode them again and again wait for nothing
    else."""
    from bench.compress.training import Images

    data = learner.needed()
    kept = replace(data, train=Images(*data.train.read()), test=Images(*data.test.read()))
    return replace(learner, data=kept)


def _ordinary(job: Job, learner: Learner, request: Request, network: Network, out: Path) -> dict[str, Any]:
    import torch

    from bench.compress import training

    module = learner.ordinary(request)
    (training_told,) = learner.trainings
    torch.save(module.state_dict(), out / f"{job.stem}.pt")
    size = (out / f"{job.stem}.pt").stat().st_size
    right = training.accuracy(module.to(training.best_device()), learner.needed().test)
    seconds, epochs = training_told.seconds, training_told.epochs
    return {"file": f"{job.stem}.pt", "bytes": size, "accuracy": right, "seconds": seconds, "epochs": epochs}


def work(asked: Any, answers: Any, told: dict[str, Any], data: Path, out: Path) -> None:
    """A process that makes one package after the other until it is told to stop."""
    import torch

    torch.set_num_threads(1)
    torch.backends.cudnn.benchmark = True
    while (job := asked.get()) is not None:
        begun = time.time()
        try:
            found = made(job, told, data, out)
        except Exception as error:  # of any kind: one package must not end the others
            text = getattr(error, "what", "") or "".join(traceback.format_exception(error))[-2000:]
            found = {"failed": text}
        answers.put((job, found | {"wall_s": time.time() - begun}))


def train(jobs_file: Path, out: Path, data: Path, seconds: float, workers: int, seeds: list[int]) -> int:
    """Returns how many packages are there."""
    until = time.time() + seconds - SPARE_S
    told = json.loads(jobs_file.read_text(encoding="utf-8"))
    out.mkdir(parents=True, exist_ok=True)
    waiting = ordered(told["cases"], seeds)
    manifest: dict[str, Any] = {"cases": {label: one["case"] for label, one in told["cases"].items()}, "made": []}
    context = multiprocessing.get_context("spawn")
    asked, answers = context.Queue(), context.Queue()
    processes = [
        context.Process(target=work, args=(asked, answers, told, data.resolve(), out.resolve()), daemon=True)
        for _ in range(workers)
    ]
    for process in processes:
        process.start()
    ready: set[tuple[str, int]] = set()
    busy = done = 0
    try:
        while (waiting or busy) and time.time() < until and any(process.is_alive() for process in processes):
            for job in [j for j in waiting if j.variant == ORDINARY or (j.case, j.seed) in ready]:
                if busy >= workers:
                    break
                waiting.remove(job)
                asked.put(job)
                busy += 1
            try:
                job, found = answers.get(timeout=min(1.0, max(0.01, until - time.time())))
            except queue.Empty:
                continue
            busy -= 1
            if job.variant == ORDINARY:
                if "failed" in found:
                    waiting = [j for j in waiting if (j.case, j.seed) != (job.case, job.seed)]
                ready.add((job.case, job.seed))
            entry = {"case": job.case, "variant": job.variant, "seed": job.seed}
            variant = told["cases"][job.case]["variants"][job.variant]
            manifest["made"].append(entry | {"plan": variant} | found)
            _write(out / MANIFEST, manifest)
            done += "file" in found
            words = found.get("failed") or f"{found['bytes']:,} B, {found['accuracy']:.1%} right"
            left = until - time.time()
            print(f"{job.stem}: {words}, {found['wall_s']:.0f} s; {len(waiting)} wait, {left:.0f} s left", flush=True)
    finally:
        for process in processes:
            process.terminate()
    manifest["left"] = [job.stem for job in waiting]
    _write(out / MANIFEST, manifest)
    print(f"{done} made, {len(waiting)} not begun, {busy} not finished", flush=True)
    return done


def _write(path: Path, value: Any) -> None:
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(value, indent=1), encoding="utf-8")
    draft.replace(path)


# --- plan: what measures the packages -------------------------------------------------------------------------------


def plan_of(out: Path, path: Path, data: Path, seeds: list[int]) -> None:
    """A case for each network and seed with its trained weights, and in it each package with how it was made."""
    manifest = json.loads((out / MANIFEST).read_text(encoding="utf-8"))
    lines = [
        "# Written by benchmarks/rivals_train.py.",
        "schema_version = 2",
        f'name = "{path.stem}"',
        'desktop = ["ncnn"]',
        "",
        "[protocol]",
        *("launches = 5", "memory_launches = 3", "warmup_iterations = 10", "warmup_seconds = 0.1"),
        *("min_iterations = 50", "min_seconds = 0.2"),
    ]
    for label, case in manifest["cases"].items():
        for seed in seeds:
            mine = [one for one in manifest["made"] if (one["case"], one["seed"]) == (label, seed) and "file" in one]
            ordinary = next((one for one in mine if one["variant"] == ORDINARY), None)
            if ordinary is None:
                continue
            name = label if len(seeds) == 1 else f"{label}-s{seed}"
            lines += ["", "[[cases]]", f"model = {_toml(case['model'])}", f"label = {_toml(name)}"]
            if case["arguments"]:
                lines.append(f"arguments = {_toml(case['arguments'])}")
            lines += [
                f"weights = {_toml(str((out / ordinary['file']).resolve()))}",
                f"data = {_toml(str(data.resolve()))}",
            ]
            lines.append("variants = [")
            lines.append('    "baseline",')
            for one in sorted(mine, key=lambda one: one["variant"]):
                if one is not ordinary:
                    lines.append(f"    {_toml(_measured(one, out))},")
            lines.append("]")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _measured(one: dict[str, Any], out: Path) -> dict[str, Any]:
    asked = one["plan"]
    return {
        "method": asked["method"],
        "execution": asked["execution"],
        "label": one["variant"],
        "weights": str((out / one["file"]).resolve()),
        "optional": True,
        "made": {key: value for key, value in one["made"].items() if value is not None},
    }


# --- table: what the seeds gave -------------------------------------------------------------------------------------


def table(out: Path) -> str:
    """Of each variant its bytes, and over its seeds the mean accuracy, the lowest and the highest, as Markdown."""
    manifest = json.loads((out / MANIFEST).read_text(encoding="utf-8"))
    rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for one in manifest["made"]:
        rows.setdefault((one["case"], one["variant"]), []).append(one)
    lines = ["| network | variant | package | accuracy | seeds | making it |", "|---|---|---:|---:|---:|---:|"]
    for (case, variant), several in sorted(rows.items()):
        good = [one for one in several if "file" in one]
        if not good:
            lines.append(f"| {case} | {variant} | – | {several[0]['failed'].splitlines()[-1]} | 0 | – |")
            continue
        right = [100 * one["accuracy"] for one in good]
        seconds = [(one.get("made") or one)["seconds"] for one in good]
        spread = f" ({min(right):.1f} to {max(right):.1f})" if len(good) > 1 else ""
        lines.append(
            f"| {case} | {variant} | {good[0]['bytes']:,} B | {sum(right) / len(right):.1f} %{spread} | {len(good)} | "
            f"{sum(seconds) / len(seconds):.0f} s |"
        )
    return "\n".join(lines)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + " }"
    return json.dumps(value)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rivals_train", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, names in (
        ("jobs", ("jobs",)),
        ("train", ("jobs", "out")),
        ("plan", ("out", "path")),
        ("table", ("out",)),
    ):
        one = verbs.add_parser(verb)
        for name in names:
            one.add_argument(name, type=Path)
        one.add_argument("--data", type=Path, required=verb != "table")
        one.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
        one.add_argument("--plan", type=Path, default=Path("benchmarks/rivals-gtsrb.toml"))
        one.add_argument("--seconds", type=float, default=200)
        one.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    match given.verb:
        case "jobs":
            jobs(given.plan, given.data, given.jobs)
        case "train":
            sys.exit(not train(given.jobs, given.out, given.data, given.seconds, given.workers, given.seeds))
        case "table":
            print(table(given.out))
        case "plan":
            plan_of(given.out, given.path, given.data, given.seeds)


if __name__ == "__main__":
    main()
