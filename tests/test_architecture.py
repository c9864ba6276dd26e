"""The shape of the code: who imports whom, who touches rows, which view declares what. Each with a planted fault."""

import ast
import re
from pathlib import Path

import pytest
from django.apps import apps
from django.db import connection
from django.urls import get_resolver

from spinetrial.access.policy import POLICY
from spinetrial.audit.install import EXCUSED, audited_models
from spinetrial.review.apps import guarded

ROOT = Path(__file__).resolve().parent.parent

# Rooms from the bottom up. A room imports rooms of lower rank only, and never one of its own rank.
RANKS = {
    "spinetrial.terminology": 0,
    "spinetrial.stats": 0,
    "spinetrial.protocol": 1,
    "spinetrial.audit": 2,
    "spinetrial.access": 3,
    "spinetrial.review": 4,
    "spinetrial.jobs": 4,
    "spinetrial.outbox": 4,
    "spinetrial.crf": 5,
    "patients": 6,
    "randomization": 7,
    "radiotherapy": 7,
    "followup": 7,
    "adverse_events": 7,
    "spinetrial.analysis": 8,
    "spinetrial.exports": 9,
    "spinetrial.reports": 10,
    "spinetrial.worklists": 11,
}
PURE = ("spinetrial.terminology", "spinetrial.stats", "spinetrial.protocol")
# The protocol names vertebrae and sectors, the terminology reads the protocol's arms: one pure pair.
MATES = {"spinetrial.protocol", "spinetrial.terminology"}
WIRING = re.compile(r"^spinetrial\.(settings|urls|celery|wsgi|crf_index|simulation)\b")


def room_of(module: str) -> str | None:
    return next((room for room in RANKS if module == room or module.startswith(room + ".")), None)


def imports(tree: ast.AST):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, node.lineno
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def import_faults(module: str, source: str) -> list[str]:
    room = room_of(module)
    if room is None:
        return []
    faults = []
    for name, line in imports(ast.parse(source)):
        other = room_of(name)
        if WIRING.match(name):
            faults.append(f"{module}:{line} imports the wiring ({name})")
        elif other and other != room and RANKS[other] >= RANKS[room] and {room, other} != MATES:
            faults.append(f"{module}:{line} imports upwards or sideways ({name})")
        elif room in PURE and name.split(".")[0] in ("django", "celery", "psycopg2"):
            faults.append(f"{module}:{line} is a pure room and imports {name}")
    return faults


ROW_ACCESS = {"objects", "_default_manager", "_base_manager", "raw"}
# Below the gate, or the gate itself.
FREE_OF_THE_GATE = ("spinetrial.access", "spinetrial.audit", *PURE)


def gate_faults(module: str, source: str) -> list[str]:
    if room_of(module) in FREE_OF_THE_GATE or (room_of(module) is None and not WIRING.match(module)):
        return []
    tree = ast.parse(source)
    faults = [
        f"{module}:{node.lineno} reads rows past the gate (.{node.attr})"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ROW_ACCESS
    ]
    faults += [
        f"{module}:{node.lineno} reaches rows through a reverse accessor ({node.attr})"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr.endswith("_set") and node.attr not in ("analysis_set",)
    ]
    return faults


def hidden_words(module: str, source: str) -> list[str]:
    """Words to translate inside an f-string: xgettext does not look there, so no catalogue would ever hold them."""
    return [
        f"{module}:{call.lineno} translates inside an f-string"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.JoinedStr)
        for call in ast.walk(node)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id in ("_", "gettext", "ngettext", "pgettext")
        and any(isinstance(each, ast.Constant) for each in call.args)
    ]


def sources():
    for top in ("spinetrial", "patients", "randomization", "radiotherapy", "followup", "adverse_events"):
        for path in sorted((ROOT / top).rglob("*.py")):
            if "migrations" in path.parts:
                continue
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            yield module, path.read_text(encoding="utf-8")


def test_imports_go_down_only():
    assert [fault for module, source in sources() for fault in import_faults(module, source)] == []


def test_rows_are_reached_through_the_gate():
    assert [fault for module, source in sources() for fault in gate_faults(module, source)] == []


def test_words_stand_where_the_catalogue_finds_them():
    assert [fault for module, source in sources() for fault in hidden_words(module, source)] == []
    assert hidden_words("planted", "text = f'{_(\"still running\")}, {words}'")
    assert not hidden_words("planted", "text = _('still running') + f', {_(words)}'")


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("patients.x", "from randomization.models import Slot"),
        ("followup.x", "import adverse_events.models"),
        ("spinetrial.access.x", "from spinetrial.crf import spec"),
        ("spinetrial.stats.x", "from django.db import models"),
        ("patients.x", "from spinetrial import settings"),
        ("spinetrial.crf.x", "from spinetrial.crf_index import SPECS"),
    ],
)
def test_a_planted_bad_import_is_found(module, source):
    assert import_faults(module, source)


@pytest.mark.parametrize(
    "source",
    [
        "Subject.objects.all()",
        "model._default_manager.get(pk=1)",
        "Subject.objects.raw('x')",
        "subject.visit_set.all()",
    ],
)
def test_a_planted_bare_query_is_found(source):
    assert gate_faults("patients.views", source)


# --- views ---


def all_views(patterns=None, prefix=""):
    for pattern in patterns if patterns is not None else get_resolver().url_patterns:
        if hasattr(pattern, "url_patterns"):
            yield from all_views(pattern.url_patterns, prefix + str(pattern.pattern))
        else:
            yield prefix + str(pattern.pattern), pattern.callback


def undeclared(views) -> list[str]:
    return [url for url, view in views if not hasattr(view, "action") or view.action not in {None, *POLICY}]


def test_every_view_declares_an_action():
    views = list(all_views())
    assert len(views) > 20
    assert undeclared(views) == []


def test_a_planted_undeclared_view_is_found():
    assert undeclared([("planted/", lambda request: None)]) == ["planted/"]


# The second step of a log-in has nobody logged in yet; "session/" says that the session is over.
PUBLIC = {
    "health/",
    "calendar/<str:token>.ics",
    "calendar/<str:token>/<slug:code>.ics",
    "login/",
    "login/code/",
    "login/passkey/",
    "login/renew/",
    "logout/",
    "language/",
    "session/",
    "q/<str:token>/",
    "q/<str:token>/<slug:step>/",
    "q/<str:token>/body.svg",
}


def test_pages_without_log_in_are_these_and_no_others():
    assert {url for url, view in all_views() if view.action is None} == PUBLIC


# --- triggers ---


def tables_without(trigger: str, models) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
            " WHERE t.tgname = %s AND t.tgenabled = 'O'",
            [trigger],
        )
        have = {row[0] for row in cursor.fetchall()}
    return sorted(model._meta.db_table for model in models if model._meta.db_table not in have)


def test_every_model_has_its_audit_triggers_or_a_written_excuse(db):
    assert tables_without("audit_row", audited_models()) == []
    assert tables_without("audit_truncate", audited_models()) == []
    labels = {model._meta.label for model in apps.get_models(include_auto_created=True)}
    assert set(EXCUSED) <= labels, "an excuse for a model that no longer exists"
    assert all(len(reason) > 15 for reason in EXCUSED.values())


def test_every_clinical_table_is_closed_by_a_freeze(db):
    clinical = [model for model in apps.get_models() if guarded(model)]
    assert clinical
    assert tables_without("review_guard", clinical) == []


def test_a_planted_model_without_trigger_is_found(committed_db, owner_connection):
    table = audited_models()[-1]._meta.db_table
    with owner_connection.cursor() as cursor:
        cursor.execute(f'DROP TRIGGER audit_row ON "{table}"')
    assert tables_without("audit_row", audited_models()) == [table]


def test_audited_rows_have_an_id_the_trail_can_name():
    assert [m._meta.label for m in audited_models() if m._meta.pk.column != "id"] == []


def test_nothing_hides_from_the_gate_by_a_reverse_accessor():
    allowed = {"milestones"}  # written by patients.milestones only, read with the subject in one query
    found = {
        f"{model._meta.label}.{field.name} -> {field.remote_field.get_accessor_name()}"
        for model in apps.get_models()
        if guarded(model)
        for field in model._meta.concrete_fields
        if field.remote_field
        and field.remote_field.get_accessor_name()
        and not field.remote_field.hidden
        and field.remote_field.get_accessor_name() not in allowed
    }
    assert found == set()
