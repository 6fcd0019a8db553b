"""The runner given pictures themselves: decoded, resized and normalised as Pillow and bench do it on a desktop."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench.data import coded
from bench.data.readers.pictures import decoded
from bench.preprocess import Preprocess
from tests.e2e.native_kit import EXITS, Run, execute, graph, job_text

RANDOM = np.random.default_rng(7)
COLOURS = RANDOM.integers(0, 256, (37, 53, 3), np.uint8)
SMOOTH = np.clip(
    np.stack([np.add.outer(np.linspace(0, k * 60, 37), np.linspace(0, 190, 53)) for k in (1, 2, 0)], axis=2), 0, 255
).astype(np.uint8)
PLAN = Preprocess(mean=(0.485, 0.456, 0.406), deviation=(0.229, 0.224, 0.225))


def show(
    folder: Path, picture: Path, plan: Preprocess = PLAN, shape: tuple[int, ...] = (3, 16, 24), **more: Any
) -> Run:
    """A network that answers with the mean of each channel, shown a picture."""
    (folder / "net.param").write_text(graph("Input in0 0 1 in0", "Pooling pool 1 1 in0 out0 0=1 4=1"))
    (folder / "net.weights").write_bytes(b"")
    keys = {
        "weights_format": "runtime", "execution": "stock", "samples": None, "pictures": picture,
        "preprocess": plan.instructions(shape), "stages": folder / "stages",
    } | more  # fmt: skip
    (folder / "job").write_text(job_text(folder, **keys))
    return execute(folder / "job")


def stages(folder: Path, run: Run, shape: tuple[int, ...] = (3, 16, 24)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels and resized pixels (H, W, C), and the input (C, H, W)."""
    assert run.status == 0, run.events
    event, written = run.event("picture"), (folder / "stages").read_bytes()
    first, second = int(np.prod(event["pixels"])), int(np.prod(event["resized"]))
    pixels = np.frombuffer(written[:first], np.uint8).reshape(event["pixels"])
    resized = np.frombuffer(written[first : first + second], np.uint8).reshape(event["resized"])
    return pixels, resized, np.frombuffer(written[first + second :], "<f4").reshape(shape)


def by_pillow(path: Path) -> np.ndarray:
    found = np.asarray(decoded(path))
    return found if found.ndim == 3 else found[..., None]


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_of_a_short_palette() -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 1, 8, 3, 0, 0, 0))
    rows = chunk(b"IDAT", zlib.compress(bytes([0, 0, 1, 2, 200])))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"PLTE", bytes(range(10, 70, 10))) + rows + chunk(b"IEND", b"")


def written(folder: Path, name: str) -> Path:
    """A picture file of that description."""
    colours, grey = Image.fromarray(COLOURS), Image.fromarray(COLOURS[..., 0])
    path = folder / (name if "." in name else f"{name}.png")
    match name:
        case "short-palette":
            path.write_bytes(png_of_a_short_palette())
        case "grey16":
            Image.fromarray(RANDOM.integers(0, 65536, (9, 11), np.uint16)).save(path)
        case "one-bit":
            grey.convert("1").save(path)
        case "palette" | "few-colours":
            colours.quantize(256 if name == "palette" else 5).save(path)
        case "rgba" | "la":
            Image.fromarray(np.dstack((COLOURS if name == "rgba" else COLOURS[..., 0], COLOURS[..., 1]))).save(path)
        case "grey.png" | "grey.bmp":
            grey.save(path)
        case _:
            colours.save(path)
    return path


OTHERS = ["grey16", "one-bit", "palette", "few-colours", "short-palette", "rgba", "la"]


@pytest.mark.parametrize(
    "name",
    ["colours.png", "colours.bmp", "grey.png", "grey.bmp", *OTHERS],
)
def test_png_and_bmp_are_decoded_as_pillow_decodes_them(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, name)
    pixels, _, _ = stages(tmp_path, show(tmp_path, path))
    np.testing.assert_array_equal(pixels, by_pillow(path))


@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"progressive": True}, {"quality": 30}])
def test_jpeg_is_decoded_within_a_few_levels(tmp_path: Path, options: dict[str, Any]) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(SMOOTH).save(path, **{"quality": 90, **options})
    pixels, _, _ = stages(tmp_path, show(tmp_path, path))
    apart = np.abs(pixels.astype(int) - by_pillow(path))
    assert apart.max() <= 4
    assert apart.mean() < 0.2


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_a_picture_is_turned_upright_as_its_exif_says(tmp_path: Path, orientation: int, ending: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(SMOOTH).save(tmp_path / f"a.{ending}", exif=exif)
    pixels, _, _ = stages(tmp_path, show(tmp_path, tmp_path / f"a.{ending}"))
    assert np.abs(pixels.astype(int) - by_pillow(tmp_path / f"a.{ending}")).max() <= (4 if ending == "jpg" else 0)


PLANS = [
    PLAN,
    Preprocess(filter="nearest"),
    Preprocess(filter="bicubic", size=40),
    Preprocess(filter="lanczos", resize="exact"),
    Preprocess(filter="bicubic", resize="exact", size=(90, 61), channels="bgr", scale=1.0, mean=(103.53, 116.28, 124)),
    Preprocess(channels="grey", mean=(0.1307,), deviation=(0.3081,)),
    Preprocess(resize="none"),
    Preprocess(filter="lanczos", size=201),
]  # fmt: skip


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.text)
def test_resized_and_normalised_to_the_bit(tmp_path: Path, plan: Preprocess) -> None:
    shape = (1 if plan.channels == "grey" else 3, 16, 24)
    path = tmp_path / "a.png"
    Image.fromarray(COLOURS).save(path)
    _, resized, values = stages(tmp_path, show(tmp_path, path, plan, shape), shape)
    image = decoded(path)
    fitted = np.asarray(plan.fitted(image, shape))
    np.testing.assert_array_equal(resized, fitted if fitted.ndim == 3 else fitted[..., None])
    np.testing.assert_array_equal(values, plan.apply(image, shape))


def test_every_picture_of_a_packed_file_is_answered(tmp_path: Path) -> None:
    paths = []
    for number, size in enumerate([(20, 30), (40, 24), (16, 24)]):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(RANDOM.integers(0, 256, (*size, 3), np.uint8)).save(paths[-1])
    coded.write(tmp_path / "pictures", paths)
    run = show(tmp_path, tmp_path / "pictures")
    assert run.outputs is not None
    wanted = [PLAN.apply(decoded(path), (3, 16, 24)).mean(axis=(1, 2)) for path in paths]
    np.testing.assert_allclose(run.outputs.reshape(3, 3), wanted, rtol=1e-5, atol=1e-5)


def jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(SMOOTH).save(buffer, "JPEG")
    return buffer.getvalue()


def png() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(SMOOTH).save(buffer, "PNG")
    return buffer.getvalue()


def bomb() -> bytes:
    """A small file of one pixel that unpacks to 300 MB."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(2**20)) for _ in range(300)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def vast() -> bytes:
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0))


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@pytest.mark.parametrize(
    ("data", "kind", "word"),
    [
        (b"", "unsupported", "neither"),
        (b"GIF89a" + bytes(50), "unsupported", "neither"),
        (jpeg()[:-40], "bad_samples", "cut short"),
        (jpeg()[:300], "bad_samples", "cut short"),
        (png()[:-4], "bad_samples", "cut short"),
        (flipped(png()), "bad_samples", "check sum"),
        (bomb(), "bad_samples", "decoded"),
        (vast(), "unsupported", "pixels"),
        (b"BPIC" + struct.pack("<II", 2, 1), "bad_samples", "version"),
        (b"BPIC" + struct.pack("<IIQ", 1, 1, 2**40), "bad_samples", "length"),
    ],
    ids=[
        "empty", "gif", "jpeg-without-end", "jpeg-head", "png-without-end", "png-flipped-bit", "bomb", "vast",
        "version", "long",
    ],
)  # fmt: skip
def test_what_is_no_picture_is_refused_with_its_name(tmp_path: Path, data: bytes, kind: str, word: str) -> None:
    path = tmp_path / "spoilt.bin"
    path.write_bytes(data)
    run = show(tmp_path, path)
    error = run.event("error")
    assert (error["kind"], run.status) == (kind, EXITS[kind])
    assert word in error["message"]
    assert "spoilt.bin" in error["message"]


def test_cmyk_is_refused_and_not_guessed(tmp_path: Path) -> None:
    Image.fromarray(SMOOTH).convert("CMYK").save(tmp_path / "a.jpg")
    assert show(tmp_path, tmp_path / "a.jpg").event("error")["kind"] == "unsupported"


TEXT = PLAN.instructions((3, 16, 24))


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("resize=shorter ", ""), TEXT + " more=1", TEXT.replace("bilinear", "box"),
        TEXT.replace(" ", "  ", 1), TEXT.replace("3x16x24", "3x16"), TEXT.replace("3x16x24", "1x16x24"),
        TEXT.replace("3x16x24", "3x0x24"), TEXT.replace("3x16x24", "3x65536x65536"),
        TEXT.replace("size=network", "size=12x13"), TEXT.replace("0.485", "nan"), TEXT.replace("0.485", "1e999"),
        TEXT.replace("0.485,", ""), TEXT.replace("0.229", "-0.229"), TEXT.replace("0.229", "0x1"),
        TEXT.replace("0.229", "0"), TEXT.replace("crop=yes", "crop=1"),
    ],
)  # fmt: skip
def test_a_plan_for_pictures_that_is_not_exactly_one_is_refused(tmp_path: Path, text: str) -> None:
    run = show(tmp_path, written(tmp_path, "colours.png"), preprocess=text)
    assert run.event("error")["kind"] == "bad_job"


def test_pictures_are_for_accuracy_alone_and_instead_of_samples(tmp_path: Path) -> None:
    path = written(tmp_path, "colours.png")
    assert show(tmp_path, path, mode="memory").event("error")["kind"] == "bad_job"
    assert show(tmp_path, path, samples=path).event("error")["kind"] == "bad_job"
    assert show(tmp_path, path, pictures=None, samples=path).event("error")["kind"] == "bad_job"


def test_a_picture_that_is_too_small_for_its_crop_is_refused_with_both_sizes(tmp_path: Path) -> None:
    Image.fromarray(COLOURS[:9, :9]).save(tmp_path / "a.png")
    error = show(tmp_path, tmp_path / "a.png", Preprocess(resize="none")).event("error")
    assert error["kind"] == "unsupported"
    assert "9×9" in error["message"]
    assert "16×24" in error["message"]
