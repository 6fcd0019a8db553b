"""The runner's output lines, and what a launch that ends badly is said to have."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import RunnerFailed
from bench.measure import lines
from bench.records import Sample

GOOD: list[dict[str, Any]] = [
    {"event": "environment", "contract": 3, "cpus_allowed": "0-1", "kernels": ["avx2"]},
    {"event": "load", "ns": 5},
    {"event": "first_inference", "ns": 7},
    {"event": "warmup", "iterations": 10, "ns": 100},
    {"event": "iteration", "i": 0, "ns": 3},
    {"event": "iteration", "i": 1, "ns": 4},
    {"event": "memory", "vm_hwm": 4096, "rss": 4096, "pss": -1, "anonymous": 1024},
    {"event": "end", "status": "ok", "exit": 0, "ns": 2_000_000_000},
]
CLOCKS: list[dict[str, Any]] = [
    {"event": "clock", "cpus": "4-7", "khz": 2100, "lowest": 2000, "highest": 2200, "share": 900,
     "source": "time_in_state"},
    {"event": "clock", "cpus": "0-3,9", "khz": 1700, "lowest": 1700, "highest": 1700, "share": 100,
     "source": "scaling_cur_freq"},
]  # fmt: skip
WINDOWS: list[dict[str, Any]] = [
    {"event": "window", "i": 0, "ns": 0, "iterations": 90, "median": 11, "khz": 1900},
    {"event": "window", "i": 1, "ns": 2_400_000_000, "iterations": 1, "median": 12, "khz": -1},
]
BESIDE = {"event": "beside", "copies": 2, "load": 1, "inferences": 40}
ANSWERS = {"event": "answers", "path": "/x", "samples": 3, "bytes": 132, "counts": [10, 1]}


def text(events: list[dict[str, Any]]) -> list[str]:
    return [json.dumps(e) for e in events]


def test_a_good_launch() -> None:
    reading = lines.read(text(GOOD), 0)
    assert reading.samples == (
        Sample("load", 0, 5.0),
        Sample("first_inference", 0, 7.0),
        Sample("latency", 0, 3.0),
        Sample("latency", 1, 4.0),
        Sample("vm_hwm", 0, 4096.0),
        Sample("anonymous", 0, 1024.0),
    )
    assert (reading.warmup_iterations, reading.runner_s, reading.strays) == (10, 2.0, 0)
    assert reading.environment == {"contract": 3, "cpus_allowed": "0-1", "kernels": ["avx2"]}


def test_answers_are_counted_for_each_output() -> None:
    reading = lines.read(text([ANSWERS, GOOD[-1]]), 0)
    assert reading.answers == lines.Answers("/x", 3, (10, 1))


def test_a_launch_has_the_clock_of_the_cores_that_it_mostly_ran_on() -> None:
    reading = lines.read(text([*GOOD[:-1], CLOCKS[1], CLOCKS[0], GOOD[-1]]), 0)
    assert Sample("clock", 0, 2_100_000.0) in reading.samples
    assert reading.clocks[1] == lines.Clock("4-7", 2.1e6, 2e6, 2.2e6, 0.9, "time_in_state")
    assert [clock.cpus for clock in reading.clocks] == ["0-3,9", "4-7"]


def test_where_nobody_knows_on_which_cores_it_ran_there_is_no_clock() -> None:
    reading = lines.read(text([*GOOD[:-1], {**CLOCKS[0], "share": 0}, GOOD[-1]]), 0)
    assert not [sample for sample in reading.samples if sample.metric == "clock"]
    assert len(reading.clocks) == 1


def test_load_that_goes_on_has_a_sample_for_each_second_that_a_window_began_in() -> None:
    reading = lines.read(text([*WINDOWS, CLOCKS[0], GOOD[-1]]), 0)
    assert reading.samples == (
        Sample("sustained", 0, 11.0),
        Sample("sustained_clock", 0, 1_900_000.0),
        Sample("sustained", 2, 12.0),
    )
    assert len(reading.clocks) == 1


def test_what_was_at_work_beside() -> None:
    assert lines.read(text([BESIDE, GOOD[-1]]), 0).beside == lines.Beside(2, 1, 40)
    assert lines.read(text(GOOD), 0).beside is None


@pytest.mark.parametrize(
    "change",
    [
        {"cpus": 4}, {"cpus": ""}, {"cpus": "four"}, {"cpus": "4-"}, {"cpus": "\u0664"}, {"cpus": "4," * 500 + "4"},
        {"source": "a guess"}, {"source": []}, {"share": 1001}, {"lowest": 2101}, {"highest": 2099},
    ],
)  # fmt: skip
def test_a_clock_that_contradicts_itself_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(RunnerFailed, match="clock"):
        lines.read(text([{**CLOCKS[0], **change}, GOOD[-1]]), 0)


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        (WINDOWS[1:], "window 0 is missing"),
        ([WINDOWS[0], WINDOWS[0]], "window 1 is missing"),
        ([WINDOWS[0], {**WINDOWS[1], "ns": 900_000_000}], "window 1 is missing"),
        ([BESIDE, BESIDE], "second event 'beside'"),
        (CLOCKS * 33, "more than 64 'clock' events"),
    ],
)
def test_events_that_cannot_follow_each_other_are_refused(events: list[dict[str, Any]], reason: str) -> None:
    with pytest.raises(RunnerFailed, match=reason):
        lines.read(text([*events, GOOD[-1]]), 0)


@pytest.mark.parametrize(
    ("events", "status", "reason"),
    [
        (GOOD[:-1], 0, "without its end marker"),
        (GOOD[:3], 137, "out of memory"),
        ([], 127, "not there"),
        ([], 126, "wrong ABI"),
        ([], 139, "signal 11"),
        (
            [
                {"event": "error", "kind": "bad_job", "message": "key x"},
                {"event": "end", "status": "error", "exit": 2, "ns": 1},
            ],
            2,
            "bad_job: key x",
        ),
        ([{"event": "dance"}], 0, "unknown runner event 'dance'"),
        ([{"event": "environment", "contract": 1}], 0, "contract 1, not 3"),
        ([GOOD[1], GOOD[1]], 0, "second event 'load'"),
        ([*GOOD, GOOD[5]], 0, "second event 'iteration'"),
        ([GOOD[5]], 0, "iteration 0 is missing"),
        ([GOOD[4], GOOD[4]], 0, "iteration 1 is missing"),
    ],
)
def test_a_bad_launch_says_why(events: list[dict[str, Any]], status: int, reason: str) -> None:
    with pytest.raises(RunnerFailed, match=reason):
        lines.read(text(events), status)


NUMBERS = [
    (event, key)
    for event in (*GOOD[1:], ANSWERS, CLOCKS[0], WINDOWS[0], BESIDE)
    for key, value in event.items()
    if isinstance(value, int) and (event["event"], key) not in {("warmup", "ns"), ("memory", "rss"), ("end", "exit")}
]


@pytest.mark.parametrize(("event", "key"), NUMBERS)
@pytest.mark.parametrize(
    "value", ["-5", "NaN", "Infinity", "-Infinity", "1e308", "1.5", "9" * 30, "9" * 5000, '"5"', "true", "null", "[5]"]
)
def test_a_number_that_cannot_be_is_refused(event: dict[str, Any], key: str, value: str) -> None:
    spoilt = json.dumps({**event, key: "HERE"}).replace('"HERE"', value)
    launch = [spoilt] if event["event"] == "end" else [spoilt, text(GOOD)[-1]]
    with pytest.raises(RunnerFailed):
        lines.read(launch, 0)


def test_an_inference_takes_time() -> None:
    with pytest.raises(RunnerFailed, match="no usable whole number 'ns'"):
        lines.read(text([{"event": "iteration", "i": 0, "ns": 0}, GOOD[-1]]), 0)


@pytest.mark.parametrize("change", [{"bytes": 131}, {"counts": []}, {"counts": [11, 0]}, {"counts": 11}, {"path": 3}])
def test_answers_that_contradict_themselves_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(RunnerFailed, match="answers"):
        lines.read(text([{**ANSWERS, **change}, GOOD[-1]]), 0)


def test_lines_of_something_else_are_counted_and_left_out() -> None:
    """Android's linker warns on standard output of old shells; some end their lines with CR LF."""
    warning = "WARNING: linker: ./bench-runner: unused DT entry: type 0x6ffffffe arg 0x5e8"
    mixed = [warning, "", *(f"{line}\r" for line in text(GOOD)[:4]), warning, *text(GOOD)[4:], "$ "]
    reading = lines.read(mixed, 0)
    assert reading.strays == 3
    assert reading.samples == lines.read(text(GOOD), 0).samples


@pytest.mark.parametrize(
    "line", ["{", '{"event":', '{"event":5}', "{}", '{"event":' + "[" * 100_000, "{" + '"a":{' * 100_000]
)
def test_a_broken_event_is_refused_and_quoted_shortly(line: str) -> None:
    with pytest.raises(RunnerFailed, match="not an event") as refused:
        lines.read([line, *text(GOOD)], 0)
    assert len(str(refused.value)) < 400


def test_words_of_a_device_are_short_and_printable() -> None:
    hostile = "\\u001b[2J\\ud800" + "x" * 100_000
    deep = "[" * 50 + "]" * 50
    environment = f'{{"event":"environment","contract":3,"compiler":"{hostile}","deep":{deep}}}'
    error = f'{{"event":"error","kind":"{hostile}","message":"{hostile}"}}'
    told = lines.read([environment, text(GOOD)[-1]], 0).environment["compiler"]
    with pytest.raises(RunnerFailed) as refused:
        lines.read([environment, error], 2, hostile)
    for words in (told, refused.value.what):
        assert words.isprintable()
        assert len(words) < 1000
        words.encode()


LINES = st.one_of(
    st.text(max_size=40),
    st.sampled_from(text([*GOOD, *CLOCKS, *WINDOWS])),
    st.builds(lambda t: "{" + t, st.text(max_size=40)),
)


@given(st.lists(LINES, max_size=8), st.integers(0, 255))
def test_any_output_is_understood_or_refused(output: list[str], status: int) -> None:
    try:
        reading = lines.read(output, status)
    except RunnerFailed:
        return
    assert status == 0
    assert text(GOOD)[-1] in output
    assert all(s.value >= 0 for s in reading.samples)
