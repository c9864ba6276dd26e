-- Refuses writes to clinical tables while the trial is frozen or locked, whatever path they come by.
-- The shared row lock makes freezing wait for running saves and running saves see a finished freeze.
CREATE OR REPLACE FUNCTION review_guard() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  trial_state text;
BEGIN
  SELECT state INTO trial_state FROM access_trialstate WHERE id = 1 FOR SHARE;
  -- Here current_user is the owner of the tables, who may change the field keys of a locked trial too.
  IF coalesce(current_setting('spinetrial.rekey', true), '') = 'on' AND session_user = current_user THEN
    RETURN NULL;
  END IF;
  IF trial_state IS DISTINCT FROM 'open' THEN
    RAISE EXCEPTION 'trial is %: % of % refused', trial_state, TG_OP, TG_TABLE_NAME
      USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  RETURN NULL;
END $$;

-- Refuses writes to the cleaned data of a participant while a freeze of the form, its visit or the participant is in
-- force. The shared row lock makes a freeze wait for running saves and running saves see a finished freeze.
-- Arguments: code of the CRF ('' = none), its event ('' = the column "event"), table of the parent ('' = no row group).
CREATE OR REPLACE FUNCTION review_frozen() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  written jsonb;
  parent jsonb;
  person bigint;
BEGIN
  FOREACH written IN ARRAY CASE TG_OP WHEN 'INSERT' THEN ARRAY[to_jsonb(NEW)]
                                      WHEN 'DELETE' THEN ARRAY[to_jsonb(OLD)]
                                      ELSE ARRAY[to_jsonb(OLD), to_jsonb(NEW)] END LOOP
    person := CASE WHEN TG_TABLE_NAME = 'patients_subject' THEN written ->> 'id' ELSE written ->> 'subject_id' END;
    PERFORM 1 FROM patients_subject WHERE id = person FOR SHARE;
    IF NOT EXISTS (SELECT 1 FROM review_freeze WHERE subject_id = person AND lifted_at IS NULL) THEN
      CONTINUE;
    END IF;
    IF TG_ARGV[2] <> '' THEN
      EXECUTE format('SELECT to_jsonb(p) FROM %I AS p WHERE id = $1', TG_ARGV[2])
         INTO parent USING (written ->> 'parent_id')::bigint;
    ELSE
      parent := written;
    END IF;
    IF EXISTS (SELECT 1 FROM review_freeze AS f WHERE f.subject_id = person AND f.lifted_at IS NULL AND (
        (f.spec_code = '' AND f.event IN ('', coalesce(nullif(TG_ARGV[1], ''), parent ->> 'event', '')))
        OR (f.spec_code <> '' AND f.spec_code = TG_ARGV[0] AND f.record_id = (parent ->> 'id')::bigint))) THEN
      RAISE EXCEPTION 'data are frozen: % of % refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
  END LOOP;
  RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $$;

-- Lock and unlock are never by the person who took the step before, whatever path the change comes by. Who changes the
-- state signs for it with the own account, and the name under a step never changes without a step.
CREATE OR REPLACE FUNCTION review_two_people() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  actor text := nullif(current_setting('spinetrial.actor_id', true), '');
BEGIN
  IF OLD.state = NEW.state AND OLD.changed_by_id IS NOT DISTINCT FROM NEW.changed_by_id THEN
    RETURN NEW;
  END IF;
  IF OLD.state = NEW.state OR NEW.changed_by_id IS NULL OR NEW.changed_by_id::text IS DISTINCT FROM actor THEN
    RAISE EXCEPTION 'trial state: a step is named after the person who takes it' USING ERRCODE = 'check_violation';
  END IF;
  IF 'locked' IN (OLD.state, NEW.state) AND ('open' IN (OLD.state, NEW.state)
                                             OR NEW.changed_by_id IS NOT DISTINCT FROM OLD.changed_by_id) THEN
    RAISE EXCEPTION 'trial state: lock and unlock start from or lead to frozen, and need another person than the step '
      'before' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
