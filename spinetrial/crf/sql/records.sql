-- What holds for every CRF record, whatever path a write comes by. Installed anew after every migrate.

-- A coded reason stands only where there is no value, and is one of MissingReason.
CREATE OR REPLACE FUNCTION crf_missing() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  answers jsonb;
  item record;
BEGIN
  IF NEW.missing = '{}'::jsonb THEN
    RETURN NEW;
  END IF;
  answers := to_jsonb(NEW);
  FOR item IN SELECT key, value FROM jsonb_each_text(NEW.missing) LOOP
    IF item.value IS NULL OR item.value NOT IN ('ND', 'UNK', 'REF', 'NA') THEN
      RAISE EXCEPTION 'crf: % is no reason for a missing answer', item.value USING ERRCODE = 'check_violation';
    END IF;
    IF NOT answers ? item.key OR coalesce(answers ->> item.key, '') <> '' THEN
      RAISE EXCEPTION 'crf: % of % has a value and a reason why it has none', item.key, TG_TABLE_NAME
        USING ERRCODE = 'check_violation';
    END IF;
  END LOOP;
  RETURN NEW;
END $$;

-- Ends the verification of changed items (NULL: of all) and the signatures on a changed record.
CREATE OR REPLACE FUNCTION crf_changed(p_spec text, p_record bigint, p_items text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  stamp timestamptz := (SELECT at FROM audit_clock());
BEGIN
  UPDATE review_verification SET dropped_at = stamp
   WHERE spec_code = p_spec AND record_id = p_record AND dropped_at IS NULL
   AND (p_items IS NULL OR item = ANY (p_items));
  UPDATE review_signedrecord SET void_at = stamp
   WHERE spec_code = p_spec AND record_id = p_record AND void_at IS NULL;
END $$;

-- On the table of a CRF. Argument: code of the CRF.
CREATE OR REPLACE FUNCTION crf_record_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  before jsonb := to_jsonb(OLD);
  after jsonb := CASE WHEN TG_OP = 'DELETE' THEN '{}'::jsonb ELSE to_jsonb(NEW) END;
  changed text[];
BEGIN
  -- A record that is gone, or is now another participant's or visit's, takes along everything that was said about it.
  IF (before -> 'id', before -> 'subject_id', before -> 'event')
     IS DISTINCT FROM (after -> 'id', after -> 'subject_id', after -> 'event') THEN
    PERFORM crf_changed(TG_ARGV[0], OLD.id, NULL);
    RETURN NULL;
  END IF;
  -- The column of a foreign key ends in _id, the name of its item does not: both spellings are given.
  SELECT array_agg(key) || array_agg(regexp_replace(key, '_id$', '')) INTO changed FROM (
    SELECT key FROM jsonb_object_keys(before) AS key
     WHERE key NOT IN ('id', 'row_version', 'missing') AND before -> key IS DISTINCT FROM after -> key
    UNION
    SELECT key FROM jsonb_object_keys((before -> 'missing') || (after -> 'missing')) AS key
     WHERE before -> 'missing' -> key IS DISTINCT FROM after -> 'missing' -> key
  ) AS keys;
  IF changed IS NOT NULL THEN
    PERFORM crf_changed(TG_ARGV[0], OLD.id, changed);
  END IF;
  RETURN NULL;
END $$;

-- On the table of a group of rows. Arguments: code of the CRF, key of the group.
CREATE OR REPLACE FUNCTION crf_row_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND to_jsonb(OLD) - 'position' = to_jsonb(NEW) - 'position' THEN
    RETURN NULL;
  END IF;
  IF TG_OP <> 'INSERT' THEN
    PERFORM crf_changed(TG_ARGV[0], OLD.parent_id, ARRAY[TG_ARGV[1]]);
  END IF;
  IF TG_OP = 'INSERT' OR (TG_OP = 'UPDATE' AND OLD.parent_id <> NEW.parent_id) THEN
    PERFORM crf_changed(TG_ARGV[0], NEW.parent_id, ARRAY[TG_ARGV[1]]);
  END IF;
  RETURN NULL;
END $$;

REVOKE ALL ON FUNCTION crf_changed(text, bigint, text[]) FROM PUBLIC;
