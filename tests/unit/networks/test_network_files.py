"""Networks that are files, told apart by content, and what damaged, hostile and incomplete ones end in."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bench import networks
from bench.compress.frequency import layers, package
from bench.errors import BenchError, CorruptData, UsageError
from tests.unit.networks.onnx_file import convolution

SHAPE = (3, 8, 8)
INPUTS = networks.parse_inputs("3x8x8")


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(), nn.Flatten(), nn.Linear(144, 5)
    ).eval()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """torch calls its own TorchScript deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def torchscript(path: Path, network: nn.Module, *, script: bool = False) -> Path:
    with quiet():
        made = torch.jit.script(network) if script else torch.jit.trace(network, torch.rand(1, *SHAPE))
        made.save(str(path))
    return path


def exported(path: Path, network: nn.Module, batch: int = 1, **options: object) -> Path:
    with quiet():
        program = torch.export.export(network, (torch.rand(batch, *SHAPE),), **options)  # type: ignore[arg-type]
        torch.export.save(program, path.with_suffix(".pt2"))
    return path.with_suffix(".pt2").rename(path)


def answers_like(network: networks.Network, original: nn.Module) -> bool:
    x = torch.rand(1, *SHAPE)
    with torch.no_grad():
        return torch.allclose(network.build()(x), original(x), atol=1e-6)


@pytest.mark.parametrize("script", [False, True])
def test_torchscript_is_told_by_content_and_computes_the_same(script: bool, tmp_path: Path) -> None:
    file = torchscript(tmp_path / "net.onnx", net(), script=script)
    network = networks.resolve(str(file), inputs=INPUTS)
    assert (network.name, network.task, network.trained) == ("net", "classification", True)
    assert network.sources == (file,)
    assert answers_like(network, net())
    with pytest.raises(UsageError, match="does not say the shape of its input"):
        networks.resolve(str(file))


@pytest.mark.parametrize("open_batch", [False, True])
def test_an_exported_program_knows_its_inputs(open_batch: bool, tmp_path: Path) -> None:
    dynamic = {"dynamic_shapes": ({0: torch.export.Dim("batch")},)} if open_batch else {}
    file = exported(tmp_path / "net.pt", net(), batch=2 if open_batch else 1, **dynamic)
    network = networks.resolve(str(file))
    assert [(t.name, t.shape) for t in network.inputs] == [("in0", SHAPE)]
    assert network.task == "classification"
    assert answers_like(network, net())


def test_an_exported_batch_of_many_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"4×3×8×8, where the first axis has to be a batch of one"):
        networks.resolve(str(exported(tmp_path / "net.pt2", net(), batch=4)))


def test_a_network_that_was_saved_in_training_mode_is_refused(tmp_path: Path) -> None:
    for file in (
        torchscript(tmp_path / "traced.pt", net().train()),
        exported(tmp_path / "exported.pt2", net().train()),
    ):
        with pytest.raises(UsageError, match=r"in training mode.*\n.*eval\(\)"):
            networks.resolve(str(file), inputs=INPUTS)


def test_a_script_that_was_saved_in_training_mode_is_put_into_evaluation(tmp_path: Path) -> None:
    file = torchscript(tmp_path / "net.pt", net().train(), script=True)
    assert answers_like(networks.resolve(str(file), inputs=INPUTS), net())


def test_an_operator_of_another_package_is_named(tmp_path: Path) -> None:
    @torch.library.custom_op("mine::twice", mutates_args=())
    def twice(x: torch.Tensor) -> torch.Tensor:
        return 2 * x

    @twice.register_fake
    def _(x: torch.Tensor) -> torch.Tensor:
        return torch.empty_like(x)

    class Custom(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.ops.mine.twice(x)  # type: ignore[no-any-return]

    file = exported(tmp_path / "custom.pt2", Custom())
    program = "import sys; from bench import networks; networks.resolve(sys.argv[1])"
    command = [sys.executable, "-c", program, str(file)]  # another process, which does not know the operator
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[3])
    assert "uses mine::twice, an operator that this torch does not know" in done.stderr


@pytest.mark.parametrize("batch", [1, "N"])
def test_onnx_says_its_inputs_and_is_measured_as_it_is(batch: int | str, tmp_path: Path) -> None:
    file = tmp_path / "net.model"
    file.write_bytes(convolution((batch, *SHAPE)))
    network = networks.resolve(str(file))
    assert [(t.name, t.shape, t.dtype) for t in network.inputs] == [("in0", SHAPE, "float32")]
    assert (network.graph, network.title) == (file, "net.model (ONNX, opset 13)")
    with pytest.raises(UsageError, match="measured as it is"):
        network.build()
    with pytest.raises(UsageError, match="has its weights already"):
        networks.resolve(str(file), weights=file)


def test_onnx_that_cannot_be_fed_is_refused_with_words(tmp_path: Path) -> None:
    for data, error, words in (
        (convolution((1, 3, "H", "W")), UsageError, "leaves the shape of its input 'x' open"),
        (convolution((8, *SHAPE)), UsageError, "takes batches of 8 samples"),
        (convolution(kind=11), UsageError, "neither float32 nor whole numbers"),
        (
            convolution(external="weights.data"),
            UsageError,
            r"weights in weights\.data, which is not beside it",
        ),
        (convolution(external="../../etc/passwd"), CorruptData, "outside its own folder"),
        (convolution(external="/dev/zero"), CorruptData, "outside its own folder"),
        (convolution()[:-30], CorruptData, "not a whole ONNX file"),
    ):
        (tmp_path / "net.onnx").write_bytes(data)
        with pytest.raises(error, match=words):
            networks.resolve(str(tmp_path / "net.onnx"))


def test_weights_of_onnx_in_another_file_belong_to_the_sources(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(convolution(external="weights.data"))
    (tmp_path / "weights.data").write_bytes(bytes(432))
    assert networks.resolve(str(tmp_path / "net.onnx")).sources == (tmp_path / "net.onnx", tmp_path / "weights.data")


PARAM = """7767517
2 2
Input data 0 1 data{extents}
InnerProduct fc 1 1 data prob 0=10 1=1 2=1920
"""


def test_a_ready_ncnn_pair_is_measured_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "net.param"
    file.write_text(PARAM.format(extents=" 0=8 1=8 2=3"))
    with pytest.raises(UsageError, match=r"needs net\.bin beside it"):
        networks.resolve(str(file))
    (tmp_path / "net.bin").write_bytes(bytes(100))
    network = networks.resolve(str(file))
    assert [(t.name, t.shape) for t in network.inputs] == [("data", SHAPE)]
    assert (network.graph, network.sources) == (file, (file, tmp_path / "net.bin"))
    with pytest.raises(UsageError, match=r"Name the graph: .*net\.param"):
        networks.resolve(str(tmp_path / "net.bin"))
    file.write_text(PARAM.format(extents=""))
    with pytest.raises(UsageError, match="does not say the shape"):
        networks.resolve(str(file))
    assert networks.resolve(str(file), inputs=INPUTS).inputs[0].name == "data"
    file.write_text(PARAM.format(extents=" 0=x"))
    with pytest.raises(CorruptData, match="not a whole ncnn graph"):
        networks.resolve(str(file))
    file.write_bytes((7767517).to_bytes(4, "little") + bytes(40))
    with pytest.raises(UsageError, match=r"binary ncnn graph.*\nGive the text form"):
        networks.resolve(str(file))


def test_a_package_names_its_network(tmp_path: Path) -> None:
    shipped = networks.resolve("unet").package_for(None)
    assert shipped is not None
    (tmp_path / "small").write_bytes(shipped.read_bytes())
    network = networks.resolve(str(tmp_path / "small"), input_size=(32, 48))
    assert (network.name, network.package_for(None), network.shape) == ("unet", tmp_path / "small", (3, 32, 48))
    with pytest.raises(UsageError, match="a package of unet, not of lenet5"):
        networks.resolve("lenet5", weights=shipped)


def test_a_package_of_the_users_network_wants_that_network_too(tmp_path: Path) -> None:
    network = net()
    layers.compress(network, dict.fromkeys(layers.sites(network), 10))
    (tmp_path / "mine.frq").write_bytes(package.write(layers.shipped("mine", network)))
    with pytest.raises(UsageError, match=r"a package of 'mine'.*\n.*net\.py:build --weights"):
        networks.resolve(str(tmp_path / "mine.frq"))
    (tmp_path / "net.py").write_text("from torch import nn\nbuild = lambda: nn.Linear(2, 2)")
    inputs = networks.parse_inputs("2")
    made = networks.resolve(f"{tmp_path}/net.py:build", weights=tmp_path / "mine.frq", inputs=inputs)
    assert made.package_for(None) == tmp_path / "mine.frq"


def test_a_state_dict_alone_is_not_a_network(tmp_path: Path) -> None:
    torch.save(net().state_dict(), tmp_path / "state.pt")
    with pytest.raises(UsageError, match=r"without the network.*\nGive it with --weights .*state\.pt"):
        networks.resolve(str(tmp_path / "state.pt"))


def test_whatever_else_is_named_is_said(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pt")
    (tmp_path / "cut.pt").write_bytes(b"PK\x03\x04")
    (tmp_path / "text.pt").write_text("hello")
    for name, error, words in (
        ("missing.pt", UsageError, "there is no file"),
        (".", UsageError, "is a folder"),
        ("pipe.pt", UsageError, "is not a file"),
        ("text.pt", UsageError, "neither a network nor weights"),
        ("cut.pt", CorruptData, "a damaged or incomplete archive"),
    ):
        with pytest.raises(error, match=words):
            networks.resolve(str(tmp_path / name))
    with pytest.raises(UsageError, match="is not a file"):
        networks.resolve("/dev/zero")
    with pytest.raises(UsageError, match="takes no arguments"):
        networks.resolve(str(tmp_path / "text.pt"), arguments={"a": 1})


@pytest.mark.parametrize("kind", ["torchscript", "exported", "onnx", "ncnn"])
@settings(max_examples=25, deadline=None)
@given(cut=st.floats(0, 1), place=st.floats(0, 0.999), flip=st.integers(1, 255), whole=st.booleans())
def test_a_damaged_file_never_ends_in_anything_but_words(
    tmp_path_factory: pytest.TempPathFactory, kind: str, cut: float, place: float, flip: int, whole: bool
) -> None:
    folder = tmp_path_factory.getbasetemp()
    sound = folder / f"sound-{kind}"
    if not sound.is_file():
        if kind in ("torchscript", "exported"):
            (torchscript if kind == "torchscript" else exported)(sound, net())
        else:
            sound.write_bytes(convolution() if kind == "onnx" else PARAM.format(extents=" 0=8 1=8 2=3").encode())
    data = bytearray(sound.read_bytes())
    data = data if whole else data[: int(cut * len(data))]
    if data:
        data[int(place * len(data))] ^= flip
    (folder / "damaged.param").write_bytes(data)
    (folder / "damaged.bin").touch()
    with contextlib.suppress(BenchError):
        networks.resolve(str(folder / "damaged.param"), inputs=INPUTS)


@given(text=st.text(max_size=30))
def test_any_text_as_inputs_is_shapes_or_refused(text: str) -> None:
    with contextlib.suppress(UsageError):
        for tensor in networks.parse_inputs(text):
            assert 1 <= len(tensor.shape) <= 4
            assert min(tensor.shape) >= 1


def test_inputs_are_read_as_people_write_them() -> None:
    found = networks.parse_inputs("3x224x224, int32:128,1×16000")
    assert [(t.name, t.shape, t.dtype) for t in found] == [
        ("in0", (3, 224, 224), "float32"), ("in1", (128,), "int32"), ("in2", (1, 16000), "float32"),
    ]  # fmt: skip
    for text in ("", "3x", "0x3", "1x2x3x4x5", "int64:3", "99999x99999", "3x-1", "³x3"):
        with pytest.raises(UsageError):
            networks.parse_inputs(text)
