"""The passes that are done where somebody asks: narrower intervals, load that goes on, others at work beside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.results.folder import RunFolder
from bench.virtual.phone import VirtualPhone
from tests.e2e.command import QUICK, Finished, bench, run

pytestmark = pytest.mark.timeout(1200)

PLAN = f"""
name = "passes"
desktop = ["torch", "ncnn"]
{QUICK.replace("min_seconds = 0", "min_seconds = 0.2")}
[[cases]]
model = "lenet5"
variants = ["baseline", "half"]
data = {{ samples = 10 }}
"""
ASKED = ("--precision", "0.1%", "--budget", "4s", "--sustained", "5s", "--beside", "2", "--load", "1")


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plan") / "plan.toml"
    path.write_text(PLAN)
    return path


@pytest.fixture(scope="module")
def finished(
    virtual_phone: VirtualPhone, env: dict[str, str], plan: Path, tmp_path_factory: pytest.TempPathFactory
) -> Finished:
    results = tmp_path_factory.mktemp("results")
    return run("--device", virtual_phone.serial, "--plan", plan, *ASKED, "--results", results, env=env)


@pytest.fixture(scope="module")
def said(finished: Finished, env: dict[str, str]) -> str:
    """What a terminal shows of it."""
    return " ".join(bench("report", finished.folder, env=env).stdout.split())


def test_all_trials_ended_well(finished: Finished) -> None:
    frame = finished.frame
    assert set(frame.status) == {"ok"}, set(frame.reason)
    assert set(frame["pass"]) == {"size", "accuracy", "memory", "latency", "contended", "sustained"}
    assert finished.record.finished


def test_launches_go_on_for_a_narrow_interval_and_it_is_said_how_far(
    finished: Finished, said: str, virtual_phone: VirtualPhone
) -> None:
    """Twenty iterations are never known to 0.1 %, so the budget ends it."""
    goals = {(goal.device, goal.runtime): goal for goal in finished.record.goals}
    phone = goals[virtual_phone.serial, "ncnn"]
    assert (phone.model, phone.variant, phone.of, phone.wanted) == ("lenet5", "half", "ratio", 0.001)
    timed = finished.frame[(finished.frame["pass"] == "latency") & (finished.frame.device == virtual_phone.serial)]
    launches = timed.groupby("variant").launch.unique().map(sorted)
    assert launches["baseline"] == launches["half"] == list(range(phone.launches))
    assert finished.answer["record"]["goals"][0]["ended"] in ("budget", "reached")
    sentences = [line for line in finished.answer["answer"] if "(wanted: ± 0.1 %)" in line]
    assert sentences
    for sentence in sentences:
        assert sentence in said
    if phone.ended == "budget":
        assert phone.launches > 3
        assert phone.seconds >= 4
        assert f"the budget of 4 s ended with the ratio of half on {virtual_phone.serial} (virtual) at ± " in said
    orders = [m.trial.order for m in RunFolder(finished.folder).measurements()]
    assert orders == list(range(len(orders)))


def test_load_goes_on_for_as_long_as_was_asked(finished: Finished, said: str, virtual_phone: VirtualPhone) -> None:
    loaded = finished.frame[finished.frame["pass"] == "sustained"]
    places = set(zip(loaded.device, loaded.runtime, loaded.variant, strict=True))
    here = ((virtual_phone.serial, "ncnn"), ("desktop", "ncnn"))  # not torch
    assert places == {(*place, variant) for place in here for variant in ("baseline", "half")}
    windows = loaded[loaded.metric == "sustained"]
    assert (windows.groupby("trial").size() >= 3).all()
    assert windows["index"].max() in (3, 4, 5)
    assert (windows.value > 0).all()
    heat = loaded[loaded.metric == "sustained_skin"]
    assert set(heat.device) == {virtual_phone.serial}
    assert heat["index"].between(0, 6).all()
    assert f"lenet5 on {virtual_phone.serial} (virtual), 5 s of load: " in said
    assert "The load was shorter than a minute, so seconds stand for minutes." in (
        finished.folder / "report.html"
    ).read_text(encoding="utf-8")
    assert (finished.folder / "plots" / "sustained-0.png").is_file()
    told = {(s["subject"]["device"], s["subject"]["variant"]): s for s in finished.answer["sustained"]}
    assert len(told) == 4
    assert told[virtual_phone.serial, "half"]["unit_s"] == 1


def test_latency_beside_others_is_held_against_latency_alone(
    finished: Finished, said: str, virtual_phone: VirtualPhone
) -> None:
    contended = [m for m in RunFolder(finished.folder).measurements() if m.trial.pass_ == "contended"]
    assert {m.trial.subject.runtime for m in contended} == {"ncnn"}
    for m in contended:
        assert m.conditions["beside"]["copies"] == 2
        assert m.conditions["beside"]["load"] == 1
        assert m.conditions["beside"]["inferences"] > 0
    phone = {s["subject"]["variant"] for s in finished.summaries("contended", device=virtual_phone.serial)}
    assert phone == {"baseline", "half"}
    assert {c["left"]["variant"] for c in finished.answer["comparisons"] if c["metric"] == "contended"} == {"baseline"}
    words = (
        f"lenet5 on {virtual_phone.serial} (virtual), beside 2 copies of itself and 1 thread of other work: baseline "
    )
    assert words in said
    phone_alone = [c for c in finished.answer["contention"] if c["subject"]["device"] == virtual_phone.serial]
    assert all(c["contended"] > 0 < c["alone"] and c["copies"] == 2 for c in phone_alone)
    tables = [t for t in finished.answer["tables"] if t["section"] == "contention"]
    assert tables[0]["header"][2:5] == ["Alone, mean", "Beside others, mean", "Beside ÷ alone"]


def test_a_plan_counts_the_budget_and_the_load(plan: Path, env: dict[str, str]) -> None:
    without = json.loads(bench("plan", "--plan", plan, "--json", env=env).stdout)["estimate_s"]
    more = json.loads(bench("plan", "--plan", plan, *ASKED, "--json", env=env).stdout)["estimate_s"]
    assert more - without >= 4 + 4 * 5
    said = bench("plan", "--plan", plan, *ASKED, env=env).stdout
    assert "Up to 4.00 s of it are for more launches of lenet5, until ± 0.1 % is reached." in " ".join(said.split())


def test_the_progress_says_how_narrow_it_is(
    plan: Path, virtual_phone: VirtualPhone, env: dict[str, str], tmp_path: Path
) -> None:
    asked = ("--precision", "0.1%", "--budget", "1s", "--variant", "baseline", "--launches", "3")
    done = bench("run", "-s", virtual_phone.serial, "--plan", plan, *asked, "--results", tmp_path, env=env)
    assert "wanted ± 0.10 % on " in done.stderr
    assert "the median of baseline on" in done.stdout or "the median is known to" in done.stdout
