-- What was verified and signed stays as it was written. A verification may end, a signature become void, its signer be
-- told; nothing else changes and nothing is removed. In a locked trial nothing is verified or signed.
CREATE OR REPLACE FUNCTION review_kept() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  trial_state text;
  ends constant text[] := ARRAY['dropped_at', 'void_at', 'told_at'];
  before jsonb := to_jsonb(OLD);
  after jsonb := to_jsonb(NEW);
  changes text;
BEGIN
  IF TG_OP = 'DELETE' THEN
    RAISE EXCEPTION 'review: % is kept', TG_TABLE_NAME USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  IF TG_OP = 'UPDATE' THEN
    SELECT string_agg(key, ', ') INTO changes FROM jsonb_object_keys(before) AS key
     WHERE before -> key IS DISTINCT FROM after -> key AND NOT (key = ANY (ends) AND before -> key = 'null'::jsonb);
    IF changes IS NOT NULL THEN
      RAISE EXCEPTION 'review: % of % cannot change', changes, TG_TABLE_NAME
        USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    IF before ? 'void_at' THEN
      RETURN NEW;  -- a signature becomes void and its signer is told at any time
    END IF;
  END IF;
  -- The shared row lock makes a lock of the trial wait for us, and us for it.
  SELECT state INTO trial_state FROM access_trialstate WHERE id = 1 FOR SHARE;
  IF trial_state IS NOT DISTINCT FROM 'locked' THEN
    RAISE EXCEPTION 'trial is locked: % of % refused', TG_OP, TG_TABLE_NAME
      USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  RETURN NEW;
END $$;
