-- What was signed stays as it was signed; PostgreSQL recomputes the hash of every version that is written.
CREATE OR REPLACE FUNCTION sae_report_kept() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  later constant text[] := ARRAY['submitted_at', 'authority_sent_at', 'authority_reference', 'acknowledged_at'];
  changes text;
BEGIN
  IF TG_OP = 'DELETE' THEN
    RAISE EXCEPTION 'a signed report is kept' USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  IF TG_OP = 'INSERT' THEN
    IF NEW.sha256 IS DISTINCT FROM encode(sha256(convert_to(NEW.content, 'UTF8')), 'hex') THEN
      RAISE EXCEPTION 'the hash of the report is not that of its content' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
  END IF;
  SELECT string_agg(key, ', ') INTO changes FROM jsonb_object_keys(to_jsonb(OLD)) AS key
   WHERE to_jsonb(OLD) -> key IS DISTINCT FROM to_jsonb(NEW) -> key AND NOT key = ANY (later);
  IF changes IS NOT NULL THEN
    RAISE EXCEPTION '% of a signed report cannot change', changes USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  RETURN NEW;
END $$;

-- Why a deadline was missed is said once.
CREATE OR REPLACE FUNCTION sae_miss_kept() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'the reason of a missed deadline is kept' USING ERRCODE = 'object_not_in_prerequisite_state';
END $$;
