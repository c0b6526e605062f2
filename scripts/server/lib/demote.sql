-- Makes the role :role an ordinary one: PostgreSQL's image has made it the superuser with which a cluster begins, which can
-- neither be demoted nor give up the catalogs. So that superuser gets another name, and a new role the old name and
-- password. own.sql then gives it what is in a database. Runs as that superuser, in one transaction with own.sql.
SET LOCAL lock_timeout = '5s';
-- The digest of a password belongs in no log.
SET LOCAL log_min_error_statement = panic;
SET LOCAL log_statement = none;
SET LOCAL log_min_duration_statement = -1;
SET LOCAL log_min_duration_sample = -1;
SET LOCAL log_transaction_sample_rate = 0;
SET LOCAL client_min_messages = warning;

-- What is connected as the superuser stays that until it ends.
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usesysid = 10 AND pid <> pg_backend_pid() \g /dev/null

SELECT CASE WHEN 'postgres' = ANY (array_agg(rolname::text)) THEN 'superuser' ELSE 'postgres' END AS superuser,
  (SELECT format('CREATE ROLE %I LOGIN PASSWORD %L', rolname, rolpassword) FROM pg_authid WHERE oid = 10) AS create_role
FROM pg_roles \gset

-- A session cannot rename its own role.
CREATE ROLE demoting SUPERUSER;
SET LOCAL SESSION AUTHORIZATION demoting;
ALTER ROLE :"role" RENAME TO :"superuser";
RESET SESSION AUTHORIZATION;
DROP ROLE demoting;
ALTER ROLE :"superuser" PASSWORD NULL;
:create_role;

-- Settings and memberships of the role; none that would make it more than an owner.
SELECT oid AS new FROM pg_roles WHERE rolname = :'role' \gset
UPDATE pg_db_role_setting SET setrole = :new WHERE setrole = 10;
UPDATE pg_auth_members SET roleid = :new WHERE roleid = 10;
UPDATE pg_auth_members SET member = :new
WHERE member = 10 AND roleid >= 16384 AND roleid IN (SELECT oid FROM pg_roles WHERE NOT rolsuper);

SELECT format('ALTER DATABASE %I OWNER TO %I', datname, :'role')
FROM pg_database WHERE datdba = 10 AND (oid >= 16384 OR datname = current_database()) AND NOT datistemplate \gexec
