"""A trial is locked, exported and reported, and a computation of its own finds the same numbers in the export."""

from django.urls import reverse

from spinetrial.analysis.lock import do_lock_trial
from spinetrial.analysis.models import DataVersion
from spinetrial.reports.models import ReportKind
from spinetrial.review import trial
from tests.analysis.recompute import expected_lines, pdf_text, read, squeezed
from tests.reports.making import make_report


def test_the_report_of_a_locked_trial_agrees_with_a_recomputation_from_its_export(client, simulated_trial):
    trial.do_freeze(simulated_trial.person("data-manager"), "all visits entered")
    do_lock_trial(simulated_trial.person("statistician"), "final analysis")

    client.force_login(simulated_trial.person("statistician"))
    archive = client.get(reverse("export_zip", args=[1])).content
    version = DataVersion.objects.get()
    pdf = make_report(simulated_trial.person("statistician"), ReportKind.FINAL, version).pdf("en")
    assert len(read(archive, "analysis/csv/adsl.csv")) == 66

    text = pdf_text(pdf)
    lines = expected_lines(archive)
    assert len(lines) == 6
    for line in lines:
        assert squeezed(line) in text, line
    assert squeezed(lines[0].replace("/", "9/", 1)) not in text
