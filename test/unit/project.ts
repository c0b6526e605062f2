import { FakeProject } from "./fake-tools.ts";
import { answerRelease, history, NEW, OLD, report } from "./live-stack.ts";

/** The project of the test that runs, in a suite with `withProject`. */
export let project: FakeProject;

/** Gives each test of a suite a project of its own: by default one in which OLD runs and the release of NEW succeeds. */
export function withProject(
  suite: Mocha.Suite,
  make: () => FakeProject | Promise<FakeProject> = () => answerRelease(new FakeProject({ commit: OLD })),
): void {
  // Each command starts a process, which takes seconds on a busy machine.
  suite.timeout(60_000);
  suite.beforeEach(async () => {
    project = await make();
  });
  suite.afterEach(() => {
    project.close();
  });
}

/** A project whose server is healthy, with two releases in its history. */
export const healthy = () =>
  new FakeProject().answer("ssh check-health.sh", { stdout: report() }).answer("pulumi stack history", {
    stdout: history([OLD, "succeeded", { repository: "/old" }], [NEW, "failed"]),
  });
