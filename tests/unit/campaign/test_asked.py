"""What a plan asks for: every name resolved or refused before anything is built."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench import plan
from bench.cache import Cache
from bench.campaign import asked
from bench.campaign.asked import Asked
from bench.campaign.changes import Changes, changed
from bench.compress import METHODS
from bench.compress.method import Request
from bench.errors import BenchError, CorruptData, PlanError, UnknownName, UsageError
from bench.measure.order import Place
from bench.networks import resolve
from bench.width import Width

MINIMAL = 'name = "a"\n[[cases]]\nmodel = "lenet5"\n'


def checked(text: str) -> Asked:
    return asked.checked(plan.parse(MINIMAL + text, "p"))


def test_a_short_name_becomes_a_method_a_form_and_a_target() -> None:
    (case,) = checked('variants = ["baseline", "half", "fr-resident", "fr-auto:20x"]\n').plan.cases
    assert [(v.label, v.method, v.execution, v.target) for v in case.variants or ()] == [
        ("baseline", None, "stock", None), ("half", "half", "stock", None), ("fr-resident", "fr", "resident", None),
        ("fr-auto:20x", "fr", "auto", "20x"),
    ]  # fmt: skip


def test_a_network_without_variants_gets_those_that_suit_it() -> None:
    for model in ("lenet5", "vit"):
        (case,) = asked.checked(changed(plan.suite("quick"), Changes([model]))).plan.cases
        methods = {v.method for v in case.variants or ()}
        assert methods == {None, "half"} | ({"fr"} if resolve(model).coefficients else set())


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ('variants = ["fr-dens"]\n', UnknownName, "fr-dens"),
        ('variants = ["baseline:20x"]\n', UsageError, "no method"),
        ('variants = [{name = "baseline", weights = "x.frq"}]\n', UsageError, "no method"),
        ('variants = [{name = "half", method = "fr"}]\n', UsageError, "names the method fr"),
        ('variants = [{method = "half", execution = "resident"}]\n', UsageError, "no form 'resident'"),
        ('variants = [{method = "zip"}]\n', UnknownName, "zip"),
        ('variants = ["fr:0.2"]\n', UsageError, "0.2"),
        ('variants = ["fr:-1"]\n', UsageError, "-1"),
        ('variants = [{name = "half", runtime = "torch"}]\n', UsageError, "does not run on phones"),
        ('protocol = {require = "gpu"}\n', UsageError, "none of the runtimes of lenet5 computes on one: ncnn, torch"),
        ('variants = [{name = "half", runtime = "tflow"}]\n', UnknownName, "tflow"),
        ('variants = ["fr-dense@1/4"]\n', UsageError, "fr-dense writes every channel"),
        ('variants = ["fr-factored@1/2"]\n', UsageError, "fr-factored writes every channel"),
        ('variants = ["half@1/4"]\n', UsageError, "float16 weights has one width, and 1/4 was asked for"),
        ('variants = ["baseline@1/4"]\n', UsageError, "no method that could narrow"),
        ('input_size = [32, 32]\n', UsageError, "28×28"),
        ("[cases.arguments]\nwidth = 3\n", UsageError, "width"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_before_anything_is_built(text: str, kind: type[BenchError], words: str) -> None:
    with pytest.raises(kind) as caught:
        checked(text)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("variant", "words"),
    [
        ("nested:16x:5@2/4", "nested:16x:5 has 5 capacities, and the width 1/2 is none of them"),
        ("nested-apart:4x:3@1/2", "Ask for one of 1/3, 2/3, 3/3"),
        ("nested:16x:5@auto", "a few capacities"),
        ("nested", "lenet5 needs a target"),
        ("nested:1x", "1x is the whole network"),
        ("nested:1xMAC:3", "1xMAC is the whole network"),
        ("nested-fr@1/3", "no width 1/3"),
        ("dense-small", "lenet5 needs a target"),
        ("prune,half", "lenet5 needs a target"),
        ("cascade:cascade:20x", "a cascade has two networks itself"),
        ("cascade:nested:4x", "several networks in one"),
        ("cascade:nested-fr:40x", "several networks in one"),
        ("cascade:elm:64", "elm cannot be the small network of a cascade"),
        ("cascade:dense-small", "lenet5 needs a target"),
        ("cascade:half@1/2", "one width"),
    ],
)
def test_what_a_method_could_only_refuse_once_it_is_made_is_refused_at_once(variant: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        checked(f'variants = ["baseline", "{variant}"]\ndata = {{ validation = 0.2 }}\n')
    assert words in f"{caught.value} {caught.value.fix}"


def test_a_cascade_needs_a_validation_part_when_the_plan_is_checked() -> None:
    with pytest.raises(UsageError, match="none are held out"):
        checked('variants = ["cascade:dense-small:20x"]\n')
    (case,) = checked('variants = ["cascade:dense-small:20x"]\ndata = { validation = 0.2 }\n').plan.cases
    assert [v.method for v in case.variants or ()] == ["cascade"]


@pytest.mark.parametrize("variant", ["nested:16x:5@2/5", "nested:4x:3@1/3", "nested:4x:3@3/3", "nested-fr:40x@1/4"])
def test_a_width_that_is_a_capacity_is_taken(variant: str) -> None:
    (case,) = checked(f'variants = ["{variant}"]\n').plan.cases
    assert len(case.variants or ()) == 1


def test_of_a_finished_package_no_target_is_asked(tmp_path: Path) -> None:
    (tmp_path / "a.nested").write_bytes(b"")
    weights = (tmp_path / "a.nested").as_posix()
    (case,) = checked(f'variants = [{{ name = "nested", width = "1/3", weights = "{weights}" }}]\n').plan.cases
    assert case.variants


@pytest.mark.parametrize("width", ['"1/4"', '{ "down.0" = "1/4" }'])
def test_a_width_is_refused_before_what_the_network_lacks(width: str) -> None:
    text = f'name = "a"\n[[cases]]\nmodel = "unet"\nvariants = [{{name = "dense-small", width = {width}}}]\n'
    with pytest.raises(UsageError, match="a small dense network has one width, and 1/4"):
        asked.checked(plan.parse(text, "p"))


class Unfinished:
    """A third party's that knows of widths, and cannot narrow."""

    name, title, suffix, executions = "unfinished", "half a method", ".safetensors", ("stock",)

    def check(self, request: Request) -> None:
        pass

    def check_width(self, execution: str, width: Width) -> None:
        pass


def test_widths_of_a_method_that_cannot_narrow_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(METHODS, "_found", {"half": Unfinished()})
    with pytest.raises(UsageError, match=r"half a method has no widths, which half@0\.25 of lenet5 asks for"):
        checked('variants = ["half@1/4"]\n')


def test_an_unknown_variant_offers_the_nearest() -> None:
    with pytest.raises(UnknownName) as caught:
        checked('variants = ["fr-dens"]\n')
    assert "fr-dense" in caught.value.fix


@pytest.mark.parametrize("place", ["weights = {}\n", 'variants = [{{name = "half", weights = {}}}]\n'])
def test_weights_that_never_end_are_refused(place: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (Path("/dev/zero"), tmp_path / "pipe", tmp_path, tmp_path / "none"):
        with pytest.raises(UsageError, match=r"not a file|is a folder|no file"):
            checked(place.format(f'"{path}"'))


def test_data_that_is_not_there_or_never_ends_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (Path("/dev/zero"), tmp_path / "pipe", tmp_path / "none"):
        with pytest.raises(UsageError, match=f"data {path}: "):
            checked(f'data = "{path}"\n')
    assert checked(f'data = "{tmp_path}"\n')


def test_a_mask_of_no_cores_is_refused() -> None:
    with pytest.raises(UsageError, match="'0x00' names no cores"):
        checked('cores = "0x00"\n')


def test_a_network_that_never_ends_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    for model in ("/dev/zero", str(tmp_path / "pipe.onnx"), "/dev/zero:build"):
        with pytest.raises(UsageError):
            asked.checked(changed(plan.suite("quick"), Changes([model], input=["1x8x8"])))


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    shipped = Path(plan.__file__).parent / "pretrained" / "lenet5.frq"
    damaged = tmp_path / "damaged.frq"
    damaged.write_bytes(shipped.read_bytes()[:-1])
    with pytest.raises(CorruptData, match="check sum"):
        checked(f'weights = "{damaged}"\n')


def test_entries_are_every_variant_in_every_place() -> None:
    wanted = checked('threads = [1, 2]\nvariants = ["baseline", {name = "half", precision = "bf16"}]\n')
    ordinary, half = asked.entries(wanted, ["p1", "p2"])
    assert (ordinary.model, ordinary.variant, ordinary.threads) == ("lenet5", "baseline", (1, 2))
    assert ordinary.places == {
        Place("p1", "ncnn"): ("fp32",), Place("p2", "ncnn"): ("fp32",), Place("desktop", "ncnn"): ("fp32",),
        Place("desktop", "torch", reference=True): ("fp32",),
    }  # fmt: skip
    assert half.places[Place("p1", "ncnn")] == ("bf16",)
    # Torch here knows only fp32, and is measured in that.
    assert half.places[Place("desktop", "torch", reference=True)] == ("fp32",)


def test_runtimes_are_those_that_a_plan_needs() -> None:
    wanted = checked('variants = ["baseline"]\n')
    assert wanted.runtimes_on_phones() == ("ncnn",)
    assert set(wanted.runtimes_here()) == {"torch", "ncnn"}
    without = asked.checked(wanted.plan.model_copy(update={"desktop": ()}))
    assert without.runtimes_here() == ("ncnn",)  # whose files are tried here before they go to a phone
    assert asked.entries(without, ["p1"])[0].places.keys() == {Place("p1", "ncnn")}


def test_a_case_has_its_own_runtimes_on_this_host() -> None:
    two = plan.parse(MINIMAL + '[[cases]]\nmodel = "lenet300"\ndesktop = ["ncnn"]\n', "p")
    wanted = asked.checked(two)
    assert set(wanted.runtimes_here()) == {"torch", "ncnn"}
    places = {entry.model: entry.places.keys() for entry in asked.entries(wanted, [])}
    assert places["lenet300"] == {Place("desktop", "ncnn")}
    assert places["lenet5"] == {Place("desktop", "ncnn"), Place("desktop", "torch", reference=True)}
    with pytest.raises(UnknownName, match="tflow"):
        checked('desktop = ["tflow"]\n')


@pytest.mark.parametrize("name", plan.suites())
def test_a_suite_asks_only_for_what_there_is(name: str) -> None:
    assert asked.checked(plan.suite(name)).networks


@pytest.mark.parametrize("name", ["gtsrb", "resident"])
def test_a_benchmark_asks_only_for_what_there_is(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(__file__).parents[3]
    monkeypatch.chdir(root)
    assert asked.checked(plan.load(root / "benchmarks" / f"{name}.toml")).networks


def test_a_network_that_learns_with_data_is_measured_untrained_without(tmp_path: Path) -> None:
    (tmp_path / "signs.npz").write_bytes(b"")
    bare = asked.checked(plan.suite("signs"))
    assert not any(network.learns or network.trained for network in bare.networks.values())
    assert {v.effort.epochs for case in bare.plan.cases for v in case.variants or ()} == {None}
    given = asked.checked(changed(plan.suite("signs"), Changes(data=tmp_path / "signs.npz")))
    assert all(network.learns for network in given.networks.values())
    assert {v.effort.epochs for v in given.plan.cases[0].variants or ()} == {8}


def test_an_outline_costs_nothing_and_counts_every_trial(tmp_path: Path) -> None:
    wanted = asked.checked(plan.suite("demo"))
    outline = asked.outline(wanted, Cache(tmp_path))
    assert [row[0] for row in outline.rows] == ["lenet5", "unet", "unet-small"]
    assert sum(int(row[-1]) for row in outline.rows) == outline.trials > 50
    assert outline.estimate_s > 10


def test_a_refusal_in_a_plan_of_several_networks_names_the_one(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "import torch\nfrom torch import nn\n\ndef build(good):\n    made = nn.Conv2d(3, 4, 3)\n"
        "    with torch.no_grad():\n        made.weight[0] = 0.5 if good else torch.nan\n    return made\n"
    )
    cases = "\n".join(
        f"[[cases]]\nlabel = 'net{n}'\nmodel = '{tmp_path}/net.py:build'\narguments = {{good = {good}}}\n"
        f"input = [{{name = 'x', shape = [3, 8, 8]}}]\nvariants = ['baseline']"
        for n, good in enumerate(("true", "false", "true"))
    )
    with pytest.raises(CorruptData, match=r"^net1: .*not finite: 27 of 108 values of weight"):
        checked(cases)


def test_a_form_with_a_precision_of_its_own_is_measured_once_beside_the_ordinary_network() -> None:
    wanted = checked('precision = ["fp32", "bf16"]\nvariants = ["baseline", "int8-full", "int8-weights"]\n')
    precisions = {entry.variant: set(entry.places.values()) for entry in asked.entries(wanted, ["phone"])}
    assert precisions["int8-full"] == {("fp32",)}
    assert ("fp32", "bf16") in precisions["baseline"] & precisions["int8-weights"]


def test_another_precision_of_such_a_form_is_refused() -> None:
    with pytest.raises(UsageError, match="computes in int8, but bf16 is asked of it"):
        checked('variants = [{name = "int8-full", precision = "bf16"}]\n')


SEVERAL = 'name = "a"\nruntime = ["ncnn", "onnxruntime"]\n[[cases]]\nmodel = "lenet5"\n'


def test_several_runtimes_execute_each_variant_that_names_none() -> None:
    named = '{name = "half", runtime = "ncnn", label = "by-ncnn"}'
    wanted = asked.checked(plan.parse(f'{SEVERAL}variants = ["baseline", {named}]\n', "p"))
    ordinary, other = asked.entries(wanted, ["p1"])
    assert {place for place in ordinary.places if place.device == "p1"} == {
        Place("p1", "ncnn"), Place("p1", "onnxruntime"),
    }  # fmt: skip
    assert [place for place in other.places if place.device == "p1"] == [Place("p1", "ncnn")]
    assert wanted.runtimes_on_phones() == ("ncnn", "onnxruntime")
    assert wanted.spared == ("ncnn", "onnxruntime")


def test_what_one_of_several_runtimes_cannot_do_is_left_out_with_its_reason() -> None:
    text = 'variants = ["baseline", {name = "half", precision = "bf16"}]\n'
    wanted = asked.checked(plan.parse(SEVERAL + text, "p"))
    ((left_out, why),) = wanted.absent.items()
    assert str(left_out) == "lenet5/half:bf16 by onnxruntime"
    assert "does not support bf16" in why
    assert [place.runtime for place in asked.entries(wanted, ["p1"])[1].places if place.device == "p1"] == ["ncnn"]
    with pytest.raises(UsageError, match="does not support int8"):
        asked.checked(plan.parse(SEVERAL.replace("ncnn", "litert") + 'precision = ["int8"]\n', "p"))


def test_all_in_a_plan_are_those_that_run_on_phones() -> None:
    wanted = asked.checked(plan.parse(SEVERAL.replace('["ncnn", "onnxruntime"]', '"all"'), "p"))
    assert {"ncnn", "onnxruntime"} <= set(wanted.plan.runtimes)
    assert "torch" not in wanted.plan.runtimes


@pytest.mark.parametrize("names", ["[]", '["ncnn", "ncnn"]', '""', "3", '["ncnn", 3]'])
def test_no_runtime_and_one_that_is_named_twice_are_refused(names: str) -> None:
    with pytest.raises(PlanError, match=r"runtime: (it is a runtime's name|ncnn appears twice)"):
        plan.parse(SEVERAL.replace('["ncnn", "onnxruntime"]', names), "p")


def test_a_runtime_that_phones_need_more_for_says_what(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANDROID_NDK_HOME", raising=False)
    with pytest.raises(UsageError, match="ncnn-vulkan, which does not run on phones without an Android NDK"):
        checked('variants = [{name = "half", runtime = "ncnn-vulkan"}]\n')


def test_a_gpu_may_be_required_where_a_runtime_here_computes_on_one() -> None:
    text = MINIMAL.replace('"a"\n', '"a"\ndesktop = ["ncnn-vulkan"]\n') + 'protocol = {require = "gpu"}\n'
    found = asked.checked(plan.parse(text, "p"))
    assert found.runtimes_here() == ("ncnn-vulkan", "ncnn")
