"""A method and a runtime of other packages, found by their entry points, from plan to report."""

from __future__ import annotations

import os
from pathlib import Path

from bench.virtual.phone import VirtualPhone
from tests.e2e.command import QUICK, bench, run
from tests.packages import install

NET = """
from torch import nn

def build():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 10 * 10, 5))
"""


def test_both_are_measured_like_benchs_own(virtual_phone: VirtualPhone, env: dict[str, str], tmp_path: Path) -> None:
    for example in ("third_party_method", "third_party_runtime"):
        install(example, tmp_path)
    (tmp_path / "net.py").write_text(NET)
    with_packages = env | {"PYTHONPATH": os.pathsep.join((str(tmp_path), env.get("PYTHONPATH", "")))}
    plan = tmp_path / "plan.toml"
    plan.write_text(
        f'name = "open"\ndesktop = ["torch", "torch-frozen", "ncnn"]\n{QUICK}\n[[cases]]\n'
        f'model = "{tmp_path / "net.py"}:build"\ninput = "1x12x12"\nvariants = ["baseline", "ternary"]\n'
        "data = {samples = 4}\n"
    )
    found = run("-s", virtual_phone.serial, "--plan", plan, "--results", tmp_path, env=with_packages)
    frame = found.frame
    assert set(frame.status) == {"ok"}, set(frame.reason)
    assert set(zip(frame.variant, frame.runtime, frame.device, strict=True)) == {
        (variant, runtime, device)
        for variant in ("baseline", "ternary")
        for runtime, device in (
            ("ncnn", virtual_phone.serial), ("ncnn", "desktop"), ("torch", "desktop"), ("torch-frozen", "desktop")
        )
    }  # fmt: skip
    assert any(a.runtime == "torch-frozen" and a.variant == "ternary" for a in found.record.artifacts)
    assert "ternary" in (found.folder / "report.html").read_text()
    # Without the packages the plan is refused, and what was measured can still be read.
    assert "ternary" in bench("report", found.folder, env=env).stdout
    assert "torch-frozen" in bench("plan", "--plan", plan, env=env, status=4).stderr
