"""Nothing leaves the phone: the runner opens no socket in any mode, and could open none."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import runtimes
from bench.cache import Cache
from bench.export import eager
from bench.runtimes.ncnn.build import build, host_abi, source_folder
from bench.runtimes.runtime import Shown
from tests.e2e.conftest import Adb, PhoneMaker
from tests.e2e.loaded_kit import LATENCY, launched, silent
from tests.e2e.native_kit import graph, job_text, ncnn_weights, packed, runner
from tests.loaded_network import FOLDER, INPUTS, SAMPLES, network

WEIGHT = np.linspace(-1, 1, 288).astype(np.float32)
TIMES = {"warmup_iterations": 1, "warmup_ms": 0, "min_iterations": 3, "min_ms": 50, "max_iterations": 1000}
MODES: dict[str, dict[str, Any]] = {
    "accuracy": {},
    "latency": {**TIMES, "beside": 1, "load": 1},
    "memory": {},
    "sustained": {"seconds": 1},
    "largest": {"extents": "9x9"},
    "layers": TIMES,
}
LOADED = ("litert", "mnn", "onnxruntime")
UNSEALED = """
import ctypes, sys
words = ctypes.create_string_buffer(400)
ctypes.CDLL(sys.argv[1]).attempts(words, len(words))
print(words.value.decode())
"""
REFUSED = re.compile(r"socket\(AF_INET, SOCK_STREAM, (IPPROTO_IP|0)\) *= -1 EPERM \(Operation not permitted\)")
traced = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed: `make system` does")
here = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux filters system calls")


def job(folder: Path, mode: str) -> Path:
    (folder / "net.param").write_text(graph("Input in0 0 1 in0", "Convolution c 1 1 in0 out0 0=8 1=3 5=0 6=288"))
    (folder / "net.weights").write_bytes(ncnn_weights((True, WEIGHT)))
    (folder / "samples.bsmp").write_bytes(packed(np.ones((2, 4, 9, 9), np.float32)))
    stock = {"weights_format": "runtime", "execution": "stock"}
    (folder / "job").write_text(job_text(folder, mode=mode, **stock, **MODES[mode]))
    return folder / "job"


def network_calls(command: list[str], folder: Path) -> tuple[list[str], list[dict[str, Any]]]:
    """Every system call of the kernel's group of network calls that a command and all its processes and threads make,
    and the events it prints."""
    trace = folder / "trace"
    before = ["strace", "-f", "-qq", "-e", "signal=none", "-e", "trace=%network,/io_uring", "-o", os.fspath(trace)]
    done = subprocess.run([*before, *command], capture_output=True, text=True, timeout=300, check=True)
    calls = [line.split(maxsplit=1)[1] for line in trace.read_text().splitlines()]
    return [call for call in calls if "(" in call], [json.loads(line) for line in done.stdout.splitlines()]


@here
@traced
@pytest.mark.parametrize("mode", MODES)
def test_in_every_mode_the_only_network_call_is_the_attempt_that_proves_the_seal(mode: str, tmp_path: Path) -> None:
    calls, events = network_calls([os.fspath(runner()), os.fspath(job(tmp_path, mode))], tmp_path)
    assert events[0]["network"] == "sealed"
    assert events[-1]["status"] == "ok"
    assert len(calls) == 1, calls
    assert REFUSED.fullmatch(calls[0])


@here
@traced
def test_the_trace_would_show_a_socket(tmp_path: Path) -> None:
    """So that the tests above can fail."""
    use = "import socket; socket.socket(); print('{}')"
    calls, _ = network_calls([sys.executable, "-c", use], tmp_path)
    assert any(call.startswith("socket(AF_INET, SOCK_STREAM") and "EPERM" not in call for call in calls)


def intruder(folder: Path) -> Path:
    """The backend of intruder.c for this computer."""
    library = folder / "intruder.so"
    source, headers = Path(__file__).with_name("intruder.c"), source_folder() / "runner"
    command = [sys.executable, "-m", "ziglang", "cc", "-shared", "-fPIC", "-O1", f"-I{headers}", "-o", library, source]
    subprocess.run([os.fspath(part) for part in command], check=True, timeout=300, capture_output=True)
    return library


def attempts(words: str) -> dict[str, int]:
    return {name: int(number) for name, number in re.findall(r"(\w+) (-?\d+)(?:, |$)", words)}


@here
def test_code_in_the_runner_that_wants_a_socket_gets_none(tmp_path: Path) -> None:
    """Not in a thread of it, not in a process that it starts, and not by io_uring."""
    library = intruder(tmp_path)
    program = runtimes.runtime("onnxruntime").program((host_abi(),), True, Cache(), silent)
    paths = [library if file.role == "backend" else file.path for file in program.files]
    command = [part.format(*map(str, paths)) for part in program.command]
    done = subprocess.run(
        [*command, job(tmp_path, "accuracy")], capture_output=True, text=True, timeout=60, check=False
    )
    events = [json.loads(line) for line in done.stdout.splitlines()]
    error = next(event for event in events if event["event"] == "error")
    assert events[0]["network"] == "sealed"
    sealed = attempts(error["message"])

    free = subprocess.run([sys.executable, "-c", UNSEALED, library], capture_output=True, text=True, check=True)
    unsealed = attempts(free.stdout.strip())
    assert unsealed["tcp"] == unsealed["thread"] == unsealed["child"] == 0, "else nothing is shown"
    assert sealed == dict.fromkeys(unsealed, errno.EPERM)


@here
@pytest.mark.parametrize("name", LOADED)
def test_loaded_libraries_work_sealed(name: str, tmp_path: Path) -> None:
    kept = FOLDER / name
    if not kept.is_dir():  # what has its exporter among bench's own dependencies
        made = network()
        shown = Shown(SAMPLES, eager.answers(made, SAMPLES))
        runtimes.runtime(name).export(made, INPUTS, shown, tmp_path)
        kept = tmp_path
    file = next(path for path in kept.iterdir() if path.is_file())
    names = {"inputs": "in0,in1", "outputs": "out0,out1,out2"}
    done = launched(name, file, SAMPLES, tmp_path, mode="latency", answers=None, beside=1, load=0, threads=2,
                    **names, **LATENCY)  # fmt: skip
    assert done.status == 0, done
    assert done.event("environment")["network"] == "sealed"


@here
@pytest.mark.skipif(shutil.which("qemu-aarch64-static") is None, reason="qemu-user-static is not installed")
@pytest.mark.parametrize(("abi", "processor"), [("arm64-v8a", "aarch64"), ("armeabi-v7a", "arm")])
def test_where_no_filter_is_to_be_had_it_is_said_so(abi: str, processor: str, tmp_path: Path) -> None:
    """Translators of processors pass none on: a filter would be one of their own calls."""
    done = subprocess.run(
        [f"qemu-{processor}-static", build(abi, Cache()).path, job(tmp_path, "accuracy")],
        capture_output=True,
        text=True,
        check=True,
    )
    network = json.loads(done.stdout.splitlines()[0])["network"]
    assert network.startswith("not sealed: no filter of system calls is to be had here: ")


@pytest.mark.parametrize("abi", [host_abi(), "arm64-v8a", "armeabi-v7a"])
def test_the_runner_is_static(abi: str) -> None:
    """No interpreter, no dynamic section: it contains all the code that it can ever run."""
    data = build(abi, Cache()).path.read_bytes()
    wide = data[4] == 2
    start = struct.unpack_from("<Q" if wide else "<I", data, 32 if wide else 28)[0]
    size, count = struct.unpack_from("<HH", data, 54 if wide else 42)
    kinds = {struct.unpack_from("<I", data, start + size * number)[0] for number in range(count)}
    assert 1 in kinds, "PT_LOAD"
    assert not {2, 3} & kinds, "PT_DYNAMIC, PT_INTERP"


@here
def test_a_virtual_phone_seals_it_too(phone_maker: PhoneMaker, adb: Adb, tmp_path: Path) -> None:
    phone = phone_maker.start()
    device = adb.on(phone)
    assert device.run("push", os.fspath(runner()), "/data/local/tmp/runner").returncode == 0
    device.shell("chmod 755 /data/local/tmp/runner")
    assert json.loads(device.shell("/data/local/tmp/runner --version"))["network"] == "sealed"
