"""Registering a subject at the first contact."""

from __future__ import annotations

from datetime import date

from patients.models import Contact, Milestones, Subject
from spinetrial.access.gate import check_may, list_records
from spinetrial.access.models import StudySite, User
from spinetrial.audit.acting import acting, record_event
from spinetrial.review import trial


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


def read_contact(actor: User, subject: Subject, why: str) -> Contact | None:
    """The contact, with the reading on the audit trail. Raises PermissionDenied outside the subject's site."""
    check_may(actor, "contacts.view", subject.site_id)
    with acting(actor, why):
        record_event("contact read", subject_id=subject.pk, site_id=subject.site_id)
        return list_records(actor, Contact, "contacts.view").filter(subject=subject).first()


def do_change_contact(actor: User, subject: Subject, contact: dict[str, str], reason: str) -> None:
    """Store contact details, new or changed. Raises PermissionDenied, trial.EntryClosed.

    Takes the subject's lock, so that two first entries at once do not meet in the unique row.
    """
    check_may(actor, "contacts.enter", subject.site_id)
    with acting(actor, reason or "contact entered"):
        trial.check_open()
        list_records(actor, Subject, "contacts.enter").select_for_update(of=("self",)).get(pk=subject.pk)
        row = list_records(actor, Contact, "contacts.enter").filter(subject=subject).first()
        if row is None:
            Contact(subject=subject, **contact).save()
            return
        changed = [name for name, value in contact.items() if getattr(row, name) != value]
        for name in changed:
            setattr(row, name, contact[name])
        if changed:
            # Only these columns: a value encrypted anew would look changed on the trail.
            row.save(update_fields=changed)
