-- What must hold for every role and every path, the owner's own statements included. Installed after every migrate.

CREATE OR REPLACE FUNCTION randomization_refuse() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'randomisation: % of % refused: it never changes', TG_OP, TG_TABLE_NAME
    USING ERRCODE = 'insufficient_privilege';
END $$;

-- The owner of the tables changes the field keys (`rotate_field_keys`): the same text, encrypted anew. Whoever can say
-- this can also drop the triggers; that the text is the same is what `verify_lists` proves.
CREATE OR REPLACE FUNCTION randomization_rekeying() RETURNS boolean
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
  SELECT coalesce(current_setting('spinetrial.rekey', true), '') = 'on' AND session_user = (
    SELECT tableowner FROM pg_tables WHERE schemaname = 'public' AND tablename = 'randomization_slot')
$$;

CREATE OR REPLACE FUNCTION randomization_slot_keep() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  IF to_jsonb(NEW) - 'arm' - 'block' = to_jsonb(OLD) - 'arm' - 'block' AND randomization_rekeying() THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'randomisation: % of % refused: it never changes', TG_OP, TG_TABLE_NAME
    USING ERRCODE = 'insufficient_privilege';
END $$;

-- A list is sealed once, complete, and changes afterwards only by being withdrawn while nobody holds a slot of it.
CREATE OR REPLACE FUNCTION randomization_list_guard() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  slots record;
  kept jsonb;
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NEW.sealed_at IS NOT NULL THEN
      RAISE EXCEPTION 'randomisation: a list starts as a draft' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
  END IF;
  IF OLD.sealed_at IS NOT NULL THEN
    IF TG_OP = 'DELETE' THEN
      RAISE EXCEPTION 'randomisation: a sealed list is never deleted' USING ERRCODE = 'insufficient_privilege';
    END IF;
    -- One row is compared whole, so that a column added later is protected without a thought.
    IF to_jsonb(NEW) - 'secret' = to_jsonb(OLD) - 'secret' AND randomization_rekeying() THEN
      RETURN NEW;
    END IF;
    kept := to_jsonb(NEW) || jsonb_build_object('withdrawn_at', to_jsonb(OLD) -> 'withdrawn_at');
    IF kept <> to_jsonb(OLD) OR OLD.withdrawn_at IS NOT NULL THEN
      RAISE EXCEPTION 'randomisation: a sealed list never changes' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF NEW.withdrawn_at IS NOT NULL AND EXISTS (
         SELECT 1 FROM randomization_allocation a JOIN randomization_slot s ON s.id = a.slot_id
          WHERE s.list_id = OLD.id) THEN
      RAISE EXCEPTION 'randomisation: a list that was used is not withdrawn' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
  END IF;
  IF TG_OP = 'DELETE' THEN
    RETURN OLD;
  END IF;
  IF NEW.sealed_at IS NOT NULL THEN
    SELECT count(*) AS n, min(number) AS first, max(number) AS last INTO slots
      FROM randomization_slot WHERE list_id = NEW.id;
    IF slots.n <> NEW.length OR slots.first <> 1 OR slots.last <> NEW.length THEN
      RAISE EXCEPTION 'randomisation: a list is sealed only when its slots 1 to % are all there', NEW.length
        USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.source = 'imported' AND EXISTS (
         SELECT 1 FROM randomization_randomizationlist l
          WHERE l.site_id = NEW.site_id AND l.id <> NEW.id AND l.sealed_at IS NOT NULL AND l.withdrawn_at IS NULL) THEN
      RAISE EXCEPTION 'randomisation: an imported list never stands behind another list'
        USING ERRCODE = 'check_violation';
    END IF;
  END IF;
  RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION randomization_slot_guard() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  parent randomization_randomizationlist;
BEGIN
  -- Locking the list makes sealing wait for the slots, and late slots see the seal.
  IF TG_OP = 'DELETE' THEN
    SELECT * INTO parent FROM randomization_randomizationlist WHERE id = OLD.list_id FOR SHARE;
  ELSE
    SELECT * INTO parent FROM randomization_randomizationlist WHERE id = NEW.list_id FOR SHARE;
    IF NEW.site_id <> parent.site_id THEN
      RAISE EXCEPTION 'randomisation: a slot belongs to the site of its list' USING ERRCODE = 'check_violation';
    END IF;
  END IF;
  IF parent.sealed_at IS NOT NULL THEN
    RAISE EXCEPTION 'randomisation: % of a slot of a sealed list refused', TG_OP
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $$;

-- The next slot and no other: sealed list of the subject's own site, every earlier slot of the site taken.
CREATE OR REPLACE FUNCTION randomization_allocation_guard() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  taken randomization_slot;
  next_slot bigint;
BEGIN
  SELECT * INTO taken FROM randomization_slot WHERE id = NEW.slot_id;
  IF taken.site_id IS DISTINCT FROM (SELECT site_id FROM patients_subject WHERE id = NEW.subject_id) THEN
    RAISE EXCEPTION 'randomisation: the slot is of another stratum' USING ERRCODE = 'check_violation';
  END IF;
  SELECT s.id INTO next_slot
    FROM randomization_slot s JOIN randomization_randomizationlist l ON l.id = s.list_id
   WHERE s.site_id = taken.site_id AND l.sealed_at IS NOT NULL AND l.withdrawn_at IS NULL
     AND NOT EXISTS (SELECT 1 FROM randomization_allocation a WHERE a.slot_id = s.id)
   ORDER BY l.part, s.number LIMIT 1;
  IF next_slot IS DISTINCT FROM NEW.slot_id THEN
    RAISE EXCEPTION 'randomisation: slot % is not the next one of its stratum', NEW.slot_id
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION randomization_arm_guard() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  IF NEW.subject_id IS DISTINCT FROM (SELECT subject_id FROM randomization_allocation WHERE id = NEW.allocation_id) THEN
    RAISE EXCEPTION 'randomisation: the arm is of another subject' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER randomization_guard BEFORE INSERT OR UPDATE OR DELETE ON randomization_randomizationlist
  FOR EACH ROW EXECUTE FUNCTION randomization_list_guard();
CREATE OR REPLACE TRIGGER randomization_guard BEFORE INSERT OR DELETE ON randomization_slot
  FOR EACH ROW EXECUTE FUNCTION randomization_slot_guard();
CREATE OR REPLACE TRIGGER randomization_keep BEFORE UPDATE ON randomization_slot
  FOR EACH ROW EXECUTE FUNCTION randomization_slot_keep();
CREATE OR REPLACE TRIGGER randomization_guard BEFORE INSERT ON randomization_allocation
  FOR EACH ROW EXECUTE FUNCTION randomization_allocation_guard();
CREATE OR REPLACE TRIGGER randomization_keep BEFORE UPDATE OR DELETE ON randomization_allocation
  FOR EACH ROW EXECUTE FUNCTION randomization_refuse();
CREATE OR REPLACE TRIGGER randomization_guard BEFORE INSERT ON randomization_allocatedarm
  FOR EACH ROW EXECUTE FUNCTION randomization_arm_guard();
CREATE OR REPLACE TRIGGER randomization_keep BEFORE UPDATE OR DELETE ON randomization_allocatedarm
  FOR EACH ROW EXECUTE FUNCTION randomization_refuse();
