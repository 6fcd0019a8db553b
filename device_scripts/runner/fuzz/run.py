"""`make fuzz`: libFuzzer with AddressSanitizer and UBSan on what the native runner reads. Linux and clang.

Starts from the inputs kept in tests/corpus/*.hex, one a line. With --keep, what it finds is reduced to the fewest
inputs that reach as much of the code, and written back there.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORPUS = HERE.parents[2] / "tests" / "corpus"
PACKAGE = ["contract/crc32", "contract/utf8", "ncnn/factor", "weights/dct", "weights/frq", "weights/order"]
TEXT = ["contract/clocks", "contract/files", "contract/job", "contract/process", "contract/samples", "weights/widened"]
PICTURE = [
    "contract/crc32",
    "contract/events",
    "contract/files",
    "contract/process",
    "contract/samples",
    "contract/sha256",
    "contract/utf8",
    "picture/container",
    "picture/decoder",
    "picture/pictures",
    "picture/preprocess",
    "picture/resample",
]
NESTED = ["contract/crc32", "contract/files", "contract/utf8", "nested/package", "nested/substitute"]
ELM = ["contract/crc32", "elm/package"]
UPDATE = [*PICTURE, "update/patch"]
SOURCES = {
    "elm": ELM, "nested": NESTED, "package": PACKAGE, "picture": PICTURE, "text": [*PACKAGE, *TEXT], "update": UPDATE,
}  # fmt: skip
LENGTHS = {"elm": 256, "nested": 512, "package": 256, "picture": 2048, "text": 700, "update": 1024}
SANITIZERS = ["-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=undefined"]
PACKAGES = ["clang", "libclang-rt-14-dev"]  # Debian 12's names


def compile_target(target: str, folder: Path) -> Path:
    sources = [HERE / f"{target}.cpp", *(HERE.parent / f"{name}.cpp" for name in SOURCES[target])]
    program = folder / target
    subprocess.run(
        [
            "clang++",
            "-std=c++17",
            "-O2",
            "-g",
            *SANITIZERS,
            "-I",
            str(HERE.parent),
            *stb(),
            *map(str, sources),
            "-o",
            str(program),
        ],
        check=True,
    )
    return program


def stb() -> list[str]:
    """Where the decoder of pictures is, as options of the compiler: in ncnn's source, which bench has."""
    sys.path.insert(0, str(HERE.parents[2]))
    from bench.cache import Cache
    from bench.runtimes.ncnn import source

    return ["-isystem", str(source.stb(source.fetch(Cache())))]


def can_fuzz(folder: Path) -> bool:
    """Whether there is a clang that links libFuzzer."""
    stub = folder / "stub.cpp"
    stub.write_text('extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }\n')
    if shutil.which("clang++") is None:
        return False
    command = ["clang++", *SANITIZERS, str(stub), "-o", str(folder / "stub")]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def install() -> None:
    """Try to install clang where that needs nobody's password."""
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if shutil.which("apt-get") and (not as_root or shutil.which("sudo")):
        print(f"Installing {' and '.join(PACKAGES)} …", flush=True)
        for arguments in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *PACKAGES]):
            subprocess.run([*as_root, "apt-get", *arguments], capture_output=True, check=False)


def unpack(target: str, folder: Path) -> Path:
    folder.mkdir()
    kept = CORPUS / f"{target}.hex"
    for number, line in enumerate(kept.read_text().split() if kept.is_file() else []):
        (folder / f"{number:05d}").write_bytes(bytes.fromhex(line))
    return folder


def fuzz(program: Path, folder: Path, seconds: int) -> bool:
    """Whether it ran to the end with nothing found. What it finds lies in `folder`/found, a crash beside it."""
    (folder / "found").mkdir()
    limits = [f"-max_total_time={seconds}", f"-max_len={LENGTHS[program.name]}", "-timeout=60", "-rss_limit_mb=1500"]
    log = folder / "log"
    command = [
        "nice",
        str(program),
        *limits,
        f"-artifact_prefix={Path.cwd()}/",
        str(folder / "found"),
        str(folder / "kept"),
    ]
    with log.open("wb") as output:
        status = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False).returncode
    printed = log.read_text(errors="replace")
    if status != 0:
        sys.stderr.write(printed[-6000:])
        return False
    coverage = re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)", printed)[-1]
    runs = re.findall(r"Done (\d+) runs in (\d+) second", printed)[-1]
    print(
        f"{program.name}: {int(runs[0]):,} inputs in {runs[1]} s, {coverage[0]} edges reached, nothing found",
        flush=True,
    )
    return True


def keep(program: Path, folder: Path) -> None:
    merged = folder / "merged"
    merged.mkdir()
    command = [str(program), "-set_cover_merge=1", str(merged), str(folder / "kept"), str(folder / "found")]
    subprocess.run(command, capture_output=True, check=True)
    lines = sorted((path.read_bytes().hex() for path in merged.iterdir()), key=lambda line: (len(line), line))
    CORPUS.mkdir(exist_ok=True)
    (CORPUS / f"{program.name}.hex").write_text("".join(f"{line}\n" for line in lines if line))
    print(f"{program.name}: {len(lines)} inputs kept")


def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzz the native runner's readers.")
    parser.add_argument("--seconds", type=int, default=600, help="for each target (default 600)")
    parser.add_argument("--target", choices=sorted(SOURCES), action="append", help="may be repeated; all when left out")
    parser.add_argument("--keep", action="store_true", help="renew tests/corpus")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        folder = Path(name)
        if sys.platform != "linux":
            print("Fuzzing needs Linux.", file=sys.stderr)
            return 1
        if not can_fuzz(folder):
            install()
        if not can_fuzz(folder):
            print(
                f"There is no clang with libFuzzer. On Debian 12: apt-get install {' '.join(PACKAGES)}", file=sys.stderr
            )
            return 1
        for target in given.target or sorted(SOURCES):
            own = folder / f"{target}-run"
            own.mkdir()
            program = compile_target(target, folder)
            unpack(target, own / "kept")
            if not fuzz(program, own, given.seconds):
                print(f"{target}: see the input named above; it lies in this folder.", file=sys.stderr)
                return 1
            if given.keep:
                keep(program, own)
    return 0


if __name__ == "__main__":
    sys.exit(main())
