from django.db import connection


def is_demo() -> bool:
    """Whether the owner marked this database as a demonstration."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT 1 FROM audit_demo)")
        return bool(cursor.fetchone()[0])
