from django.apps import AppConfig


class WorklistsConfig(AppConfig):
    name = "spinetrial.worklists"
    label = "worklists"

    def ready(self) -> None:
        from adverse_events.mails import digest_lines
        from followup.reminders import Section, contribute
        from spinetrial.access.models import StudySite
        from spinetrial.protocol.text import gettext_noop as _

        def clocks(sites: list[StudySite]) -> dict[int, list[Section]]:
            """Reporting clocks, for the list of the day."""
            title = _("Serious events waiting for a report")
            return {pk: [Section(title, texts=tuple(lines))] for pk, lines in digest_lines(sites).items()}

        contribute(clocks)
