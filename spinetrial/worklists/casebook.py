"""The casebook of one participant: every form, query, signature and act on the trail, in words, for the site's file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import PermissionDenied
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from followup.checks import VISIT_CODE
from followup.responses import pain_of
from followup.working import working_of
from patients.models import Contact, Subject
from randomization.allocate import allocation_of
from randomization.arms import arms_for
from spinetrial.access.gate import masked, of_subject
from spinetrial.access.models import User
from spinetrial.analysis.overview import Overview, matrix_events, overviews
from spinetrial.audit.models import AuditEntry
from spinetrial.crf.content import Key, Stored, stored
from spinetrial.crf.display import answers_in_words, rows_in_words
from spinetrial.crf.registry import all_specs
from spinetrial.crf.reviewing import items_to_verify, visible_specs
from spinetrial.crf.spec import CrfSpec
from spinetrial.crf.state import STATE_LABELS
from spinetrial.protocol import CURRENT, events
from spinetrial.reports.booklet import render
from spinetrial.reports.document import Block, Document, Facts, Grid, Heading, Paragraph
from spinetrial.review.models import Explanation, Query, QueryMessage, SignedRecord, Verification
from spinetrial.review.signatures import signatures_of
from spinetrial.review.verification import verifications
from spinetrial.worklists.audit_trail import Describer
from spinetrial.worklists.history import entries_of
from spinetrial.worklists.words import STAGES, cell_words


def casebook(actor: User, subject: Subject, language: str, at: datetime) -> bytes:
    """The PDF, for an actor who obtained the subject through the gate; of the data as they are.

    `at` stands on every page; the same data, language and time give the same bytes. Names and contacts are in no
    casebook. It shows the arm on many pages, so there is none for the masked: raises PermissionDenied.
    """
    if masked(actor, subject.site_id):
        raise PermissionDenied
    with translation.override(language), timezone.override(subject.site.zone):
        return render(_Casebook(actor, subject, language, at).document())


@dataclass(frozen=True)
class _Review:
    """What was said about the records of the subject, by record."""

    queries: Mapping[Key, list[Query]]
    messages: Mapping[int, list[QueryMessage]]
    explanations: Mapping[Key, list[Explanation]]
    verified: Mapping[Key, list[Verification]]
    signed: Mapping[Key, list[SignedRecord]]


def _by_record(rows: Iterable[Any]) -> dict[Key, list[Any]]:
    found: dict[Key, list[Any]] = defaultdict(list)
    for row in rows:
        found[row.spec_code, row.record_id].append(row)
    return found


class _Casebook:
    def __init__(self, actor: User, subject: Subject, language: str, at: datetime) -> None:
        self.actor, self.subject, self.language, self.at = actor, subject, language, at
        self.row: Overview = overviews(actor, [subject])[0]
        self.pain = pain_of([subject])[subject.pk]
        messages: dict[int, list[QueryMessage]] = defaultdict(list)
        for message in of_subject(subject, QueryMessage).select_related("by").order_by("at", "id"):
            messages[message.query_id].append(message)
        self.review = _Review(
            queries=_by_record(of_subject(subject, Query).select_related("opened_by").order_by("opened_at", "id")),
            messages=messages,
            explanations=_by_record(of_subject(subject, Explanation).select_related("by").order_by("at", "id")),
            verified=_by_record(verifications([subject.pk])),
            signed=signatures_of([subject.pk]),
        )

    def document(self) -> Document:
        subject = self.subject
        made = _("Casebook of %(code)s · made %(time)s by %(who)s") % {
            "code": subject.code,
            "time": both_times(self.at),
            "who": self.actor.audit_name,
        }
        forms = sorted(
            stored([subject.pk], visible_specs(self.actor, subject.site_id)),
            key=lambda each: (events.event_order(CURRENT, each.event), _order()[each.spec.code], each.record.pk),
        )
        blocks: list[Block] = [*self._cover(forms)]
        for form in forms:
            blocks += self._form(form)
        blocks += self._trail()
        title = _("Casebook of participant %(code)s") % {"code": subject.code}
        trial = f"{CURRENT.identity.registration} · {subject.site.name}"
        return Document(self.language, title, trial, made, "", tuple(blocks))

    def _cover(self, forms: Sequence[Stored]) -> Iterable[Block]:
        subject, stones = self.subject, self.row.milestones
        pairs = [
            (_("Participant"), subject.code),
            (_("Study site"), f"{subject.site.code} {subject.site.name} ({subject.site.timezone})"),
            (_("Status"), f"{STAGES[self.row.stage]} · {_(STATE_LABELS[self.row.tally.state])}"),
            (_("First contact"), subject.first_contact.isoformat()),
        ]
        for field in stones._meta.concrete_fields:
            value = getattr(stones, field.name)
            if field.get_internal_type() == "DateField" and value is not None:
                pairs.append((str(field.verbose_name), value.isoformat()))
        allocation = allocation_of(subject)
        if allocation is not None:
            words = f"{allocation.number}, {both_times(allocation.allocated_at)}, {allocation.allocated_by}"
            pairs.append((_("Allocation"), words))
            arm = arms_for(self.actor, [subject]).get(subject.pk)
            if arm is not None:
                pairs.append((_("Arm"), _(arm.name)))
        pairs += [
            (_("Protocol"), f"{CURRENT.identity.registration}, {CURRENT.version}"),
            (_("Made"), f"{both_times(self.at)}, {self.actor.audit_name}"),
        ]
        yield Facts(tuple(pairs))
        yield Paragraph(_("Names and contacts are not part of a casebook."), "note")
        lines = []
        own = self.row.cells
        for event in sorted({*matrix_events([self.row]), *own}, key=lambda each: events.event_order(CURRENT, each)):
            cell = own.get(event)
            if cell is not None:
                due = f"{cell.due.isoformat()}" if cell.due else ""
                count = f"{cell.done}/{cell.expected}" if cell.expected else ""
                lines.append((events.event_title(CURRENT, event, _), cell_words(cell), count, str(cell.queries), due))
        header = (_("Event"), _("State"), _("Forms"), _("Open queries"), _("Due"))
        yield Grid(_("Where the participant stands"), header, tuple(lines), (4, 5, 2, 2, 3), text=True)

    # --- one form ---

    def _form(self, form: Stored) -> Iterable[Block]:
        spec, record, key = form.spec, form.record, form.key
        where = _("At any time") if form.event == "ANY" else events.event_title(CURRENT, form.event, _)
        yield Heading(f"{where}: {_(str(spec.title))}")
        state = _(STATE_LABELS[self.row.forms[key].state])
        facts = [
            (_("Form"), spec.code + ", " + _("record %(n)d") % {"n": record.pk}),
            (_("Version"), str(record.row_version)),
            (_("State"), state),
        ]
        facts += [(_("Signature"), _signature(row)) for row in self.review.signed.get(key, [])]
        yield Facts(tuple(facts))
        marks = self._marks(form)
        header = (_("Question"), _("Answer"), _("Verification"))
        for title, answers in answers_in_words(spec, record):
            lines = tuple((each.label, each.text or "–", marks.get(each.name, "")) for each in answers)
            yield Grid(title, header, lines, (4, 4, 3), text=True)
        for group in rows_in_words(spec, form.rows):
            mark = marks.get(group.key, "")
            yield from _table(f"{group.title} · {mark}" if mark else group.title, group.header, group.rows)
        if form.spec.code == VISIT_CODE and form.event in self.pain:
            working = tuple(working_of(self.pain[form.event]).rows())
            yield Grid(_("Pain response"), (_("What"), _("Working")), working, (3, 8), text=True)
        yield from self._questions(spec, key)

    def _marks(self, form: Stored) -> dict[str, str]:
        """Verification in words by item; of those dropped, that they wait again."""
        plan = items_to_verify(form.spec, form.record)
        marks = {name: _("not verified") for name in plan}
        for row in self.review.verified.get(form.key, []):
            if row.dropped_at is None:
                marks[row.item] = _("verified by %(who)s, %(time)s") % {
                    "who": row.verified_by,
                    "time": local_time(row.verified_at),
                }
            elif row.item in plan:
                marks[row.item] = _("to verify again, changed %(time)s") % {"time": local_time(row.dropped_at)}
        return marks

    def _questions(self, spec: CrfSpec, key: Key) -> Iterable[Block]:
        explained = [
            (
                spec.label(row.item),
                row.text,
                f"{row.by or ''} {local_time(row.at)}".strip(),
                _("ended %(time)s") % {"time": local_time(row.ended_at)} if row.ended_at else "",
            )
            for row in self.review.explanations.get(key, [])
        ]
        if explained:
            heads = (_("Question"), _("Explanation"), _("By"), "")
            yield Grid(_("Explanations"), heads, tuple(explained), (3, 5, 3, 2), text=True)
        asked = []
        for query in self.review.queries.get(key, []):
            text = _(query.text) if query.check_code else query.text
            who = str(query.opened_by) if query.opened_by else _("edit check")
            thread = [f"{local_time(query.opened_at)} {who}: {text}"]
            thread += [
                f"{local_time(message.at)} {message.by or ''}: {message.text}"
                for message in self.review.messages.get(query.pk, [])
            ]
            if query.closed_at:
                thread.append(f"{local_time(query.closed_at)} {query.get_state_display()}")
            asked.append((spec.label(query.item), str(query.get_state_display()), "\n".join(thread)))
        if asked:
            header = (_("Question"), _("State"), _("Thread"))
            yield Grid(_("Queries"), header, tuple(asked), (3, 1.5, 7), text=True)

    # --- the trail ---

    def _trail(self) -> Iterable[Block]:
        yield Heading(_("Audit trail"))
        zone = self.subject.site.timezone
        yield Paragraph(_("Every act recorded for this participant, oldest first. Times in the zone %(zone)s.")
                        % {"zone": zone}, "note")  # fmt: skip
        rows = []
        for row in Describer(entries_of(self.subject, see_arm=True)).rows():
            entry: AuditEntry = row["entry"]
            what = f"{row['act']}: {row['form']} {entry.row_id}" if row["form"] else row["act"]
            head = (local_time(entry.at), entry.actor, what) if row["first"] else ("", "", "")
            old, new = row["old"], row["new"]
            if entry.table_name == Contact._meta.db_table:
                old, new = old and _("(encrypted)"), new and _("(encrypted)")
            rows.append((*head, row["item"], old, new, entry.reason if row["first"] else ""))
        header = (_("Time"), _("Who"), _("Act"), _("Item"), _("Old"), _("New"), _("Reason"))
        yield Grid("", header, tuple(rows), (2.3, 2.4, 2.6, 2.6, 2.4, 2.4, 2.2), text=True)


def _table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterable[Block]:
    """Rows of a group; more columns than a page is wide go on in another table."""
    if not rows:
        yield Grid(title, (_("No rows"),), (), (1,), text=True)
        return
    for start in range(0, len(header), 8):
        part = slice(start, start + 8)
        lines = tuple((str(number), *(cell or "–" for cell in row[part])) for number, row in enumerate(rows, 1))
        shares = (0.5, *[2.0] * len(header[part]))
        yield Grid(title if start == 0 else "", ("#", *header[part]), lines, shares, text=True)


def _order() -> dict[str, int]:
    return {spec.code: place for place, spec in enumerate(all_specs())}


def _signature(row: SignedRecord) -> str:
    signature = row.signature
    words = f"{signature.signer_name}, {both_times(signature.signed_at)}, {signature.get_meaning_display()}"
    if row.void_at is None:
        return words + " (" + _("valid") + ")"
    return words + " " + _("(VOID since %(time)s: the record changed)") % {"time": both_times(row.void_at)}


def local_time(moment: datetime) -> str:
    """In the zone of the site, which the caller has made the current one."""
    return timezone.localtime(moment).strftime("%Y-%m-%d %H:%M:%S")


def both_times(moment: datetime) -> str:
    """In UTC and in the zone of the site."""
    local = timezone.localtime(moment)
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC ({local:%Y-%m-%d %H:%M:%S} {local.tzname()})"
