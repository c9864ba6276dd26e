"""In a browser on a small telephone, in Chinese: from the link in the e-mail to the stored report."""

from datetime import date

from axe_playwright_python.sync_playwright import Axe
from django.core import mail

from followup import questionnaire, reminders
from followup.models import Channel, PatientAnalgesic, PatientReport
from patients.models import Contact, SitesOfDisease
from spinetrial.audit.acting import acting
from spinetrial.outbox.send import do_send_due
from tests.cast import SETUP, make_cast
from tests.followup.helpers import baseline, treated
from tests.followup.test_questionnaire_messages import agree
from tests.journey.steps import Clock, freeze, log_in


def prepared(settings, monkeypatch):
    settings.SITE_URL = "https://trial.example.org"
    clock, cast = Clock(), make_cast()
    subject = treated(cast.coordinator_a, cast.site_a)
    baseline(subject)
    with acting(SETUP, "test"):
        Contact.objects.filter(subject=subject).delete()
        Contact(subject=subject, name="Zhang Secret", email="zhang@example.org").save()
        SitesOfDisease(
            subject=subject, imaging_modality="mri", imaging_date=date(2025, 8, 25), index_level="T9", escc="0"
        ).save()
    agree(subject)
    freeze(monkeypatch, clock)
    clock.to(date(2025, 12, 20))
    return cast, subject


def looks_right(page) -> None:
    """Nothing sticks out at the side, every target is large enough, and no rule of accessibility is broken."""
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    sizes = page.evaluate("[...document.querySelectorAll('button, .nrs-item, .choice')].map(e => e.offsetHeight)")
    assert all(size >= 44 for size in sizes)
    assert Axe().run(page).response["violations"] == []


def test_from_the_e_mail_to_the_stored_report_in_chinese_on_a_telephone(
    committed_db, settings, monkeypatch, browser_page
):
    _cast, _subject = prepared(settings, monkeypatch)
    mail.outbox = []
    reminders.do_plan()
    do_send_due()
    (message,) = [each for each in mail.outbox if each.to == ["zhang@example.org"]]
    link = next(line for line in message.body.splitlines() if line.startswith("https://"))
    page = browser_page
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(link.removeprefix("https://trial.example.org"))
    looks_right(page)
    page.get_by_role("button", name="中文").click()
    page.wait_for_url("**/pain/")
    assert page.locator("html").get_attribute("lang") == "zh-hans"
    assert page.locator(".place img").evaluate("image => image.complete && image.naturalWidth > 0")
    looks_right(page)
    page.get_by_role("radio", name="3").check()
    page.locator("button.next").click()
    page.wait_for_url("**/medicines/")
    looks_right(page)
    page.keyboard.press("Tab")
    page.locator("#a-some").check()
    page.locator("button.next").click()
    page.wait_for_url("**/which/")
    for _press in range(2):
        page.locator(".stepper button").nth(1).click()
    looks_right(page)
    page.locator("button.next").click()
    page.wait_for_url("**/check/")
    looks_right(page)
    page.locator("button.next").click()
    page.wait_for_url(lambda url: url.endswith(link.rpartition("/q/")[2]))
    looks_right(page)
    assert page.context.cookies() == []
    report = PatientReport.objects.get()
    assert (report.nrs_worst, report.language, report.channel) == (3, "zh-hans", Channel.EMAIL)
    assert PatientAnalgesic.objects.get().times == 2


def test_no_way_leads_back_from_the_participants_tablet_to_the_pages_of_staff(
    committed_db, settings, monkeypatch, browser_page
):
    _cast, subject = prepared(settings, monkeypatch)
    page = browser_page
    log_in(page, "coordinator-a")
    page.goto(f"/subjects/{subject.code}/questionnaire/M3/")
    page.get_by_role("button", name="Hand the tablet to the participant").click()
    page.get_by_role("button", name="English").click()
    page.wait_for_url("**/pain/")
    for _press in range(4):
        page.go_back()
        # the questionnaire, or the page that asks staff to log in
        assert page.locator(".rail").count() == 0
        assert "/q/" in page.url or "/login/" in page.url or page.url == "about:blank"
    page.goto(f"/subjects/{subject.code}/")
    assert "/login/" in page.url
    assert questionnaire.report_of(subject, "M3") is None
