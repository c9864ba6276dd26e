from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AuditConfig(AppConfig):
    name = "spinetrial.audit"
    label = "audit"

    def ready(self) -> None:
        from spinetrial.audit.install import install

        # Sent once per app; ours is enough, because all tables exist before the first signal.
        post_migrate.connect(install, sender=self)
