-- What holds for codings and for the dictionaries they point to, whatever path a write comes by. Installed anew after
-- every migrate.

-- The bulk tables of a dictionary are not on the trail row by row: the hashes of the files are. So a row is written
-- while its release is being imported, and never changed.
CREATE OR REPLACE FUNCTION meddra_kept() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'meddra: % of % refused: an imported dictionary never changes', TG_OP, TG_TABLE_NAME
    USING ERRCODE = 'insufficient_privilege';
END $$;

-- Argument: which column names the release or version.
CREATE OR REPLACE FUNCTION meddra_import_only() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  closed boolean;
BEGIN
  IF TG_ARGV[0] = 'release' THEN
    SELECT EXISTS (SELECT 1 FROM (SELECT DISTINCT release_id FROM written) AS w
                     JOIN adverse_events_meddrarelease AS r ON r.id = w.release_id WHERE r.complete) INTO closed;
  ELSE
    SELECT EXISTS (SELECT 1 FROM (SELECT DISTINCT version_id FROM written) AS w
                     JOIN adverse_events_meddrarelease AS r ON r.version_id = w.version_id WHERE r.complete) INTO closed;
  END IF;
  IF closed THEN
    RAISE EXCEPTION 'meddra: INSERT of % refused: this dictionary is complete', TG_TABLE_NAME
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NULL;
END $$;

-- A release is completed once; of a version only which one is in force may change.
CREATE OR REPLACE FUNCTION meddra_registry() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  IF TG_OP = 'DELETE' OR (to_jsonb(OLD) - 'complete' - 'in_force') <> (to_jsonb(NEW) - 'complete' - 'in_force')
     OR ((to_jsonb(OLD) ->> 'complete')::boolean AND NOT (to_jsonb(NEW) ->> 'complete')::boolean) THEN
    RAISE EXCEPTION 'meddra: % of % refused: an imported dictionary never changes', TG_OP, TG_TABLE_NAME
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION coding_guard() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  actor text := nullif(current_setting('spinetrial.actor_id', true), '');
  term adverse_events_meddraterm;
  wanted text;
BEGIN
  IF TG_OP = 'UPDATE' AND (NEW.adverse_event_id, NEW.subject_id) IS DISTINCT FROM (OLD.adverse_event_id, OLD.subject_id) THEN
    RAISE EXCEPTION 'coding: it stays with its event' USING ERRCODE = 'check_violation';
  END IF;
  SELECT * INTO term FROM adverse_events_meddraterm WHERE version_id = NEW.version_id AND level = 5 AND code = NEW.llt;
  SELECT parent INTO wanted FROM adverse_events_meddraterm
   WHERE version_id = NEW.version_id AND level = 4 AND code = NEW.pt;
  IF term.id IS NULL OR term.parent <> NEW.pt OR wanted IS DISTINCT FROM NEW.soc THEN
    RAISE EXCEPTION 'coding: LLT, PT and SOC are no path of this version' USING ERRCODE = 'check_violation';
  END IF;
  IF NOT EXISTS (SELECT 1 FROM adverse_events_adverseevent
                  WHERE id = NEW.adverse_event_id AND subject_id = NEW.subject_id) THEN
    RAISE EXCEPTION 'coding: the event is another participant''s' USING ERRCODE = 'check_violation';
  END IF;
  IF TG_OP = 'INSERT' OR (NEW.version_id, NEW.llt, NEW.pt, NEW.soc, NEW.how, NEW.verbatim, NEW.ctcae_code,
                          NEW.coded_by_id, NEW.coded_at)
     IS DISTINCT FROM (OLD.version_id, OLD.llt, OLD.pt, OLD.soc, OLD.how, OLD.verbatim, OLD.ctcae_code,
                       OLD.coded_by_id, OLD.coded_at) THEN
    IF NEW.coded_by_id::text IS DISTINCT FROM actor THEN
      RAISE EXCEPTION 'coding: named after the person who codes' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.approved_by_id IS NOT NULL THEN
      RAISE EXCEPTION 'coding: a new code is not approved yet' USING ERRCODE = 'check_violation';
    END IF;
  ELSIF NEW.approved_by_id IS NOT NULL AND NEW.approved_by_id IS DISTINCT FROM OLD.approved_by_id
        AND NEW.approved_by_id::text IS DISTINCT FROM actor THEN
    RAISE EXCEPTION 'coding: approved in the name of another person' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
