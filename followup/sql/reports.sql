-- A participant's report stays as it was given, whatever path a write comes by. Installed anew after every migrate.
-- Argument: table of the report when this is the table of its rows, else ''.
CREATE OR REPLACE FUNCTION followup_report_kept() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  given integer;
BEGIN
  IF TG_OP <> 'INSERT' THEN
    RAISE EXCEPTION 'answered by the participant: % of % refused', TG_OP, TG_TABLE_NAME
      USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  IF coalesce(current_setting('spinetrial.actor', true), '') <> 'system: participant'
     OR coalesce(current_setting('spinetrial.actor_id', true), '') <> '' THEN
    RAISE EXCEPTION 'only the participant answers: INSERT into % refused', TG_TABLE_NAME
      USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  IF TG_ARGV[0] = '' THEN
    -- The invitation is marked as answered first, in the same transaction.
    IF NOT EXISTS (SELECT 1 FROM followup_invitation AS i WHERE i.subject_id = NEW.subject_id
                   AND i.event = NEW.event AND i.revoked_at IS NULL AND i.submitted_at IS NOT NULL) THEN
      RAISE EXCEPTION 'no answered invitation: INSERT into % refused', TG_TABLE_NAME
        USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
  ELSE
    -- Places are taken once, so a row beyond the number told at first would be a later one.
    EXECUTE format('SELECT rows_given FROM %I WHERE id = $1 AND subject_id = $2', TG_ARGV[0])
       INTO given USING NEW.parent_id, NEW.subject_id;
    IF given IS NULL OR NEW.position >= given THEN
      RAISE EXCEPTION 'answered by the participant: a further row in % refused', TG_TABLE_NAME
        USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
  END IF;
  RETURN NEW;
END $$;
