"""The exported R script computes, from the exported files alone, the numbers of the report."""

import csv
import io
import json
import math
import os
import random
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest

from patients.models.baseline import Neurology
from spinetrial.analysis.data import Snapshot
from spinetrial.exports.archive import Origin, build_zip
from spinetrial.exports.second_program import script
from spinetrial.protocol import CURRENT
from spinetrial.protocol.model import ArmRole
from tests.analysis import trial
from tests.analysis.trial import Patient, make_snapshot, responder, two_arms
from tests.exports.second_program import Value, first_program

#: Largest difference from the report, relative above 1. nlme's search ends about 1e-6 from the maximum.
TOLERANCE = 1e-6
TOLERANCE_OF = {"mmrm": 1e-4}


def export(snapshot: Snapshot, folder: Path, reveal: bool = True) -> Path:
    """Unpack an export; gives its folder of the analysis."""
    origin = Origin(1, datetime(2026, 11, 1, 8, tzinfo=UTC), snapshot.sha256(), "1.0")
    with zipfile.ZipFile(io.BytesIO(build_zip(snapshot, origin, reveal=reveal))) as archive:
        archive.extractall(folder)
    return folder / "analysis"


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["Rscript", "analysis.R", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        # No way out: a proxy that is not there. Personal start-up files of R are left aside.
        env={
            "PATH": os.environ["PATH"], "R_PROFILE_USER": "/dev/null", "R_LIBS_USER": "/dev/null",
            "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", **environment,
        },
    )  # fmt: skip


def second_program(folder: Path, **environment: str) -> dict[str, str]:
    """What the R script finds."""
    answer = run(folder, **environment)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert answer.stderr == ""
    with open(folder / "results_r.csv", encoding="utf-8") as file:
        pairs = [(row["key"], row["value"]) for row in csv.DictReader(file)]
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def differences(first: dict[str, Value], second: dict[str, str]) -> list[str]:
    """Keys whose values differ by more than the tolerance, and keys of one program only."""
    found = sorted(set(first) ^ set(second))
    for key in sorted(set(first) & set(second)):
        one, two = first[key], second[key]
        if one is None or isinstance(one, str) or two == "NA":
            same = two == ("NA" if one is None else one)
        else:
            allowed = TOLERANCE_OF.get(key.split(".")[0], TOLERANCE)
            same = math.isclose(one, float(two), rel_tol=allowed, abs_tol=allowed)
        if not same:
            found.append(f"{key}: report {one}, R {two}")
    return found


def random_trial(seed: int, patients: int, death: float = 0.3) -> Snapshot:
    """A trial in which everything varies that the results depend on; the same seed gives the same trial."""
    chance = random.Random(seed)
    builder = trial.Builder()
    for number in range(1, patients + 1):
        patient = Patient(
            site=chance.choice(("NK", "SH")), number=number, arm=chance.choice(("LOCAL", "WHOLE")),
            nrs=chance.randint(1, 10), omed=chance.choice((0, 20, 30, 60, 60, 120)),
            fractions=chance.choice((10, 10, 10, 10, 9, 8, 0)), right_target=chance.random() < 0.9,
            confirmed=chance.random() < 0.95, baseline_fracture=chance.random() < 0.1,
            events=[(code, chance.randint(1, 4)) for code in AE_CODES if chance.random() < 0.35],
            imaging={event: _reading(chance) for event in ("M3", "M6") if chance.random() < 0.7},
        )  # fmt: skip
        trend = chance.gauss(-2, 2)
        for event in ("W2", "M3", "M6"):
            fate = chance.random()
            if fate < 0.1:
                patient.missed[event] = chance.choice(("refused", "too_ill"))
            elif fate < 0.95:
                nrs = max(0, min(10, round(patient.nrs + trend + chance.gauss(0, 1.5))))
                omed = chance.choice((patient.omed, patient.omed, patient.omed, 0, 25, 75, None))
                patient.visits[event] = (nrs if chance.random() < 0.95 else None, omed, chance.randint(-12, 12))
        if chance.random() < death:
            patient.death = patient.rt_end + timedelta(days=chance.randint(0, 300))
            patient.visits = {e: v for e, v in patient.visits.items() if patient.due(e) < patient.death}
        if patient.visits and chance.random() < 0.15:
            patient.retreated = patient.rt_end + timedelta(days=chance.randint(10, 120))
        trial._patient(builder, patient)
        builder.rows["P.DM"][-1] |= {"birth_date": f"{chance.randint(1935, 1985)}-06-15"}
        builder.rows["P.STATUS"][-1] |= {"ecog": chance.randint(0, 2), "kps": chance.choice((60, 70, 80, 90))}
        builder.rows["P.STATUS"][-1] |= {"neurology": Neurology.values[number % len(Neurology.values)]}
        builder.rows["P.TUMOUR"][-1] |= {"site": chance.choice(("lung", "breast", "prostate"))}
    return builder.snapshot()


AE_CODES = ("10061103", "10016256", "10028813")


def _reading(chance: random.Random) -> tuple[int, str, str]:
    fracture = chance.choice(("none", "none", "none", "new", "not_assessable"))
    return chance.randint(-20, 20), fracture, chance.choice(("controlled", "controlled", "equivocal", "progression"))


TRIALS: dict[str, Callable[[], Snapshot]] = {
    "nobody": lambda: make_snapshot([]),
    "one patient": lambda: make_snapshot([responder(1, "LOCAL", events=[("10061103", 2)])]),
    "an empty arm": lambda: make_snapshot(two_arms((4, 2), (0, 0))),
    "an empty cell": lambda: make_snapshot(two_arms((6, 0), (4, 3))),
    "no events": lambda: make_snapshot(two_arms((12, 4), (11, 5))),
    "nobody responds": lambda: make_snapshot(two_arms((0, 9), (0, 8))),
    "few, of whom half die": lambda: random_trial(24, 13, death=0.5),
    "a covariance that needs the simpler model": lambda: random_trial(21, 10, death=0.5),
    "the size of the protocol": lambda: random_trial(5, CURRENT.sample_size.total),
    "many": lambda: random_trial(6, 200),
}


@cache
def report(name: str) -> dict[str, Value]:
    """What the report says of one of the trials."""
    return first_program(TRIALS[name]())


@pytest.mark.rscript
@pytest.mark.parametrize("name", TRIALS)
def test_both_programs_find_the_same_numbers(name, tmp_path):
    assert differences(report(name), second_program(export(TRIALS[name](), tmp_path))) == []


def test_the_comparison_covers_what_can_be_estimated():
    """Otherwise both programs could agree on knowing nothing."""
    found = report("the size of the protocol")
    unknown = {key for key, value in found.items() if value is None}
    assert found["mmrm.covariance"] == "unstructured"
    # A median of survival that is not reached, or limits of a curve that is still 0 or 1.
    assert {key for key in unknown if not re.search(r"median|month_", key)} == set()
    assert len(unknown) < len(found) / 20
    assert report("a covariance that needs the simpler model")["mmrm.covariance"] == "compound_symmetry_heterogeneous"
    assert {value for key, value in report("nobody").items() if key.startswith("mmrm") and "_n_" not in key} == {
        None,
        0,
    }


#: Which column is changed, and the beginning of a key that only this change can reach.
PLANTED = {
    ("adrs", "response_literal"): "primary.ITT.study.x",
    ("adrs", "nrs"): "mmrm.M3.difference",
    ("adae", "worst_grade"): "toxicity.10016256.GE2.study.x",
    ("adtte", "days"): "check.survival",
    ("adsl", "age"): "baseline.age.smd",
}


@pytest.mark.rscript
def test_a_changed_number_is_found_in_every_file(tmp_path):
    folder = export(TRIALS["the size of the protocol"](), tmp_path)
    for file, column in PLANTED:
        change_one(folder / "csv" / f"{file}.csv", column)
    found = differences(report("the size of the protocol"), second_program(folder))
    assert {key for key in PLANTED.values() if not any(each.startswith(key) for each in found)} == set()
    # One participant does not move most of the numbers.
    assert len(found) < len(report("the size of the protocol")) / 2


CHANGES = {"response_literal": {"CR": "IR", "PR": "IR"}, "worst_grade": {"2": "1"}}


def change_one(path: Path, column: str) -> None:
    """Change one cell of the study arm: at M3, of the term in the case above, of overall survival."""
    study = CURRENT.arm_of_role(ArmRole.STUDY).code
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        wanted = row["arm"] == study and row.get("visit", "M3") == "M3" and row.get("paramcd", "OS") == "OS"
        if wanted and row.get("ctcae_code", "10016256") == "10016256" and row[column]:
            changed = CHANGES[column].get(row[column]) if column in CHANGES else str((int(row[column]) + 3) % 100)
            if changed:
                row[column] = changed
                break
    else:
        raise AssertionError(f"nothing to change in {column}")
    with open(path, "w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.rscript
def test_nothing_to_estimate_is_said_in_words(tmp_path):
    folder = export(TRIALS["an empty arm"](), tmp_path)
    answer = run(folder)
    assert answer.returncode == 0
    assert "Conclusion (lower limit above -0.15 in ITT and PP): not_estimable" in answer.stdout
    assert "not estimable" in answer.stdout
    assert not re.search(r"\b(NA|NaN|Inf)\b", answer.stdout)


@pytest.mark.rscript
def test_it_runs_with_a_path_and_in_a_plain_locale(tmp_path):
    """Labels are Chinese in part; a C locale must not cut the files short."""
    folder = export(TRIALS["few, of whom half die"](), tmp_path)
    plain = second_program(folder, LC_ALL="C")
    (folder / "results_r.csv").unlink()
    aside = tmp_path / "aside"
    aside.mkdir()
    shutil.copy(folder / "analysis.R", aside)
    assert run(aside, str(folder)).returncode == 0
    with open(folder / "results_r.csv", encoding="utf-8") as file:
        assert {row["key"]: row["value"] for row in csv.DictReader(file)} == plain


@pytest.mark.rscript
def test_a_missing_package_costs_its_section_only(tmp_path):
    folder = export(TRIALS["few, of whom half die"](), tmp_path)
    source = (folder / "analysis.R").read_text(encoding="utf-8")
    (folder / "analysis.R").write_text(
        source.replace('"cmprsk", function', '"cmprskabsent", function'), encoding="utf-8"
    )
    answer = run(folder)
    assert answer.returncode == 0
    assert "Left out: package cmprskabsent is not installed." in answer.stdout
    with open(folder / "results_r.csv", encoding="utf-8") as file:
        keys = [row["key"] for row in csv.DictReader(file)]
    assert not [key for key in keys if key.startswith("incidence.")]
    assert "baseline.age.smd" in keys


@pytest.mark.rscript
@pytest.mark.parametrize("file", ["csv/adrs.csv", "parameters.csv"])
def test_a_missing_file_is_an_error(file, tmp_path):
    folder = export(TRIALS["no events"](), tmp_path)
    (folder / file).unlink()
    answer = run(folder)
    assert answer.returncode == 1
    assert Path(file).name in answer.stderr
    assert not (folder / "results_r.csv").exists()


def test_the_script_and_its_parameters_are_in_the_manifest(tmp_path):
    folder = export(TRIALS["no events"](), tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))
    assert {"analysis/analysis.R", "analysis/parameters.csv"} <= {each["path"] for each in manifest["files"]}
    readme = (tmp_path / "README.txt").read_text(encoding="utf-8-sig")
    assert readme.count("Rscript analysis.R") == 2  # in English and in Chinese
    assert (folder / "analysis.R").read_bytes() == script()


def test_a_masked_export_has_no_script(tmp_path):
    folder = export(TRIALS["no events"](), tmp_path, reveal=False)
    assert sorted(path.name for path in folder.iterdir()) == ["csv", "spss"]
    assert "Rscript" not in (tmp_path / "README.txt").read_text(encoding="utf-8-sig")


def test_the_parameters_are_those_of_the_protocol(tmp_path):
    with open(export(TRIALS["no events"](), tmp_path) / "parameters.csv", encoding="utf-8-sig", newline="") as file:
        given = {row["name"]: row["value"].removeprefix("'") for row in csv.DictReader(file)}
    assert float(given["margin"]) == CURRENT.primary.hypothesis.margin
    assert float(given["level"]) == CURRENT.primary.analysis.confidence
    assert given["primary_visit"] == CURRENT.primary.timepoint.visit
    assert {name.split(".", 1)[1] for name in given if name.startswith("sensitivity_")} == {
        entry.code for entry in CURRENT.sensitivity
    }
    assert given["study_arm"] == CURRENT.arm_of_role(ArmRole.STUDY).code


def test_no_number_of_the_protocol_is_written_into_the_script():
    program = re.sub(r"#.*", "", script().decode("utf-8"))
    hypothesis, arms = CURRENT.primary.hypothesis, [arm.code for arm in CURRENT.arms]
    for word in (
        repr(abs(hypothesis.margin)),
        repr(hypothesis.alpha),
        repr(CURRENT.primary.analysis.confidence),
        *arms,
    ):
        assert not re.search(rf"(?<![\w.]){re.escape(word)}(?![\w.])", program), word
    assert not re.search(r'"(W2|M3|M6)"', program)
