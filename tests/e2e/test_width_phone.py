"""A width from the flag to the report: the same package at several widths on a (virtual) phone and on the desktop."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.virtual.phone import VirtualPhone
from tests.e2e.command import QUICK, Finished, bench, run

NET = """
from torch import nn

def layer(inputs, outputs, bias):
    norm = [] if bias else [nn.InstanceNorm2d(outputs)]
    return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias), *norm, nn.ReLU()]

def build(bias=False):
    return nn.Sequential(
        *layer(3, 32, bias), *layer(32, 48, bias), *layer(48, 32, bias), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(32, 3),
    )

def biased():
    return build(True)
"""


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mine") / "net.py"
    path.write_text(NET)
    return path


@pytest.fixture(scope="module")
def measured(
    net: Path, virtual_phone: VirtualPhone, env: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Finished:
    plan = net.with_name("plan.toml")
    plan.write_text(
        f'name = "widths"\n{QUICK}\n[[cases]]\nmodel = "{net}:build"\ninput = "3x24x24"\nlabel = "net"\n'
        '[[cases.variants]]\nname = "fr-resident"\ntarget = "400"\n'
        '[[cases.variants]]\nname = "fr-resident"\ntarget = "400"\nwidth = 0.5\n'
        '[[cases.variants]]\nname = "fr-resident"\ntarget = "400"\nlabel = "one"\n[cases.variants.width]\n"0" = "1/4"\n'
    )
    return run("-s", virtual_phone.serial, "--plan", plan, "--results", net.parent / "results", env=env)


def test_every_width_computes_what_torch_does_on_the_phone_and_here(measured: Finished) -> None:
    assert set(measured.frame.status) == {"ok"}, set(measured.frame.reason)
    checked = [a for a in measured.record.artifacts if a.runtime == "ncnn"]
    assert [a.variant for a in checked] == ["fr-resident:400", "fr-resident:400@0.5", "one"]
    assert all(v.headroom <= 1 for a in checked for v in a.verified)
    assert len({a.file("weights").sha256 for a in checked}) == 1  # the very same package
    assert len({a.file("graph").sha256 for a in checked}) == 3


def test_the_record_and_the_report_say_what_was_asked_and_done(measured: Finished) -> None:
    told = {a.variant: a.width for a in measured.record.artifacts}
    assert told["fr-resident:400"] is None
    # 32, 48 and 32 channels: the last of them are averaged, which needs them all.
    assert str(told["fr-resident:400@0.5"]).startswith(
        "width 1/2: 72 of 112 channels between resident layers; all of 6 (a layer of type Pooling reads every channel)"
        "; agrees with the whole width in "
    )
    assert str(told["one"]).startswith("width 1/4 of 0: 88 of 112 channels")
    assert [v["width"] for v in measured.record.plan["cases"][0]["variants"]] == [None, "1/2", {"0": "1/4"}]
    page = (measured.folder / "report.html").read_text()
    assert "72 of 112 channels" in page
    assert "fr-resident:400@0.5" in page


def test_a_width_that_no_layer_can_have_is_refused_in_a_sentence(
    net: Path, env: dict[str, str], virtual_phone: VirtualPhone, tmp_path: Path
) -> None:
    asked = ("--model", f"{net}:biased", "--input", "3x24x24", "--variant", "fr-resident:400@1/4")
    done = bench("run", "-s", virtual_phone.serial, *asked, "--results", tmp_path, env=env, status=22)
    assert "no layer of this network can be computed at the width 1/4" in done.stderr
    assert "a bias or norm has numbers of its own for each channel" in done.stderr
