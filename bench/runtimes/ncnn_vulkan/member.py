"""ncnn on the GPU as a member of the open set of its own: the same files as ncnn's, another program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from bench.cache import Cache
from bench.errors import WrongAbi
from bench.records import ArtifactFile, Precision, Progress, WeightsFormat
from bench.runtimes.ncnn import build, toolchain
from bench.runtimes.ncnn.member import Ncnn
from bench.runtimes.runtime import Place, Program

_FOR = {"desktop": ("x86_64", "arm64-v8a"), "phone": ("arm64-v8a", "armeabi-v7a", "x86_64")}


class NcnnVulkan(Ncnn):
    """See `bench.runtimes.runtime.Runtime`. Networks of every method come as ordinary ones: our own layers are for
    CPUs.

    A driver is a library of the machine that it is for, and can only be loaded by what is linked against that machine's
    own C library: on this computer glibc, which zig links for; on phones bionic, which takes an NDK.
    """

    name = "ncnn-vulkan"
    title = "ncnn on Vulkan"
    precisions: tuple[Precision, ...] = ("fp32",)
    packages: frozenset[WeightsFormat] = frozenset(("runtime",))
    start_s = 1.0
    gpu = True
    opens: Mapping[str, str] = MappingProxyType({"libvulkan.so.1": "apt install libvulkan1 mesa-vulkan-drivers"})
    phones_need = "an Android NDK (ANDROID_NDK_HOME), whose libraries its program is linked with"

    @property
    def places(self) -> frozenset[Place]:  # type: ignore[override]
        """Phones only where there is an NDK."""
        return frozenset(("desktop", "phone") if toolchain.ndk_folder() else ("desktop",))

    def program(self, abis: Sequence[str], at_hand: bool, cache: Cache, progress: Progress) -> Program:
        """The runner that opens a Vulkan driver. Raises WrongAbi, BuildFailed, ToolMissing."""
        gpu: build.Gpu = "glibc" if at_hand else "android"
        known = _FOR["desktop" if at_hand else "phone"]
        abi = next((abi for abi in abis if abi in known), None)
        if abi is None:
            raise WrongAbi(
                f"it runs {', '.join(abis) or 'an ABI that it does not report'}",
                f"{self.title} is built for {', '.join(known)}, on Linux.",
            )
        binary = build.build(abi, cache, progress, portable=not at_hand, gpu=gpu)
        facts = binary.toolchain | {"sha256": binary.sha256, "bytes": binary.bytes}
        file = ArtifactFile(role="runner", path=binary.path, sha256=binary.sha256, bytes=binary.bytes)
        return Program((file,), ("{0}",), facts)


NCNN_VULKAN = NcnnVulkan()
