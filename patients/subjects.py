"""Registering a subject at the first contact."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from django.db.models import Q

from patients.models import Contact, EndOfStudy, Milestones, Subject, Withdrawal
from spinetrial.access.gate import AnyActor, check_may, list_records, of_subject
from spinetrial.access.models import StudySite, User
from spinetrial.audit.acting import acting, record_event
from spinetrial.audit.models import AuditEntry
from spinetrial.review import trial

#: The act on the audit trail that keeps the fact of a purge, and nothing of what was purged.
PURGED = "contacts purged"


class ContactsPurged(Exception):
    """The contact details were deleted for good; none are stored again."""


class NothingToPurge(Exception):
    """No contact details are stored."""


class NamesPerson(Exception):
    """The reason holds a name or contact. Reasons stay on the trail for ever. Nothing was done."""


class NoBasis(Exception):
    """Neither a withdrawal nor an end of study is on record, and nobody said that it is asked for all the same."""


def do_register(actor: User, site: StudySite, first_contact: date, contact: dict[str, str]) -> Subject:
    """Give the next screening number of `site` and store the encrypted contact, in one transaction.

    `contact`: name, telephone, email, hospital_number. Raises PermissionDenied, trial.EntryClosed.
    """
    check_may(actor, "subject.screen", site)
    with acting(actor):
        trial.check_open()
        StudySite.lock(site.pk)
        last = (
            list_records(actor, Subject, "subject.screen")
            .filter(site=site)
            .order_by("-number")
            .values_list("number")
            .first()
        )
        number = (last[0] if last else 0) + 1
        subject = Subject(site=site, number=number, code=f"{site.code}-{number:03d}", first_contact=first_contact)
        subject.save()
        Milestones(subject=subject).save()
        if contact.get("name"):
            Contact(subject=subject, **contact).save()
    return subject


def read_contact(actor: AnyActor, subject: Subject, why: str) -> Contact | None:
    """The contact, with the reading on the audit trail. Raises PermissionDenied outside the subject's site."""
    check_may(actor, "contacts.view", subject.site_id)
    with acting(actor, why):
        record_event("contact read", subject_id=subject.pk, site_id=subject.site_id)
        return list_records(actor, Contact, "contacts.view").filter(subject=subject).first()


def has_email(actor: AnyActor, subject: Subject) -> bool:
    """Whether an address is stored. It is encrypted: that there is none shows without reading it."""
    return list_records(actor, Contact, "contacts.view").filter(subject=subject).exclude(email="").exists()


def purge_of(subject: Subject) -> AuditEntry | None:
    """The entry of the trail that says when, by whom and why the contact details of `subject` were deleted."""
    return AuditEntry.of_subject(subject.pk).filter(act=PURGED).last()


def purge_grounds(subject: Subject) -> list[tuple[str, date]]:
    """What on record ends the need for contact details: ("withdrawal" or "end of study", its date)."""
    withdrawn = of_subject(subject, Withdrawal).filter(Q(from_followup=True) | Q(from_data_use=True))
    return [
        *(("withdrawal", row.withdrawn_on) for row in withdrawn.order_by("withdrawn_on", "id")),
        *(("end of study", row.ended_on) for row in of_subject(subject, EndOfStudy)),
    ]


def do_purge_contact(actor: User, subject: Subject, reason: str, *, without_grounds: bool = False) -> None:
    """Delete the contact details of `subject` for good, frozen or locked trial or not; the fact is kept.

    The caller confirmed the person (`reauthenticate.confirm_person`). Raises PermissionDenied, ContactsPurged,
    NothingToPurge, NoBasis, NamesPerson, ValueError for an empty reason.
    """
    check_may(actor, "contacts.purge", subject.site_id)
    reason = reason.replace("\0", "").strip()
    if not reason:
        raise ValueError("A purge needs a reason.")
    with acting(actor, reason):
        list_records(actor, Subject, "contacts.purge").select_for_update(of=("self",)).get(pk=subject.pk)
        if purge_of(subject):
            raise ContactsPurged
        grounds = purge_grounds(subject)
        if not grounds and not without_grounds:
            raise NoBasis
        row = list_records(actor, Contact, "contacts.purge").filter(subject=subject).first()
        if row is None:
            raise NothingToPurge
        if _names(reason, [row.name, row.telephone, row.email, row.hospital_number]):
            raise NamesPerson
        row.delete()
        on_record = [f"{what} {day.isoformat()}" for what, day in grounds]
        record_event(PURGED, subject_id=subject.pk, site_id=subject.site_id, detail={"on record": on_record})


def _names(text: str, values: Iterable[str]) -> bool:
    """Whether `text` holds one of the values; a single letter names nobody."""
    return any(len(value.strip()) > 1 and value.strip().casefold() in text.casefold() for value in values)


def do_change_contact(actor: User, subject: Subject, contact: dict[str, str], reason: str) -> None:
    """Store contact details, new or changed.

    Raises PermissionDenied, trial.EntryClosed, ContactsPurged, NamesPerson (in the reason).

    Takes the subject's lock, so that two first entries at once do not meet in the unique row.
    """
    check_may(actor, "contacts.enter", subject.site_id)
    with acting(actor, reason or "contact entered"):
        trial.check_open()
        list_records(actor, Subject, "contacts.enter").select_for_update(of=("self",)).get(pk=subject.pk)
        if purge_of(subject):
            raise ContactsPurged
        row = list_records(actor, Contact, "contacts.enter").filter(subject=subject).first()
        if _names(reason, [*contact.values(), *(getattr(row, name) for name in contact if row)]):
            raise NamesPerson
        if row is None:
            Contact(subject=subject, **contact).save()
            return
        changed = [name for name, value in contact.items() if getattr(row, name) != value]
        for name in changed:
            setattr(row, name, contact[name])
        if changed:
            # Only these columns: a value encrypted anew would look changed on the trail.
            row.save(update_fields=changed)
