"""Encrypting everything stored with the first of the field keys, so that an older key can be thrown away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cryptography.fernet import InvalidToken
from django.apps import apps
from django.db import connection, models

from spinetrial.access.fields import EncryptedTextField, rekeyed
from spinetrial.audit.acting import SystemActor, acting

ROTATION = SystemActor("key rotation")

#: JSON columns of other people's models that hold encrypted texts among others.
JSON_COLUMNS = {"mfa.Authenticator": ("data",)}
#: How every token of cryptography.fernet begins: version 128 and the high bytes of a time before the year 2106.
_TOKEN = "gAAAA"  # noqa: S105


@dataclass
class Rotated:
    """What was done to one table. `unreadable`: numbers of rows that no configured key opens."""

    table: str
    changed: int
    unreadable: list[int]


def encrypted_columns(model: type[models.Model]) -> tuple[list[str], list[str]]:
    """Columns of a model that are encrypted whole, and JSON columns with encrypted texts inside."""
    whole = [str(field.column) for field in model._meta.local_concrete_fields if isinstance(field, EncryptedTextField)]
    return whole, list(JSON_COLUMNS.get(model._meta.label, ()))


def rotate(reason: str, *, size: int = 200, write: bool = True) -> Iterator[Rotated]:
    """Encrypt anew what an older key holds, table by table, `size` rows in a transaction.

    Runs as the owner of the tables, whom the guards of sealed lists and of a locked trial let do this. Values that
    the first key opens are left alone, so an interrupted run is simply started again. With `write` off it only counts.
    """
    for model in apps.get_models():
        whole, jsons = encrypted_columns(model)
        if not whole and not jsons:
            continue
        done, last = Rotated(model._meta.db_table, 0, []), 0
        while True:
            with acting(ROTATION, reason):
                rows = _batch(model, [*whole, *jsons], last, size)
                for pk, *values in rows:
                    _one(model, done, pk, dict(zip([*whole, *jsons], values, strict=True)), set(jsons), write=write)
            if not rows:
                break
            last = rows[-1][0]
        yield done


def _batch(model: type[models.Model], columns: list[str], after: int, size: int) -> list[Any]:
    quote = connection.ops.quote_name
    names = ", ".join([quote("id"), *(f"{quote(column)}::text" for column in columns)])
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('spinetrial.rekey', 'on', true)")
        cursor.execute(
            f"SELECT {names} FROM {quote(model._meta.db_table)} WHERE id > %s ORDER BY id LIMIT %s FOR UPDATE",  # noqa: S608
            [after, size],
        )
        return cursor.fetchall()


def _one(
    model: type[models.Model], done: Rotated, pk: int, stored: dict[str, str | None], jsons: set[str], *, write: bool
) -> None:
    try:
        anew = {column: _anew(text, column in jsons) for column, text in stored.items() if text}
    except InvalidToken:
        done.unreadable.append(pk)
        return
    changed = {column: text for column, text in anew.items() if text != stored[column]}
    if not changed:
        return
    done.changed += 1
    if write:
        quote = connection.ops.quote_name
        setting = ", ".join(f"{quote(column)} = %s{'::jsonb' if column in jsons else ''}" for column in changed)
        with connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {quote(model._meta.db_table)} SET {setting} WHERE id = %s",  # noqa: S608
                [*changed.values(), pk],
            )


def _anew(text: str, is_json: bool) -> str:
    if not is_json:
        return rekeyed(text)
    content = json.loads(text)
    again = _walk(content)
    return text if again == content else json.dumps(again)


def _walk(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _walk(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_walk(each) for each in value]
    return rekeyed(value) if isinstance(value, str) and value.startswith(_TOKEN) else value
