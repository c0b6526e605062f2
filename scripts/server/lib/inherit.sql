-- Gives the role :role what others have given the superuser in this database, while that still had the role's name: rights
-- on their objects, policies, default privileges and mappings to other servers. For the transaction that ends with own.sql.
WITH object (catalog, id, owner, rights, kind) AS (
  SELECT tableoid, oid, relowner, relacl, CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END FROM pg_class
  UNION ALL SELECT tableoid, oid, proowner, proacl, 'ROUTINE' FROM pg_proc
  UNION ALL SELECT tableoid, oid, nspowner, nspacl, 'SCHEMA' FROM pg_namespace
  UNION ALL SELECT tableoid, oid, typowner, typacl, 'TYPE' FROM pg_type
  UNION ALL SELECT tableoid, oid, srvowner, srvacl, 'FOREIGN SERVER' FROM pg_foreign_server
  UNION ALL SELECT 'pg_largeobject'::regclass, oid, lomowner, lomacl, 'LARGE OBJECT' FROM pg_largeobject_metadata
), granted (object, privilege, grantable) AS (
  SELECT kind || ' ' || (pg_identify_object(catalog, id, 0)).identity, privilege_type, is_grantable
  FROM object, aclexplode(rights) WHERE owner <> 10 AND grantee = 10
  UNION ALL
  SELECT format('TABLE %s', attrelid::regclass), format('%s (%I)', privilege_type, attname), is_grantable
  FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid, aclexplode(attacl) WHERE relowner <> 10 AND grantee = 10
)
SELECT format('GRANT %s ON %s TO %I%s', privilege, object, :'role', CASE WHEN grantable THEN ' WITH GRANT OPTION' END)
FROM granted \gexec

SELECT format('ALTER POLICY %I ON %s TO %s', polname, polrelid::regclass,
  (SELECT string_agg(quote_ident(CASE id WHEN 10 THEN :'role' ELSE pg_get_userbyid(id) END), ', ') FROM unnest(polroles) id))
FROM pg_policy WHERE 10 = ANY (polroles) \gexec

WITH privileges (of, kind, acl) AS (
  SELECT format('ALTER DEFAULT PRIVILEGES FOR ROLE %I%s', :'role', ' IN SCHEMA ' || quote_ident(nspname)),
    CASE defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'ROUTINES' WHEN 'T' THEN 'TYPES'
      WHEN 'n' THEN 'SCHEMAS' ELSE 'LARGE OBJECTS' END, defaclacl
  FROM pg_default_acl LEFT JOIN pg_namespace ON pg_namespace.oid = defaclnamespace WHERE defaclrole = 10
)
SELECT format('%s REVOKE ALL ON %s FROM PUBLIC, %I', of, kind, :'role') FROM privileges
UNION ALL
SELECT format('%s GRANT %s ON %s TO %s%s', of, privilege_type, kind,
  CASE grantee WHEN 0 THEN 'PUBLIC' WHEN 10 THEN quote_ident(:'role') ELSE quote_ident(pg_get_userbyid(grantee)) END,
  CASE WHEN is_grantable THEN ' WITH GRANT OPTION' END)
FROM privileges, aclexplode(acl) \gexec

SELECT format('CREATE USER MAPPING FOR %I SERVER %I%s', :'role', srvname,
  (SELECT format(' OPTIONS (%s)', string_agg(format('%I %L', option_name, option_value), ', ')) FROM pg_options_to_table(umoptions)))
FROM pg_user_mappings WHERE umuser = 10
UNION ALL
SELECT format('DROP USER MAPPING FOR CURRENT_USER SERVER %I', srvname) FROM pg_user_mappings WHERE umuser = 10 \gexec
