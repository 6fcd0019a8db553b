"""`python -m benchmarks.reference RUN`: the score's reference file, from a run of the suite `ai`.

Prints what bench/analyse/reference.toml shall hold: the figures of the ordinary networks in RUN's summary.csv. Which
tests there are is kept from the file as it is.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

from bench.analyse import score

HEAD = """\
# The reference of the score (docs/score.md): what has 1000 points in every test. Latency in ns, memory in bytes,
# pictures in pixels, accuracy as a fraction or in dB. `python -m benchmarks.reference` writes it from a run of the
# suite `ai`.
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reference", description=__doc__)
    parser.add_argument("run", type=Path, help="the folder of a run of the suite ai, on one phone")
    parser.add_argument("--name", required=True, help="of the machine, e.g. `virtual Pixel 8 with 2 GiB`")
    parser.add_argument("--machine", required=True, help="what stands behind it, e.g. its processor")
    parser.add_argument("--version", type=int, default=1, help="higher for every other machine or formula")
    given = parser.parse_args()
    with (given.run / "summary.csv").open(encoding="utf-8", newline="") as file:
        next(file)  # the schema's version
        rows = [row for row in csv.DictReader(file) if row["variant"] == "baseline" and row["device"] != "desktop"]
    cells = {(row["model"], row["metric"]): row for row in rows}
    record = json.loads((given.run / "run.json").read_text(encoding="utf-8"))
    parts = [
        f"{HEAD}version = {given.version}\nname = {json.dumps(given.name)}\n"
        f"virtual = {str(any(row['virtual'] == 'True' for row in rows)).lower()}\n"
        f"measured = {json.dumps(record['started'][:10])}\ncommit = {json.dumps(record['commit'])}\n"
        f"machine = {json.dumps(given.machine)}\n"
    ]
    for test in score.reference()[1]:
        cell = cells[test.network, test.metric]
        if cell["usable"] != "True":
            parser.error(f"{test.metric} of {test.network} is {cell['verdict']}")
        part = (
            f'[[tests]]\nsection = "{test.section}"\nnetwork = "{test.network}"\nmetric = "{test.metric}"\n'
            f"reference = {float(cell['median'])!r}\n"
        )
        if test.score:
            part += f'score = "{test.score}"\naccuracy = {float(cells[test.network, test.score]["median"])!r}\n'
        parts.append(part)
    print("\n".join(parts), end="")


if __name__ == "__main__":
    main()
