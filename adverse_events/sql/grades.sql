-- The grade of an adverse event with grade periods is the worst of them. Looked at when the transaction ends, because
-- the event and its periods are written one after the other.

CREATE OR REPLACE FUNCTION adverse_event_worst_grade() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    events bigint[];
    wrong bigint;
BEGIN
    IF TG_TABLE_NAME = 'adverse_events_adverseevent' THEN
        events := ARRAY[NEW.id];
    ELSIF TG_OP = 'DELETE' THEN
        events := ARRAY[OLD.parent_id];
    ELSIF TG_OP = 'UPDATE' THEN
        events := ARRAY[OLD.parent_id, NEW.parent_id];
    ELSE
        events := ARRAY[NEW.parent_id];
    END IF;
    SELECT event.id INTO wrong
    FROM adverse_events_adverseevent event
    JOIN adverse_events_gradeperiod period ON period.parent_id = event.id
    WHERE event.id = ANY (events)
    GROUP BY event.id, event.grade
    HAVING max(period.grade) <> event.grade;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'The grade of adverse event % is not the worst of its periods.', wrong
            USING ERRCODE = 'check_violation', CONSTRAINT = 'adverseevent_worst_grade';
    END IF;
    RETURN NULL;
END $$;

DROP TRIGGER IF EXISTS adverse_event_worst_grade ON adverse_events_adverseevent;
CREATE CONSTRAINT TRIGGER adverse_event_worst_grade AFTER INSERT OR UPDATE OF grade ON adverse_events_adverseevent
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION adverse_event_worst_grade();

DROP TRIGGER IF EXISTS adverse_event_worst_grade ON adverse_events_gradeperiod;
CREATE CONSTRAINT TRIGGER adverse_event_worst_grade AFTER INSERT OR UPDATE OR DELETE ON adverse_events_gradeperiod
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION adverse_event_worst_grade();
