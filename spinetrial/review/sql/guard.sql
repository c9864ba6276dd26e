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
