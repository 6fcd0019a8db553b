"""Which networks can be shown corrupted samples is known before anything is made; and a plan keeps the names."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import plan
from bench.campaign import asked
from bench.campaign.changes import Changes, changed
from bench.data.corruptions import CORRUPTIONS
from bench.errors import UnknownName, UsageError


def checked(text: str, **protocol: object) -> asked.Asked:
    whole = plan.parse(f'name = "a"\n{text}', "a plan")
    return asked.checked(changed(whole, Changes(protocol=protocol)))


NET = """
from torch import nn

class Net(nn.Module):
    def forward(self, *inputs):
        return inputs[0].flatten(1)

build = Net
"""
LENET = '[[cases]]\nmodel = "lenet5"\nvariants = ["baseline"]\n'


def test_all_becomes_the_names_so_that_a_resumed_run_has_the_same_launches() -> None:
    found = checked(LENET, drift=("all",)).plan.protocol
    assert found.drift == tuple(CORRUPTIONS)
    assert checked(LENET, drift=("blur:3", "noise", "blur:1")).plan.protocol.drift == ("noise", "blur:1", "blur:3")
    assert checked(LENET).plan.protocol.drift == ()


def test_a_protocol_of_one_network_is_settled_too() -> None:
    text = LENET + '[cases.protocol]\ndrift = ["all:2"]\n'
    found = checked(text).plan.protocol_for("lenet5").drift
    assert found == tuple(f"{name}:2" for name in CORRUPTIONS)


@pytest.mark.parametrize(
    ("case", "why"),
    [
        ('model = "{net}"\ninput = "3x1024"', "its input is not a picture"),
        ('model = "vdsr"', "answers with pictures"),
        ('model = "{net}"\ninput = "3x15x40"', "15×40 pixels is too small"),
        ('model = "{net}"\ninput = "3x32x32"', "seeded random values"),
        ('model = "{net}"\ninput = "4x32x32"', "not a picture"),
        ('model = "{net}"\ninput = ["3x32x32", "3x32x32"]', "not a picture"),
    ],
)
def test_a_network_that_cannot_be_shown_any_is_refused(case: str, why: str, tmp_path: Path) -> None:
    net = tmp_path / "net.py"
    net.write_text(NET)
    text = f"[[cases]]\n{case.format(net=f'{net}:build')}\nvariants = ['baseline']\n"
    checked(text)
    with pytest.raises(UsageError, match=why):
        checked(text, drift=("noise",))


def test_a_typo_is_refused() -> None:
    with pytest.raises(UnknownName, match="snow"):
        checked(LENET, drift=("snow",))
