-- Gives the role :role everything in this database that belongs to the superuser, but for PostgreSQL's own, the members of
-- extensions, and what only a superuser may own. A second time there is nothing to give. The caller begins and ends the
-- transaction; :seconds is its limit for what there is to give, or 0.
SET LOCAL lock_timeout = '5s';
SET LOCAL client_min_messages = warning;
SELECT set_config('own.role', :'role', true), set_config('statement_timeout', :'seconds' || 's', true) \g /dev/null

CREATE TEMPORARY VIEW to_give AS
WITH object (catalog, id) AS (
  -- Indexes, TOAST tables and the sequences of columns follow their tables; types of rows and arrays, too.
  SELECT tableoid, oid FROM pg_class c
  WHERE relowner = 10 AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND relpersistence <> 't' AND NOT EXISTS (
    SELECT FROM pg_depend
    WHERE relkind = 'S' AND classid = c.tableoid AND objid = c.oid AND refobjsubid > 0 AND deptype IN ('a', 'i'))
  UNION ALL SELECT tableoid, oid FROM pg_type t
  WHERE typowner = 10 AND NOT EXISTS (
    SELECT FROM pg_depend WHERE classid = t.tableoid AND objid = t.oid AND deptype = 'i')
  UNION ALL SELECT tableoid, oid FROM pg_publication p
  WHERE pubowner = 10 AND NOT puballtables AND NOT EXISTS (
    SELECT FROM pg_depend
    WHERE classid = to_regclass('pg_publication_namespace') AND refclassid = p.tableoid AND refobjid = p.oid)
  UNION ALL SELECT tableoid, oid FROM pg_namespace WHERE nspowner = 10 AND nspname !~ '^pg_'
  UNION ALL SELECT tableoid, oid FROM pg_proc WHERE proowner = 10
  UNION ALL SELECT tableoid, oid FROM pg_collation WHERE collowner = 10
  UNION ALL SELECT tableoid, oid FROM pg_conversion WHERE conowner = 10
  UNION ALL SELECT tableoid, oid FROM pg_operator WHERE oprowner = 10
  UNION ALL SELECT tableoid, oid FROM pg_opclass WHERE opcowner = 10
  UNION ALL SELECT tableoid, oid FROM pg_opfamily WHERE opfowner = 10
  UNION ALL SELECT tableoid, oid FROM pg_ts_config WHERE cfgowner = 10
  UNION ALL SELECT tableoid, oid FROM pg_ts_dict WHERE dictowner = 10
  UNION ALL SELECT tableoid, oid FROM pg_statistic_ext WHERE stxowner = 10
  UNION ALL SELECT tableoid, oid FROM pg_foreign_server WHERE srvowner = 10
  UNION ALL SELECT 'pg_largeobject'::regclass, oid FROM pg_largeobject_metadata WHERE lomowner = 10
)
SELECT identity, CASE WHEN type IN ('function', 'procedure', 'aggregate') THEN 'ROUTINE'
  WHEN type = 'statistics object' THEN 'STATISTICS' ELSE upper(type) END AS kind
FROM object, pg_identify_object(catalog, id, 0)
-- Below 16384 is what initdb makes. Of that, the schema public is for the database's owner.
WHERE (id >= 16384 OR identity = 'public') AND NOT EXISTS (
  SELECT FROM pg_depend WHERE classid = catalog AND objid = id AND deptype = 'e');

DO $$
DECLARE
  command text;
  left_over text;
BEGIN
  FOR command IN SELECT format('ALTER %s %s OWNER TO %I', kind, identity, current_setting('own.role')) FROM to_give LOOP
    EXECUTE command;
  END LOOP;
  SELECT string_agg(kind || ' ' || identity, ', ') INTO left_over FROM to_give;
  IF left_over IS NOT NULL THEN
    RAISE 'the superuser still owns %', left_over;
  END IF;
END $$;
