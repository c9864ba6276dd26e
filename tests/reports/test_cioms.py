"""A signed report of a serious event as PDF and as CSV: complete, in both languages, without name and arm."""

import csv
import io
import os
import re
from datetime import date, timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.urls import reverse
from pypdf import PdfReader

from patients.models import Demographics, PrimaryTumour
from spinetrial.audit.acting import acting
from spinetrial.exports.e2b import ELEMENTS, row_of
from tests.adverse_events.helpers import AWARE, MYELITIS, event, signed
from tests.cast import SETUP, cast  # noqa: F401
from tests.followup.helpers import baseline, treated

LONG = "On day 3 the patient reported weakness of both legs. " * 60


@pytest.fixture
def reported(cast):  # noqa: F811
    """Two versions of a severe event; the second, with a long course, is longer than its boxes."""
    subject = treated(cast.coordinator_a, cast.site_a)
    baseline(subject)
    with acting(SETUP, "test"):
        Demographics(subject=subject, birth_date=date(1960, 3, 1), sex="female", height_cm=165).save()
        PrimaryTumour(
            subject=subject, site="lung", tumour_class="solid", histology="adenocarcinoma", stage="4",
            pathology_confirmed=True, pathology_of="primary", pathology_date=date(2025, 1, 1),
            diagnosed_on=date(2025, 1, 1),
        ).save()  # fmt: skip
    values = {
        "verbatim": "=weak legs 双下肢无力",
        "ctcae_code": MYELITIS,
        "grade": 3,
        "sae_hospital": True,
        "sae_disability": True,
        "aware_at": AWARE,
        "unexpected": True,
        "treated": True,
        "treatment": "dexamethasone",
        "remarks": "Admitted the same day.",
    }
    record = event(subject, cast.coordinator_a, **values)
    first = signed(record, cast.investigator_a, AWARE + timedelta(hours=2))
    changed = event(
        subject, cast.coordinator_a, record=record, **{**values, "grade": 4, "remarks": LONG, "sae_life": True}
    )
    second = signed(changed, cast.investigator_a, AWARE + timedelta(days=3), comment="MRI awaited")
    return first, second


def pdf(client, report, language):
    address = reverse("sae_pdf", args=[report.subject.code, report.event_id, report.number])
    response = client.get(address, {"lang": language})
    assert response.status_code == 200
    if folder := os.environ.get("JOURNEY_PICTURES"):
        (Path(folder) / f"cioms_{report.number}_{language}.pdf").write_bytes(response.content)
    return response.content


def words(content) -> list[str]:
    return [page.extract_text() for page in PdfReader(io.BytesIO(content)).pages]


def test_the_pdf_has_the_boxes_of_cioms_and_the_same_bytes_each_time(cast, client, reported):  # noqa: F811
    first, second = reported
    client.force_login(cast.monitor_a)
    content = pdf(client, first, "en")
    assert content == pdf(client, first, "en")
    (page,) = words(content)
    for box in ("1. Participant", "2a.", "3. Sex", "4-6.", "7 + 13.", "8-12.", "14.", "15.", "17.", "18.", "20.", "21.",
                "22.", "23.", "24a.", "24b.", "24c.", "24d.", "25a."):  # fmt: skip
        assert box in page, box
    for fact in (first.subject.code, "65", "Female", "Myelitis, grade 3", "30 Gy / 10 fractions", first.sha256):
        assert fact in page, fact
    long = words(pdf(client, second, "en"))
    assert len(long) == 2
    assert "continued on the next page" in long[0]
    assert "Changed since report 1" in long[1]
    assert re.sub(r"\s+", " ", long[1]).count("weakness of both legs") >= 60


def test_the_chinese_pdf_is_chinese(cast, client, reported):  # noqa: F811
    client.force_login(cast.coordinator_a)
    assert "双下肢无力" in words(pdf(client, reported[0], "zh-hans"))[0]
    pdf(client, reported[1], "zh-hans")
    address = reverse("sae_pdf", args=[reported[0].subject.code, reported[0].event_id, 1])
    assert client.get(address, {"lang": "xx"}).status_code == 404
    assert client.get(address.replace("/1/cioms", "/7/cioms")).status_code == 404


def test_neither_name_nor_birth_date_nor_arm_is_printed(cast, client, reported):  # noqa: F811
    client.force_login(cast.statistician)
    first, _second = reported
    texts = [*words(pdf(client, first, "en")), str(row_of(first.facts).rows)]
    for text in texts:
        for word in ("Zhang", "1960", "LOCAL", "WHOLE", "sectors"):
            assert word not in text


def test_the_csv_carries_data_element_numbers_and_is_safe_in_a_spreadsheet(cast, client, reported):  # noqa: F811
    first, _second = reported
    client.force_login(cast.coordinator_a)
    response = client.get(reverse("sae_csv", args=[first.subject.code, first.event_id, 1]))
    (row,) = csv.DictReader(io.StringIO(response.content.decode("utf-8-sig")))
    assert row["C.1.3"] == "2"
    assert row["D.1"] == "MSK"
    assert (row["D.2.2a"], row["D.2.2b"], row["D.5"]) == ("65", "a", "2")
    assert row["E.i.1.1a"] == "'=weak legs 双下肢无力"
    assert row["E.i.2.1b"] == MYELITIS
    assert [row[f"E.i.3.2{letter}"] for letter in "abcdef"] == ["", "", "true", "true", "", ""]
    assert (row["E.i.4"], row["E.i.7"]) == ("20250920", "3")
    assert row["C.1.4"] == "20251001013000+0000"
    assert row["C.1.7"] == "true"


def test_every_column_is_explained_and_every_number_looks_like_one():
    text = (settings.BASE_DIR / "docs" / "e2b.md").read_text(encoding="utf-8")
    for number, name, _value in ELEMENTS:
        assert re.fullmatch(r"[CDEGH](\.[a-z0-9]+)+", number), number
        assert f"| {number} | {name} |" in text
    assert len({number for number, _name, _value in ELEMENTS}) == len(ELEMENTS)
