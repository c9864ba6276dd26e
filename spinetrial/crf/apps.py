from typing import Any

from django.apps import AppConfig
from django.core import checks


class CrfConfig(AppConfig):
    name = "spinetrial.crf"
    label = "crf"

    def ready(self) -> None:
        checks.register(check_all_specs)


def check_all_specs(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    from spinetrial.crf.registry import all_specs
    from spinetrial.crf.spec import check_spec

    return [message for spec in all_specs() for message in check_spec(spec)]
