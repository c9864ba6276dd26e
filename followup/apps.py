from django.apps import AppConfig


class FollowupConfig(AppConfig):
    name = "followup"

    def ready(self) -> None:
        from followup import reminders
        from spinetrial.outbox.kinds import register

        for kind in reminders.KINDS:
            register(kind)
