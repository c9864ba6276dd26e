"""Thousands of made-up requests to every form, every query parameter and every part of a path: never a server error.

The forms are those the pages show, so a new form is tried without further work, if its page is in the matrix of
`tests/access/matrix.py`. The same requests come every time.
"""

from __future__ import annotations

import random
import re
import traceback
from collections import Counter, defaultdict
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart
from django.urls import get_resolver, reverse

from spinetrial.audit.clock import at
from spinetrial.crf.registry import all_specs
from spinetrial.crf.spec import Keeping
from tests.access.matrix import TABLE, rows
from tests.access.walk import Walk
from tests.cast import PASSWORD
from tests.conftest import own_database
from tests.world import NOW, taken_back

ROOT = Path(__file__).resolve().parent.parent.parent
ROOMS = ("spinetrial", "patients", "randomization", "radiotherapy", "followup", "adverse_events")

GARBAGE = (
    *("", " ", "\t\n", "a\x00b", "\x00", "\x07\x1b[31m", "\x7f\x85", "\u202e\u2066evil\u2069", "\u2028"),
    "\ufeff\ufffe\uffff",
    *("x" * 10_000, "🦴" * 600, "汉" * 4001, "e\u0301" * 500, "٣", "１２", "½", "Ⅷ", "²"),
    *("-1", "0", "00", "1", "11", "2147483648", "9223372036854775808", "-9223372036854775809", "9" * 400, "1_0", "+1"),
    *("0.1", "1,5", "1.5.5", ".", "-0", "1e5", "1e400", "-1e-400", "NaN", "sNaN", "Infinity", "-inf", "0x1F"),
    "1" + "0" * 30,
    *("0000-00-00", "0001-01-01", "9999-12-31", "10000-01-01", "2026-02-30", "2025-13", "1890-01-01", "2999-12-31"),
    *("2026-06-29", "2026-06-29T25:61", "0001-01-01T00:00", "9999-12-31T23:59", "2026-06-29T10:00+99:00", "24:00"),
    *("<script>alert(1)</script>", "' OR 1=1 --", "%s%n%(x)s", "{{ 7 }}{% x %}", "../../etc/passwd", "\\", "/"),
    "//elsewhere.example",
    *("None", "True", "False", "on", "null", "[]", "{}", '{"a": [1]}', "a,b;c|d", "\r\nX-Planted: 1", "=1+1", "new"),
    *("en", "zh-hans", "xx", "NK", "NK-001", "T8", "done", "open", "ND", "closed", "csv"),
)  # fmt: skip
#: What a person must know to get past the first question of a form, so that the others are looked at too.
KNOWN = {"reason": "because", "form_reason": "because", "password": PASSWORD}
PART = re.compile(r"<(?:\w+:)?(\w+)>")
#: Answers in words; anything else, and any exception, is a fault.
IN_WORDS = {200, 302, 400, 403, 404, 405, 409, 413, 415, 422, 429}


class Form(NamedTuple):
    """A form as a page shows it."""

    address: str
    fields: tuple[tuple[str, str], ...]


class _Forms(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.page, self.forms, self.fields = page, [], None
        self.choosing = ""

    def handle_starttag(self, tag, attrs) -> None:
        values = dict(attrs)
        if tag == "form" and (values.get("method") or "").lower() == "post":
            self.fields = []
            target = urlsplit(values.get("action") or self.page)
            self.forms.append((target.path + (f"?{target.query}" if target.query else ""), self.fields))
        elif self.fields is not None and values.get("name"):
            if tag == "select":
                self.choosing = values["name"]
                self.fields.append((self.choosing, ""))
            elif tag != "input" or values.get("type") not in ("radio", "checkbox") or "checked" in values:
                self.fields.append((values["name"], values.get("value") or ""))
            else:
                self.fields.append((values["name"], ""))
        elif tag == "option" and self.choosing and "selected" in values and self.fields is not None:
            self.fields.append((self.choosing, values.get("value") or ""))

    def handle_endtag(self, tag) -> None:
        if tag == "form":
            self.fields = None
        elif tag == "select":
            self.choosing = ""


def forms_of(page: str, markup: str) -> list[Form]:
    parser = _Forms(page)
    parser.feed(markup)
    return [Form(address, tuple(dict(sorted(fields)).items())) for address, fields in parser.forms]


class Fuzz(Walk):
    """Requests of the person with every role (and of one with none), counted; what broke is collected."""

    def __init__(self, world) -> None:
        super().__init__(world)
        self.random = random.Random("spinetrial")
        self.tried: Counter[str] = Counter()
        self.answers: Counter[int] = Counter()
        self.faults: dict[str, list[str]] = defaultdict(list)

    def send(self, kind: str, address: str, method: str = "GET", person: str = "everyone", **request: Any) -> Any:
        client = self.clients[person]
        cookies = client.cookies.copy()
        self.tried[kind] += 1
        what = f"{person} {method} {address[:200]} {str(request.get('data', ''))[:1500]}"
        try:
            with taken_back():
                response = client.generic(method, address, **request)
        except Exception as error:  # the test client raises what a server would answer with 500
            here = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)[-4:]]
            self.faults[kind].append(f"{type(error).__name__}: {str(error)[:300]} at {' '.join(here)} <- {what}")
            return None
        finally:
            client.cookies = cookies
        self.answers[response.status_code] += 1
        if response.status_code not in IN_WORDS:
            self.faults[kind].append(f"{response.status_code} <- {what}")
        return response

    # --- forms ---

    def forms(self) -> dict[str, Form]:
        """The forms of all pages, once each."""
        pages = [
            self.address(row.name) for row in rows(TABLE) if row.method == "GET" and row.answers["logged out"] == "log"
        ]
        for spec in all_specs():
            key = {Keeping.ONCE: "form", Keeping.PER_EVENT: "W2", Keeping.REPEATING: "new"}[spec.keeping]
            for subject in (self.world.trial.followed, self.world.trial.new):
                pages.append(reverse("crf_edit", args=[subject.code, spec.code, key]))
        found: dict[str, Form] = {}
        for page in dict.fromkeys(pages):
            with taken_back():
                response = self.clients["everyone"].get(page, follow=True)
            if "text/html" in response.headers["Content-Type"]:
                here = response.request["PATH_INFO"]
                for form in forms_of(here, response.content.decode()):
                    found.setdefault(f"{form.address} {','.join(name for name, _value in form.fields)}", form)
        return found

    def filled(self, form: Form) -> dict[str, Any]:
        """The form as shown, with some or all answers garbage, left out, doubled, or of another kind."""
        draw = self.random
        share = draw.choice((0.1, 0.3, 1.0))
        data: dict[str, Any] = {}
        for name, value in form.fields:
            if draw.random() > share:
                data[name] = value or KNOWN.get(name, "")
            elif draw.random() < 0.85:
                data[name] = draw.choice(GARBAGE)
            elif draw.random() < 0.5:
                data[name] = [draw.choice(GARBAGE) for _ in range(draw.randint(2, 4))]
        for name in draw.sample(("unknown", "id", "pk", "subject", "next", "verb", "confirm", "take", "today"), 2):
            data.setdefault(name, draw.choice(GARBAGE))
        return data

    def post(self, form: Form, person: str = "everyone") -> None:
        draw, kind = self.random, self.random.random()
        data = self.filled(form)
        request = {"data": encode_multipart(BOUNDARY, data), "content_type": MULTIPART_CONTENT}
        if kind < 0.5:
            body = urlencode(data, doseq=True, errors="replace")
            if kind < 0.06:
                body += "&" + "&".join(f"{quote(name)}=%ff%fe%c0%80" for name, _value in form.fields)
            request = {"data": body, "content_type": "application/x-www-form-urlencoded"}
        elif kind < 0.54:
            request = {"data": '{"a": [1, null]}', "content_type": "application/json"}
        elif kind < 0.58:
            request["data"] = request["data"][: draw.randint(0, len(request["data"]))]
        elif kind < 0.60:
            request["content_type"] = "multipart/form-data"
        elif kind < 0.66:
            files = {
                name: SimpleUploadedFile("\u202eх.csv", b"\xff\x00number,arm\n1,\n") for name, _value in form.fields
            }
            request["data"] = encode_multipart(BOUNDARY, {**data, **files})
        self.send("form", form.address, "POST", person, **request)

    # --- addresses ---

    def parameters(self) -> None:
        """Every query parameter that the code reads, at every address."""
        names = sorted(parameters_read())
        for row in rows(TABLE):
            if row.method == "GET":
                for _ in range(1 if row.url_name in HEAVY else 9):
                    chosen = self.random.sample(names, self.random.randint(1, 4))
                    pairs = [(name, self.random.choice(GARBAGE)[:2000]) for name in chosen]
                    query = urlencode([*pairs, *self.random.choices(pairs, k=self.random.randint(0, 1))])
                    self.send(
                        "parameter", f"{self.address(row.name)}?{query}{self.random.choice(('', '&page=%ff', '&&='))}"
                    )

    def paths(self) -> None:
        """Every part of every path, read and posted to."""
        for name, route in routes():
            takes = PART.findall(route)
            for _ in range(8 if takes else 0):
                values = self.path(name)
                for each in self.random.sample(takes, self.random.randint(1, len(takes))):
                    values[each] = self.random.choice(GARBAGE)[:300]
                quoted = {each: quote(str(value), safe="") for each, value in values.items()}
                address = "/" + PART.sub(r"{\1}", route).format(**quoted)
                method = self.random.choice(("GET", "GET", "POST", "PUT", "DELETE", "HEAD"))
                self.send("path", address, method)


#: Pages that take a tenth of a second and more.
HEAVY = ("report", "report_pdf", "export_zip", "casebook_pdf", "site_casebooks", "site_data")


def parameters_read() -> set[str]:
    """The names that the code asks `request.GET` for."""
    read = re.compile(r"""\bGET(?:\.get|\.getlist)?[(\[]\s*["'](\w+)["']""")
    return {name for room in ROOMS for path in (ROOT / room).rglob("*.py") for name in read.findall(path.read_text())}


def routes(patterns=None, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every URL name with its route."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        if hasattr(pattern, "url_patterns"):
            yield from routes(pattern.url_patterns, prefix + str(pattern.pattern))
        else:
            yield pattern.name, prefix + str(pattern.pattern)


@pytest.fixture(scope="module")
def fuzz(request, worlds, django_db_blocker):
    template, world = worlds("WHOLE", locked=True)
    with own_database(request, template, django_db_blocker), at(NOW):
        yield Fuzz(world)


def judge(fuzz: Fuzz, kind: str, at_least: int) -> None:
    """No fault, and as many requests as were promised."""
    print(f"{fuzz.tried[kind]} requests of kind {kind}; answers {dict(sorted(fuzz.answers.items()))}")
    faults = dict.fromkeys(fuzz.faults[kind])
    assert not faults, f"{len(faults)} faults:\n" + "\n".join(faults)
    assert fuzz.tried[kind] >= at_least


def test_every_form_takes_garbage_without_a_server_error(fuzz):
    forms = fuzz.forms()
    assert len(forms) > 40
    for form in forms.values():
        many = len(form.fields) > 100  # a grid: slow, and each request tries hundreds of answers
        for _ in range(16 if many else 28):
            fuzz.post(form)
        fuzz.post(form, person="outsider")
        fuzz.post(form, person="")
    judge(fuzz, "form", 1800)


def test_every_query_parameter_takes_garbage_without_a_server_error(fuzz):
    assert {"page", "state", "item", "site", "q", "lang"} <= parameters_read()
    fuzz.parameters()
    judge(fuzz, "parameter", 700)


def test_every_part_of_a_path_takes_garbage_without_a_server_error(fuzz):
    fuzz.paths()
    judge(fuzz, "path", 300)


def test_the_requests_are_more_than_three_thousand(fuzz):
    assert sum(fuzz.tried.values()) >= 3000


def test_a_planted_server_error_is_found(fuzz, monkeypatch):
    def broken(*_args, **_kwargs):
        raise ValueError("planted")

    monkeypatch.setattr("spinetrial.outbox.views.all_kinds", broken)
    planted = Fuzz(fuzz.world)
    planted.send("path", reverse("messages"))
    assert "ValueError: planted" in planted.faults["path"][0]
