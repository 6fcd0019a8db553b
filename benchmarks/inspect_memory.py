"""How far the memory that `bench inspect` expects is from the peak that a runner really had, on this computer.

`python -m benchmarks.inspect_memory [NETWORK …] [--runtime NAME …]`: three launches each of the memory pass, in fresh
processes. The figures in docs/inspect.md are from here.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import tempfile
from pathlib import Path

from bench import networks, runtimes
from bench.cache import Cache, sha256_file
from bench.campaign.cell import PROVED, shown
from bench.data import packed
from bench.errors import BenchError
from bench.export import eager
from bench.export.layout import layout
from bench.measure import station, trial
from bench.plan import Protocol
from bench.prepare.variant import one_thread
from bench.records import Artifact, ArtifactFile, Expected, Subject, Trial
from bench.runtimes.runtime import Shown
from bench.units import size

NETWORKS = ("lenet5", "mobilenetv2", "unet-small", "unet")
LAUNCHES = 3


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inspect_memory", description=__doc__)
    parser.add_argument("names", nargs="*", default=NETWORKS)
    parser.add_argument("--runtime", action="append")
    asked = parser.parse_args()
    print(f"{'network':14} {'runtime':12} {'weights':>9} {'activations':>11} {'expected':>9} {'measured peak RSS':>24}")
    for name in asked.names:
        network = networks.resolve(name)
        network = dataclasses.replace(network, learns=False)
        module = network.build()
        found = layout(module, network.inputs)
        samples = tuple(each[:PROVED] for each in shown(network)[0])
        with one_thread():
            expected = eager.answers(module, samples)
        for runtime in asked.runtime or [one for one in runtimes.on("desktop") if not runtimes.runtime(one).reference]:
            try:
                peaks = _peaks(runtime, network, Shown(samples, expected))
            except BenchError as error:
                print(f"{name:14} {runtime:12} {error.what}")
                continue
            middle = statistics.median(peaks)
            print(
                f"{name:14} {runtime:12} {size(found.weights):>9} {size(found.peak):>11} "
                f"{size(found.weights + found.peak):>9} {size(middle):>9} ({size(min(peaks))} to {size(max(peaks))})",
                flush=True,
            )


def _peaks(runtime_name: str, network: networks.Network, given: Shown) -> list[float]:
    runtime = runtimes.runtime(runtime_name)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with one_thread():
            files = runtime.export(network.build(), network.inputs, given, folder)
        artifact = Artifact(
            model=network.name, variant="baseline", runtime=runtime_name, ordinary=True, inputs=network.inputs,
            files=tuple(file.model_copy(update={"path": folder / file.path}) for file in files), task="other",
            deployed=runtime.deployed, outputs=given.expected.outputs,
        )  # fmt: skip
        packed.write(folder / "samples.bin", given.samples)
        path = folder / "samples.bin"
        samples = ArtifactFile(role="samples", path=path, sha256=sha256_file(path), bytes=path.stat().st_size)
        here = station.desktop((runtime_name,), Cache(), lambda part, words: None)
        try:
            station.bring(here, (samples, *artifact.needed), print)
            subject = Subject(model=network.name, variant="baseline", device=here.device.serial, runtime=runtime_name)
            answers = Expected(given.expected.values, None)
            found = [
                trial.measure(
                    Trial(subject=subject, pass_="memory"), here, artifact, samples, answers, Protocol(), "any"
                ).measurement
                for _ in range(LAUNCHES)
            ]
        finally:
            station.leave(here)
    return [sample.value for one in found for sample in one.samples if sample.metric == "vm_hwm"]


if __name__ == "__main__":
    main()
