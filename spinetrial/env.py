"""Typed readers of environment variables.

Each reader either returns a value of its type or raises ImproperlyConfigured naming the variable, so that a
misspelt setting stops the program at its start instead of changing what it does.
"""

import os
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from django.core.exceptions import ImproperlyConfigured

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})

# Where the Celery tables of the database broker live. The application role may create tables in this schema
# and in no other, so the clinical tables stay the owner's.
BROKER_SCHEMA = "broker"


def text(name: str, default: str | None = None) -> str:
    """Return the variable with surrounding blanks removed; an empty one counts as unset.

    Raises ImproperlyConfigured when it is unset and has no default.
    """
    value = os.environ.get(name, "").strip()
    if value:
        return value
    if default is None:
        raise ImproperlyConfigured(f"Set the environment variable {name}.")
    return default


def boolean(name: str, default: bool) -> bool:
    """Return a switch written as 1/0, true/false, yes/no or on/off, in any case."""
    value = text(name, "").lower()
    if not value:
        return default
    if value in TRUE:
        return True
    if value in FALSE:
        return False
    raise ImproperlyConfigured(f"{name} must be true or false, not {value!r}.")


def integer(name: str, default: int, least: int, most: int) -> int:
    """Return a whole number between `least` and `most`, both included."""
    value = text(name, "")
    if not value:
        return default
    try:
        number = int(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a whole number, not {value!r}.") from None
    if not least <= number <= most:
        raise ImproperlyConfigured(f"{name} must lie between {least} and {most}, not {number}.")
    return number


def words(name: str, default: tuple[str, ...] = ()) -> list[str]:
    """Return a comma separated list without its empty parts."""
    value = text(name, "")
    return [part.strip() for part in value.split(",") if part.strip()] if value else list(default)


def networks(name: str) -> list[IPv4Network | IPv6Network]:
    """Return a comma separated list of addresses or networks (10.0.0.0/8)."""
    try:
        return [ip_network(word) for word in words(name)]
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be addresses or networks, such as 10.0.0.0/8.") from None


def secret(name: str, default: str | None = None) -> str:
    """Return NAME, or the content of the file that NAME_FILE points at.

    Raises ImproperlyConfigured when both are set, the file cannot be read or is empty, or when neither is set
    and there is no default. The value itself never appears in a message.
    """
    value, path = text(name, ""), text(f"{name}_FILE", "")
    if value and path:
        raise ImproperlyConfigured(f"Set either {name} or {name}_FILE, not both.")
    if path:
        try:
            value = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ImproperlyConfigured(f"{name}_FILE cannot be read: {type(error).__name__}.") from None
        if not value:
            raise ImproperlyConfigured(f"The file named by {name}_FILE is empty.")
    if value:
        return value
    if default is None:
        raise ImproperlyConfigured(f"Set the environment variable {name} or {name}_FILE.")
    return default


def database(name: str) -> dict[str, Any]:
    """Return Django's connection settings from a URL postgresql://user:password@host:port/name?host=/socket/dir.

    A password may be left out and kept in a file named by NAME_PASSWORD_FILE. Parameters after `?` other than
    host and port are handed to libpq (sslmode, connect_timeout). Raises ImproperlyConfigured for anything but
    a PostgreSQL address; the message does not repeat the address, which may hold a password.
    """
    parts = urlsplit(text(name))
    if parts.scheme not in ("postgresql", "postgres"):
        raise ImproperlyConfigured(f"{name} must begin with postgresql://; no other database is supported.")
    try:
        port = parts.port
    except ValueError:
        raise ImproperlyConfigured(f"{name} has a port that is not a number from 0 to 65535.") from None
    database_name = unquote(parts.path.lstrip("/"))
    if not database_name or "/" in database_name:
        raise ImproperlyConfigured(f"{name} must end with the name of a database.")
    if not parts.username:
        raise ImproperlyConfigured(f"{name} must name the database role before the @.")
    options = dict(parse_qsl(parts.query))
    password = unquote(parts.password or "")
    if not password and text(f"{name}_PASSWORD_FILE", ""):
        password = secret(f"{name}_PASSWORD")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": database_name,
        "USER": unquote(parts.username),
        "PASSWORD": password,
        "HOST": options.pop("host", None) or unquote(parts.hostname or ""),
        "PORT": options.pop("port", None) or (str(port) if port else ""),
        "OPTIONS": options,
    }


def user_of(name: str) -> str:
    """Return the role that a database address names, empty when unset; its password is not read."""
    return unquote(urlsplit(text(name, "")).username or "")


def broker_url(connection: dict[str, Any]) -> str:
    """Return the Celery broker address that keeps its messages in the given database.

    Everything goes into the query part, because a socket directory cannot stand in the host part of a URL.
    The search path keeps the two tables of the broker inside their own schema.
    """
    account = quote(str(connection["USER"]), safe="")
    if connection["PASSWORD"]:
        account += ":" + quote(str(connection["PASSWORD"]), safe="")
    query = {str(key): str(value) for key, value in connection["OPTIONS"].items()}
    query["options"] = f"-csearch_path={BROKER_SCHEMA}"
    if connection["HOST"]:
        query["host"] = str(connection["HOST"])
    if connection["PORT"]:
        query["port"] = str(connection["PORT"])
    name = quote(str(connection["NAME"]), safe="")
    return f"sqla+postgresql+psycopg2://{account}@/{name}?{urlencode(query, quote_via=quote)}"
