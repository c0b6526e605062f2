import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";

const FIT = join(import.meta.dirname, "..", "..", "scripts", "server", "lib", "dump.awk");

/** A dump as it is loaded into a cluster with the roles hockey, postgres and alice. */
function fit(...lines: string[]): string[] {
  const facts = ["role=hockey", "superuser=postgres", "known=hockey postgres alice"];
  const args = [...facts.flatMap((fact) => ["-v", fact]), "-f", FIT];
  const output = execFileSync("awk", args, {
    input: lines.map((line) => `${line}\n`).join(""),
    encoding: "utf8",
  });
  return output.split("\n").slice(0, -1);
}

describe("a dump from elsewhere", () => {
  for (const [given, fitted] of [
    ["ALTER TABLE public.t OWNER TO bot;", 'ALTER TABLE public.t OWNER TO "hockey";'],
    ['ALTER TABLE public.t OWNER TO "The""Bot";', 'ALTER TABLE public.t OWNER TO "hockey";'],
    [
      'ALTER FUNCTION public."a OWNER TO b"(x text) OWNER TO bot;',
      'ALTER FUNCTION public."a OWNER TO b"(x text) OWNER TO "hockey";',
    ],
    ["ALTER TABLE public.t OWNER TO alice;", "ALTER TABLE public.t OWNER TO alice;"],
    ["ALTER EVENT TRIGGER x OWNER TO hockey;", undefined],
    ["ALTER EVENT TRIGGER x OWNER TO postgres;", "ALTER EVENT TRIGGER x OWNER TO postgres;"],
    ["ALTER PUBLICATION x OWNER TO bot;", undefined],
    ["GRANT SELECT ON TABLE public.t TO bot;", undefined],
    ["GRANT SELECT(a) ON TABLE public.t TO bot WITH GRANT OPTION;", undefined],
    [
      "GRANT SELECT ON TABLE public.t TO alice WITH GRANT OPTION;",
      "GRANT SELECT ON TABLE public.t TO alice WITH GRANT OPTION;",
    ],
    ["GRANT SELECT ON TABLE public.t TO PUBLIC;", "GRANT SELECT ON TABLE public.t TO PUBLIC;"],
    ["REVOKE ALL ON SCHEMA public FROM bot;", undefined],
    ["REVOKE ALL ON SCHEMA public FROM postgres;", "REVOKE ALL ON SCHEMA public FROM postgres;"],
    ["ALTER DEFAULT PRIVILEGES FOR ROLE bot IN SCHEMA public GRANT SELECT ON TABLES  TO alice;", undefined],
    ["ALTER DEFAULT PRIVILEGES FOR ROLE hockey GRANT SELECT ON TABLES  TO bot;", undefined],
    [
      "ALTER DEFAULT PRIVILEGES FOR ROLE hockey GRANT SELECT ON TABLES  TO alice;",
      "ALTER DEFAULT PRIVILEGES FOR ROLE hockey GRANT SELECT ON TABLES  TO alice;",
    ],
  ] as const) {
    it(fitted === given ? `keeps: ${given}` : `is fitted to the roles that are here: ${given}`, () => {
      assert.deepEqual(fit(given), fitted === undefined ? [] : [fitted]);
    });
  }

  const OWNER = "ALTER TABLE public.t OWNER TO bot;";
  const GRANT = "GRANT SELECT ON TABLE public.t TO bot;";
  for (const [what, ...lines] of [
    ["rows", "COPY public.t (a) FROM stdin;", OWNER, GRANT, "'\"$$", "\\."],
    [
      "the body of a function",
      "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $_$",
      OWNER,
      " 'it''s $1 $$ \"",
      GRANT,
      "$_$;",
    ],
    ["a text", "COMMENT ON TABLE t IS 'it''s -- \"", OWNER, GRANT, "';"],
    ["a text with escapes", "SELECT E'a''b\\'", OWNER, "\\\\\\'", GRANT, "';"],
    ["a name", "CREATE TABLE \"it's", OWNER, GRANT, '" ();'],
    ["a text after a name with a dollar", "SELECT a$b$c, type'", OWNER, "\\';"],
  ] as const) {
    it(`keeps what looks like an owner in ${what}, and goes on behind it`, () => {
      assert.deepEqual(fit(...lines, OWNER, GRANT), [...lines, 'ALTER TABLE public.t OWNER TO "hockey";']);
    });
  }

  it("is not misread for what stands in a comment", () => {
    assert.deepEqual(fit("-- it's a \"comment $$", GRANT), ["-- it's a \"comment $$"]);
  });
});
