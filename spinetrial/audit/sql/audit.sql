-- Functions of the audit trail. They run as the owner (SECURITY DEFINER), so that the application role can append
-- through them while having no write right on the trail itself. Installed anew after every migrate.

CREATE TABLE IF NOT EXISTS audit_demo (marked_at timestamptz NOT NULL DEFAULT clock_timestamp());

-- Time of an entry: the server's, unless the owner marked this database as a demonstration and a clock was named.
CREATE OR REPLACE FUNCTION audit_clock(OUT at timestamptz, OUT simulated boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  named text := nullif(current_setting('spinetrial.clock', true), '');
BEGIN
  simulated := named IS NOT NULL AND EXISTS (SELECT 1 FROM audit_demo);
  at := CASE WHEN simulated THEN named::timestamptz ELSE clock_timestamp() END;
END $$;

CREATE OR REPLACE FUNCTION audit_hash(e audit_auditentry) RETURNS text
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
  -- A JSON array cannot be read two ways, whatever the values hold; jsonb prints its keys in one fixed order.
  SELECT encode(sha256(convert_to(jsonb_build_array(
    e.prev_hash, e.chain, e.seq,
    to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    e.simulated, e.actor_id, e.actor, e.reason, e.request, e.act, e.table_name, e.row_id,
    e.subject_id, e.site_id, e.reveals_arm, e.changes)::text, 'UTF8')), 'hex')
$$;

CREATE OR REPLACE FUNCTION audit_append(
  p_chain text, p_act text, p_table text, p_row text, p_subject bigint, p_site bigint, p_reveals boolean,
  p_changes jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  entry audit_auditentry;
  head_row audit_auditchain;
  stamp record;
BEGIN
  -- A transaction-local setting reads '' (not NULL) once its transaction is over.
  entry.actor := nullif(current_setting('spinetrial.actor', true), '');
  IF entry.actor IS NULL THEN
    RAISE EXCEPTION 'audit: % of % refused: no actor named for this transaction', p_act, p_table
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  entry.actor_id := nullif(current_setting('spinetrial.actor_id', true), '')::bigint;
  entry.reason := coalesce(current_setting('spinetrial.reason', true), '');
  IF p_act IN ('update', 'delete') AND btrim(entry.reason) = '' THEN
    RAISE EXCEPTION 'audit: % of % refused: a change needs a reason', p_act, p_table
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  INSERT INTO audit_auditchain (key, seq, head) VALUES (p_chain, 0, repeat('0', 64)) ON CONFLICT DO NOTHING;
  SELECT * INTO head_row FROM audit_auditchain WHERE key = p_chain FOR UPDATE;
  SELECT * INTO stamp FROM audit_clock();
  entry.id := nextval(pg_get_serial_sequence('audit_auditentry', 'id'));
  entry.chain := p_chain;
  entry.seq := head_row.seq + 1;
  entry.at := stamp.at;
  entry.simulated := stamp.simulated;
  entry.request := coalesce(current_setting('spinetrial.request', true), '');
  entry.act := p_act;
  entry.table_name := p_table;
  entry.row_id := p_row;
  entry.subject_id := p_subject;
  entry.site_id := p_site;
  entry.reveals_arm := p_reveals;
  entry.changes := p_changes;
  entry.prev_hash := head_row.head;
  entry.hash := audit_hash(entry);
  INSERT INTO audit_auditentry SELECT entry.*;
  UPDATE audit_auditchain SET seq = entry.seq, head = entry.hash WHERE key = p_chain;
END $$;

CREATE OR REPLACE FUNCTION audit_chain_key(p_subject bigint, p_site bigint, p_user bigint, p_table text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN p_subject IS NOT NULL THEN 'subject:' || p_subject
              WHEN p_user IS NOT NULL THEN 'user:' || p_user
              WHEN p_site IS NOT NULL THEN 'site:' || p_site
              ELSE 'table:' || p_table END
$$;

-- Row trigger. Arguments: name of the subject column, site column, user column ('' = none), reveals_arm (t/f), and
-- the columns (comma separated) of which only the fact of a change is kept, such as password hashes.
CREATE OR REPLACE FUNCTION audit_row() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  old_row jsonb := CASE WHEN TG_OP = 'INSERT' THEN '{}'::jsonb ELSE to_jsonb(OLD) END;
  new_row jsonb := CASE WHEN TG_OP = 'DELETE' THEN '{}'::jsonb ELSE to_jsonb(NEW) END;
  row_now jsonb := CASE WHEN TG_OP = 'DELETE' THEN to_jsonb(OLD) ELSE to_jsonb(NEW) END;
  changes jsonb;
  subject bigint := nullif(row_now ->> TG_ARGV[0], '')::bigint;
  site bigint := nullif(row_now ->> TG_ARGV[1], '')::bigint;
  account bigint := nullif(row_now ->> TG_ARGV[2], '')::bigint;
BEGIN
  SELECT jsonb_object_agg(key, CASE WHEN key = ANY (string_to_array(TG_ARGV[4], ','))
                                    THEN '["(not kept)", "(not kept)"]'::jsonb
                                    ELSE jsonb_build_array(old_row -> key, new_row -> key) END) INTO changes
    FROM jsonb_object_keys(row_now) AS key WHERE (old_row -> key) IS DISTINCT FROM (new_row -> key);
  IF changes IS NULL THEN
    RETURN NULL;
  END IF;
  PERFORM audit_append(audit_chain_key(subject, site, account, TG_TABLE_NAME), lower(TG_OP), TG_TABLE_NAME,
                       row_now ->> 'id', subject, site, TG_ARGV[3] = 't', changes);
  RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION audit_event(
  p_act text, p_subject bigint, p_site bigint, p_user bigint, p_detail jsonb, p_reveals boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  IF p_act IN ('insert', 'update', 'delete') THEN
    RAISE EXCEPTION 'audit: % is recorded by triggers only', p_act USING ERRCODE = 'insufficient_privilege';
  END IF;
  PERFORM audit_append(audit_chain_key(p_subject, p_site, p_user, 'event'), p_act, '', '', p_subject, p_site,
                       p_reveals, p_detail);
END $$;

CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% of % refused: this table is append-only or audited', TG_OP, TG_TABLE_NAME
    USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE OR REPLACE TRIGGER audit_entry_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_auditentry
  FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
CREATE OR REPLACE TRIGGER audit_chain_keep BEFORE DELETE OR TRUNCATE ON audit_auditchain
  FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();

REVOKE ALL ON FUNCTION audit_append(text, text, text, text, bigint, bigint, boolean, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION audit_row() FROM PUBLIC;
