import assert from "node:assert/strict";
import { DOCKER, exported } from "../live-stack.ts";
import { project, withProject } from "../project.ts";

describe("database upgrade", function () {
  withProject(this);

  const NEW_VOLUME = `${DOCKER.data}_17`;
  /** The script on the server: which data it reports, and how it goes about a move. */
  const script = (move: string, served = `13 ${DOCKER.data}`) => ({
    talk: `
hear() {
  while read -r word; do [ "$word" = alive ] || break; done
  [ "$word" = "$1" ]
}
case " $* " in
  *' report '*) if [ -e moved ]; then cat moved; else echo '${served}'; fi ;;
  *) ${move} ;;
esac`,
  });
  const MOVED = `echo 17 ${NEW_VOLUME} >moved`;

  beforeEach(() => {
    const unprotected = { stdout: exported({ unprotected: true }) };
    project.answer("pulumi state unprotect", {
      talk: project.answerLater("pulumi stack export", unprotected),
    });
  });

  const upgrade = (...args: string[]) => project.run(["database", "upgrade", "17", ...args]);
  const database = () => project.configured()["hockey:database"];

  it("refuses a version that it does not know", async () => {
    const { status, stderr } = await project.run(["database", "upgrade", "99"]);
    assert.deepEqual(
      [status, stderr],
      [1, "error: PostgreSQL 99 is not known here; there are: 13, 14, 15, 16, 17, 18."],
    );
  });

  it("refuses a stack that has released nothing yet", async () => {
    project.configure({ commit: undefined });
    const { status, stderr } = await upgrade();
    assert.equal(status, 1);
    assert.match(stderr, /^error: Nothing runs yet; begin with: \.\/delivery deploy$/);
  });

  for (const [what, served] of [
    ["the version that runs", `17 ${DOCKER.data}`],
    ["an older one", `18 ${DOCKER.data}`],
  ] as const) {
    it(`refuses ${what}`, async () => {
      project.answer("ssh upgrade-db.sh", script("exit 1", served));
      const { status, stderr } = await upgrade();
      assert.equal(status, 1);
      assert.match(
        stderr,
        /^error: The database is PostgreSQL 1[78] already; only a newer major version can be upgraded/,
      );
      assert.deepEqual(project.called(), ["ssh upgrade-db.sh"]);
    });
  }

  it("touches nothing where the stack is not healthy as it is", async () => {
    project.answer("ssh upgrade-db.sh", script("exit 1")).answer("ssh await-healthy.sh", { status: 1 });
    const { status, stderr } = await upgrade();
    assert.equal(status, 1);
    assert.match(stderr, /The database was not touched\.$/);
    assert.equal(project.calls("ssh upgrade-db.sh").length, 1);
  });

  it("moves the data, switches the containers when it is time and writes the new database down", async () => {
    project.answer(
      "ssh upgrade-db.sh",
      script(`echo ready; hear go && echo moved && ${MOVED} && hear switched && echo done`),
    );
    const { status, stdout, stderr } = await upgrade();
    assert.deepEqual([status, stderr], [0, ""]);
    assert.match(stdout, /upgrading the database of test \(bot\.example\.org\) from PostgreSQL 13 to 17/);
    assert.match(stdout, /PostgreSQL 17 runs \(before: 13\), .*\n.*docker volume rm training_bot_db_data$/);
    assert.deepEqual(database(), { image: "postgres:17", volume: NEW_VOLUME });
    const ups = project.calls("pulumi up").map(({ args }) => args[args.indexOf("--message") + 1]);
    assert.deepEqual(ups, [
      "before the upgrade to PostgreSQL 17, by ann",
      "upgrade to PostgreSQL 17, by ann",
    ]);
    assert.equal(project.calls("pulumi state unprotect").length, 1);
  });

  it("leaves the old database where the trial fails, and says why", async () => {
    project.answer("ssh upgrade-db.sh", script(`echo 'The extension is missing.'; exit 1`));
    const { status, stderr } = await upgrade();
    assert.equal(status, 1);
    assert.match(
      stderr,
      /error: The upgrade failed: The extension is missing\. PostgreSQL 13 runs as before\.$/,
    );
    assert.equal(database(), undefined);
  });

  it("goes back with the stack where Pulumi cannot switch the containers", async () => {
    project
      .answer("ssh upgrade-db.sh", script(`echo ready; hear go && echo moved; hear switched || exit 1`))
      .answer("pulumi up", { update: {} }, { update: { errors: ["no image"] } }, { update: {} });
    const { status, stderr } = await upgrade();
    assert.equal(status, 1);
    assert.match(stderr, /^no image$/m);
    assert.match(
      stderr,
      /error: The upgrade failed: Pulumi could not switch the containers \(see above\)\. PostgreSQL 13 runs as before\.$/,
    );
    const ups = project.calls("pulumi up").map(({ args }) => args[args.indexOf("--message") + 1]);
    assert.equal(ups.at(-1), "back from PostgreSQL 17, by ann");
    assert.equal(database(), undefined);
  });

  it("says so where the stack cannot go back with it", async () => {
    project
      .answer("ssh upgrade-db.sh", script(`echo ready; hear go && echo moved; hear switched || exit 1`))
      .answer("pulumi up", { update: {} }, { update: { errors: ["no image"] } });
    const { status, stderr } = await upgrade();
    assert.equal(status, 1);
    assert.match(
      stderr,
      /PostgreSQL 13 runs, but the stack could not follow; go on with: \.\/delivery deploy --recover$/,
    );
  });

  it("keeps the new database where only the end of the talk was lost", async () => {
    project.answer(
      "ssh upgrade-db.sh",
      script(`echo ready; hear go && echo moved; ${MOVED}; hear switched; exit 255`),
    );
    const { status, stdout, stderr } = await upgrade();
    assert.equal(status, 1);
    assert.match(stdout, /PostgreSQL 17 runs/);
    assert.match(
      stderr,
      /error: The stack may not have followed to its end .*; finish with: \.\/delivery deploy$/,
    );
    assert.deepEqual(database(), { image: "postgres:17", volume: NEW_VOLUME });
  });

  it("does not begin while another update has the stack", async () => {
    project.answer("ssh upgrade-db.sh", script(`${project.lockLater()}; echo ready; hear go || exit 1`));
    const { status, stderr } = await upgrade();
    assert.equal(status, 3);
    assert.match(
      stderr,
      /error: The upgrade failed: The stack is locked by ann@.*\. PostgreSQL 13 runs as before\.$/,
    );
  });

  it("finishes an upgrade that was cut off after the data had moved", async () => {
    project.answer("ssh upgrade-db.sh", script("exit 1", `17 ${NEW_VOLUME}`));
    const { status, stdout } = await upgrade();
    assert.equal(status, 0);
    assert.match(stdout, /^finishing the upgrade to PostgreSQL 17 that was cut off/);
    assert.match(stdout, /PostgreSQL 17 runs, /);
    assert.deepEqual(database(), { image: "postgres:17", volume: NEW_VOLUME });
  });

  it("says so where the stack cannot finish it", async () => {
    project
      .answer("ssh upgrade-db.sh", script("exit 1", `17 ${NEW_VOLUME}`))
      .answer("pulumi up", { update: { errors: ["no image"] } });
    const { status, stderr } = await upgrade();
    assert.equal(status, 1);
    assert.match(
      stderr,
      /\nerror: PostgreSQL 17 runs, but the stack could not follow \(see above\); try again\.$/,
    );
    assert.equal(database(), undefined);
  });

  for (const [what, reply, sentence] of [
    ["a backup is running", { status: 75, stderr: "A backup is running.\n" }, /^error: .* running/],
    [
      "the server has no script",
      { status: 127 },
      /^error: The server has no upgrade-db\.sh yet; run `pulumi up`/,
    ],
    ["the script cannot tell", { status: 1, stderr: "no container\n" }, /^error: no container$/],
  ] as const) {
    it(`does not begin where ${what}`, async () => {
      project.answer("ssh upgrade-db.sh", reply);
      const { status, stderr } = await upgrade();
      assert.equal(status, 1);
      assert.match(stderr, sentence);
    });
  }
});
