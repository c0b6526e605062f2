# shellcheck shell=bash
# What is in a database, so that a copy can be compared with it: rows and a digest of every table, sequences, large
# objects, the number of objects of every kind. Needs lib/postgres.sh.
# shellcheck disable=SC2034,SC2154 # shared with the scripts and the other files here

# Under these settings a value has the same text in every database and every version of PostgreSQL. A backup takes no
# second core from the bot.
readonly PINNED="SET datestyle = 'ISO, YMD'; SET intervalstyle = postgres; SET timezone = 'UTC'; SET extra_float_digits = 3;
SET bytea_output = hex; SET lc_monetary = 'C'; SET search_path = ''; SET row_security = off; SET statement_timeout = 0;
SET jit = off; SET max_parallel_workers_per_gather = 0;"

# Objects of an extension do not count: the extension makes them.
readonly OBJECTS="object AS (
  SELECT c.oid, n.nspname, c.relname, c.relkind, format('%s.%s', n.nspname, c.relname) AS name
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
)"

# How far every sequence is, as one line of JSON. A sequence is no part of a snapshot: it goes on while that is dumped.
readonly SEQUENCES="WITH $OBJECTS, sequence AS (
  SELECT name, (xpath('//n/text()', query_to_xml(
    format('SELECT concat(last_value, '' '', is_called) AS n FROM %I.%I', nspname, relname), false, true, '')))[1]::text AS n
  FROM object WHERE relkind = 'S'
)
SELECT coalesce(json_object_agg(name, n ORDER BY name COLLATE \"C\"), '{}') FROM sequence"

# A number for a text; the sum of such numbers is the same in every order of the rows: bits_of EXPRESSION. PostgreSQL places
# the rows of hash partitions by it, so that every version gives the same. With md5 a backup would take twice as long here.
bits_of() {
  echo "hashtextextended($1 COLLATE \"C\", 0)"
}

# Columns go by their names, since a dump may give those of an inherited table another order. What is generated is made
# anew. A large object's page that was never written reads as zeros, and is one of zeros in a copy.
read -r -d '' DESCRIPTION <<SQL || true
WITH $OBJECTS, counted AS (
  SELECT name, query_to_xml(format(
    'SELECT count(*) AS n, coalesce(sum($(bits_of 'ROW(%s)::text')), 0) AS d FROM ONLY %I.%I AS t',
    (SELECT string_agg(format('t.%I', attname), ', ' ORDER BY attname COLLATE "C") FROM pg_attribute
     WHERE attrelid = object.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = ''), nspname, relname), false, true, '') AS answer
  FROM object WHERE relkind = 'r'
), rows AS (
  SELECT name, (xpath('//n/text()', answer))[1]::text::bigint AS n, (xpath('//d/text()', answer))[1]::text AS d FROM counted
), kinds AS (
  SELECT relkind::text AS kind, count(*) AS n FROM object GROUP BY 1
), page AS (
  SELECT loid, pageno, rtrim(encode(data, 'hex'), '0') AS data FROM pg_largeobject
)
SELECT json_build_object(
  'rows', (SELECT coalesce(json_object_agg(name, n ORDER BY name COLLATE "C"), '{}') FROM rows),
  'objects', (SELECT coalesce(json_object_agg(kind, n ORDER BY kind COLLATE "C"), '{}') FROM kinds),
  'digests', (SELECT coalesce(json_object_agg(name, d ORDER BY name COLLATE "C"), '{}') FROM rows),
  'sequences', (SELECT coalesce(json_object_agg(key, value ORDER BY key COLLATE "C"), '{}') FROM json_each_text(($SEQUENCES)) AS now
     WHERE :'before' = '' OR value = nullif(:'before', '')::json ->> key),
  'largeObjects', json_build_object(
    'number', (SELECT count(*) FROM pg_largeobject_metadata),
    'digest', (SELECT coalesce(sum($(bits_of "format('%s %s %s', loid, pageno, data)")), 0)::text FROM page WHERE data <> ''))) AS actual
SQL
readonly DESCRIPTION

# Gives all of it, as one line of JSON. Of the sequences only those that are as they were `before`, where psql has that.
readonly CONTENTS="\\if :{?before} \\else \\set before '' \\endif
$PINNED
$DESCRIPTION;
RESET ALL;"

# The statement that gives a digest of the answer to `backups.query`.
query_digest() {
  psql_variable query "${setting[query]}"
  echo "SELECT md5(query_to_xml(:'query', true, true, '')::text);"
}

# The statements that say what differs from an answer to CONTENTS, in one line; nothing where all of that is there:
# compare_contents CONTENTS. Answers of earlier versions say less, and then less is compared.
compare_contents() {
  psql_variable expected "$1"
  echo "\\set before ''
    $PINNED
    $DESCRIPTION \\gset"
  cat <<'SQL'
SELECT string_agg(difference, ', ') FROM (
  SELECT regexp_replace(format('%s of %s: %s, restored %s', section.key, name, coalesce(was, 'none'), coalesce(now, 'none')),
    '[[:cntrl:]]', '?', 'g') AS difference
  FROM json_each(:'expected') WITH ORDINALITY AS section(key, value, place), LATERAL (
    SELECT coalesce(old.key, new.key) AS name, old.value AS was, new.value AS now
    FROM json_each_text(section.value) AS old
    FULL JOIN json_each_text(:'actual'::json -> section.key) AS new ON new.key = old.key
  ) AS compared
  -- A sequence that has moved during the dump is in no answer.
  WHERE was IS DISTINCT FROM now AND (was IS NOT NULL OR section.key <> 'sequences')
  ORDER BY place, name COLLATE "C" LIMIT 4
) AS found;
SQL
}

# The same for a database: differences CONTAINER DATABASE CONTENTS.
differences() {
  compare_contents "$3" | sql_in "$1" "$2"
}

# The statement that names the tables with less than half of the rows that they had in an earlier answer to CONTENTS, in one
# line that is safe in JSON: compare_rows EARLIER PRESENT. Those that were smaller than `leastRows` do not count.
compare_rows() {
  psql_variable earlier "$1"
  psql_variable present "$2"
  psql_variable least "${setting[leastRows]}"
  cat <<'SQL'
SELECT string_agg(format('%s %s to %s', regexp_replace(key, '[^[:alnum:]_.]', '?', 'g'), was, now), ', ' ORDER BY key COLLATE "C") FROM (
  SELECT old.key, old.value::bigint AS was, coalesce(new.value, '0')::bigint AS now
  FROM json_each_text(:'earlier'::json -> 'rows') AS old
  LEFT JOIN json_each_text(:'present'::json -> 'rows') AS new ON new.key = old.key
) AS compared WHERE was >= :least AND now * 2 < was;
SQL
}
