"""verify_audit and its anchors: every way an owner of the tables could rewrite history is found."""

import json
import logging
import os
import stat
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from spinetrial.access.models import StudySite
from spinetrial.audit.acting import acting
from spinetrial.audit.anchor import AnchorRefused, departures, read_anchor, write_anchor
from spinetrial.audit.models import AuditChain, AuditEntry
from spinetrial.audit.tasks import daily_anchor
from tests.cast import SETUP, make_cast

REWRITE = """
DO $$
DECLARE entry audit_auditentry; last text := repeat('0', 64);
BEGIN
  FOR entry IN SELECT * FROM audit_auditentry WHERE chain = '{chain}' ORDER BY seq LOOP
    IF entry.seq = {seq} THEN entry.actor := 'somebody else'; END IF;
    entry.prev_hash := last;
    entry.hash := audit_hash(entry);
    last := entry.hash;
    UPDATE audit_auditentry SET actor = entry.actor, prev_hash = entry.prev_hash, hash = entry.hash
     WHERE id = entry.id;
  END LOOP;
  UPDATE audit_auditchain SET head = last WHERE key = '{chain}';
END $$
"""
CUT_OFF = """
DELETE FROM audit_auditentry WHERE chain = '{chain}' AND seq > {seq} - 1;
UPDATE audit_auditchain SET seq = {seq} - 1, head = (SELECT hash FROM audit_auditentry
  WHERE chain = '{chain}' AND seq = {seq} - 1) WHERE key = '{chain}'
"""


@pytest.fixture(autouse=True)
def _place(settings, tmp_path):
    settings.DATA_DIR = tmp_path
    settings.AUDIT_ANCHOR_KEY_FILE = tmp_path / "keys" / "anchor_key.pem"


@pytest.fixture
def site(committed_db):
    make_cast()
    site = StudySite.objects.first()
    rename(site, "One", "Two", "Three")
    return site


def rename(site, *names):
    with acting(SETUP, "renamed"):
        for name in names:
            site.name = name
            site.save()


def chain_of(site):
    return f"site:{site.pk}", AuditEntry.objects.filter(chain=f"site:{site.pk}").count()


def as_owner(owner, statement, **values):
    with owner.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_auditentry DISABLE TRIGGER audit_entry_append_only")
        cursor.execute(statement.format(**values))
        cursor.execute("ALTER TABLE audit_auditentry ENABLE TRIGGER audit_entry_append_only")


def verify(*arguments):
    out, err = StringIO(), StringIO()
    try:
        call_command("verify_audit", *arguments, stdout=out, stderr=err)
    except CommandError as error:
        return f"{err.getvalue()}{error}"
    return out.getvalue()


def test_a_whole_trail_is_anchored_and_the_grown_one_continues_it(site):
    said = verify("--anchor")
    assert "Audit trail whole" in said
    anchor = said.split("Anchor written: ")[1].strip()
    rename(site, "Four")
    assert "Audit trail whole" in verify("--against", anchor)
    content = json.loads(Path(anchor).read_text())
    assert content["entries"] < AuditEntry.objects.count()
    assert len(content["heads"]) == AuditChain.objects.count()


def test_an_entry_altered_by_the_owner_is_named(site, owner_connection):
    chain, seq = chain_of(site)
    as_owner(
        owner_connection,
        "UPDATE audit_auditentry SET reason = 'nothing' WHERE chain = '{chain}' AND seq = {seq}",
        chain=chain,
        seq=seq - 1,
    )
    said = verify()
    assert f"{chain} #{seq - 1}: the entry was altered" in said
    assert "broken in 1 chains" in said


def test_a_chain_cut_off_with_its_head_is_found_by_the_anchor_alone(site, owner_connection):
    anchor = write_anchor()
    chain, seq = chain_of(site)
    as_owner(owner_connection, CUT_OFF, chain=chain, seq=seq)
    assert "Audit trail whole" in verify()
    assert f"{chain} #{seq}: the anchored entry is missing" in verify("--against", str(anchor))


def test_a_chain_written_anew_is_found_by_the_anchor_alone(site, owner_connection):
    anchor = write_anchor()
    chain, seq = chain_of(site)
    as_owner(owner_connection, REWRITE, chain=chain, seq=2)
    assert "Audit trail whole" in verify()
    assert f"{chain} #{seq}: the entry is not the anchored one" in verify("--against", str(anchor))


def test_a_chain_removed_altogether_is_found_by_the_anchor(site, owner_connection):
    anchor = write_anchor()
    chain, _seq = chain_of(site)
    as_owner(owner_connection, "DELETE FROM audit_auditentry WHERE chain = '{chain}'", chain=chain)
    assert [link.chain for link in departures(read_anchor(anchor))] == [chain]


@pytest.mark.parametrize("change", ["entries", "heads", "signature", "made_at"])
def test_an_altered_anchor_is_refused(site, change):
    path = write_anchor()
    content = json.loads(path.read_text())
    if change == "heads":
        content["heads"][chain_of(site)[0]][0] = 1
    else:
        content[change] = "AAAA" if change == "signature" else 1
    path.write_text(json.dumps(content))
    assert "altered or signed with another key" in verify("--against", str(path))


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"signature": 3, "heads": 1}', "\x00\xff"])
def test_what_is_no_anchor_is_refused_in_words(site, tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text)
    assert "no anchor" in verify("--against", str(path))
    assert "cannot be read" in verify("--against", str(tmp_path / "missing.json"))


def test_an_anchor_of_another_key_needs_its_public_key(site, settings, tmp_path):
    path = write_anchor()
    public = tmp_path / "keys" / "anchor_key.pub"
    settings.AUDIT_ANCHOR_KEY_FILE = tmp_path / "other.pem"
    assert "another key" in verify("--against", str(path))
    assert "whole" in verify("--against", str(path), "--public-key", str(public))


def test_the_private_key_is_for_its_owner_only(site, settings):
    write_anchor()
    assert stat.S_IMODE(os.stat(settings.AUDIT_ANCHOR_KEY_FILE).st_mode) == 0o600


def test_a_broken_trail_gets_no_anchor(site, owner_connection):
    chain, _seq = chain_of(site)
    as_owner(owner_connection, "DELETE FROM audit_auditentry WHERE chain = '{chain}' AND seq = 1", chain=chain)
    with pytest.raises(AnchorRefused, match="broken"):
        write_anchor()


def test_an_anchor_that_cannot_be_written_harms_nothing(site, settings, tmp_path, caplog):
    (tmp_path / "anchors").write_text("a file where the folder should be")
    with caplog.at_level(logging.ERROR):
        daily_anchor()
    assert "No audit anchor was written" in caplog.text
    assert not list(tmp_path.glob("**/*.part"))
    settings.AUDIT_ANCHOR_KEY_FILE = tmp_path / "anchors" / "key.pem"
    with caplog.at_level(logging.ERROR):
        daily_anchor()
    assert "anchor key" in caplog.text


def test_the_daily_job_writes_one(site, tmp_path):
    daily_anchor()
    assert len(list((tmp_path / "anchors").glob("anchor-*.json"))) == 1
