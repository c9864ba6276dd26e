"""Checking the hash chains of the audit trail."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection


@dataclass(frozen=True)
class BrokenLink:
    """The first entry of a chain that does not follow from the one before it."""

    chain: str
    seq: int
    problem: str


def broken_links() -> list[BrokenLink]:
    """The first broken link of every chain; empty when the trail is whole.

    Finds an altered entry (hash), a removed one (gap, or a head that is not reached) and one put in (link).
    """
    query = """
        WITH linked AS (
          SELECT e.chain, e.seq, e.hash, e.prev_hash, audit_hash(e) AS computed,
                 lag(e.hash) OVER w AS before, row_number() OVER w AS place
          FROM audit_auditentry e WINDOW w AS (PARTITION BY e.chain ORDER BY e.seq)
        ), faults AS (
          SELECT chain, seq, CASE WHEN seq <> place THEN 'an entry is missing before this one'
                                  WHEN hash <> computed THEN 'the entry was altered'
                                  ELSE 'the entry does not follow from the one before it' END AS problem
          FROM linked
          WHERE seq <> place OR hash <> computed OR prev_hash <> coalesce(before, repeat('0', 64))
          UNION ALL
          SELECT c.key, c.seq, 'the last entry is missing or is not the recorded head'
          FROM audit_auditchain c LEFT JOIN audit_auditentry e ON e.chain = c.key AND e.seq = c.seq
          WHERE e.hash IS DISTINCT FROM c.head
        )
        SELECT DISTINCT ON (chain) chain, seq, problem FROM faults ORDER BY chain, seq
    """
    with connection.cursor() as cursor:
        cursor.execute(query)
        return [BrokenLink(*row) for row in cursor.fetchall()]
