"""axe on the main pages of a trial with data, at 1280 and at 390 pixels: nothing serious or critical."""

from axe_playwright_python.sync_playwright import Axe
from django.urls import reverse

from spinetrial.access.policy import allowed_roles
from spinetrial.crf.registry import all_specs
from spinetrial.crf.spec import Keeping
from tests.journey.participants import TODAY, Trial, make_trial
from tests.journey.steps import Clock, freeze, log_in, shot

#: WCAG 2.2 at level AA, as axe knows it.
RULES = {
    "resultTypes": ["violations"],
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
}


def pages(trial: Trial) -> list[str]:
    code, ready = trial.followed.code, trial.ready.code
    forms = []
    for spec in all_specs():
        if not allowed_roles(spec.enter):
            continue  # the participant's questionnaire: tests/followup/test_questionnaire_browser.py
        subject = trial.subject_of(spec.code)
        key = {Keeping.ONCE: "form", Keeping.PER_EVENT: "W2", Keeping.REPEATING: "new"}[spec.keeping]
        forms.append(reverse("crf_edit", args=[subject.code, spec.code, key]))
    return [
        *("/worklist/", "/subjects/", f"/subjects/{code}/", "/queries/", "/safety/", "/report/", "/trial/", "/lists/"),
        *("/ctcae/", "/ctcae/10041569/", "/ctcae/load/"),
        *("/accounts/", "/accounts/new/", "/messages/", "/subjects/new/", "/lists/new/", "/lists/import/"),
        *forms,
        reverse("crf", args=[code, "P.DM", "form"]),
        *("/verification/?show=all", "/signing/", f"/subjects/{code}/sign/", f"/subjects/{code}/signatures/"),
        reverse("crf_answers", args=[code, "R.RT", "form"]),
        reverse("radiotherapy", args=[code]),
        reverse("adverse_events", args=[code]),
        reverse("response", args=[code, "W2"]),
        "/factors/?from=fpm2021",
        "/examples/?table=14+6%0A9+10",
        reverse("allocation", args=[code]),
        reverse("allocation_slip", args=[code]),
        reverse("randomize", args=[ready]),
        reverse("contact", args=[code]),
        reverse("questionnaire_link", args=[code, "W2"]),
        reverse("query", args=[trial.query.pk]),
        reverse("list_detail", args=[trial.draft.pk]),
        reverse("account", args=[trial.cast.outsider.pk]),
    ]


def grave(page) -> list[str]:
    found = Axe().run(page, options=RULES).response["violations"]
    return [
        f"{page.url} {each['id']} ({each['impact']}): {each['nodes'][0]['html'][:160]}"
        for each in found
        if each["impact"] in ("serious", "critical")
    ]


def test_no_page_shuts_anyone_out(committed_db, monkeypatch, browser_page):
    trial, clock = make_trial(), Clock()
    clock.to(TODAY)
    freeze(monkeypatch, clock)
    page, faults = browser_page, []
    page.goto("/login/")
    faults += grave(page)
    log_in(page, trial.everyone.username)
    for url in pages(trial):
        page.goto(url)
        faults += grave(page)
    # on a telephone: the pages one needs at the bedside, and nothing wider than the screen
    page.set_viewport_size({"width": 390, "height": 844})
    code = trial.followed.code
    for url in (
        "/worklist/",
        f"/subjects/{code}/",
        f"/subjects/{code}/F.VISIT/W2/edit/",
        f"/subjects/{code}/radiotherapy/",
        f"/subjects/{code}/sign/",
        "/verification/?show=all",
    ):
        page.goto(url)
        faults += grave(page)
        shot(page, f"390{url.replace('/', '_')}")
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > 390:
            faults.append(f"{url} is {wide} pixels wide on a telephone")
    assert not faults, "\n".join(dict.fromkeys(faults))
