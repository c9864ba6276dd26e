-- Nobody changes their own memberships, whatever road the write takes: the person who acts is named by the transaction.

CREATE OR REPLACE FUNCTION access_not_own() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  actor bigint := nullif(current_setting('spinetrial.actor_id', true), '')::bigint;
BEGIN
  IF (TG_OP <> 'INSERT' AND OLD.user_id = actor) OR (TG_OP <> 'DELETE' AND NEW.user_id = actor) THEN
    RAISE EXCEPTION 'access: % of a membership refused: nobody changes their own rights', lower(TG_OP)
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $$;

CREATE OR REPLACE TRIGGER access_not_own BEFORE INSERT OR UPDATE OR DELETE ON access_membership
  FOR EACH ROW EXECUTE FUNCTION access_not_own();
