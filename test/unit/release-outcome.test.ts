import assert from "node:assert/strict";
import { type Attempt, detailsOf, outcome, releaseToPutBack } from "../../operator/release/outcome.ts";

const [NEW, OLD] = ["a1".repeat(20), "b2".repeat(20)] as const;
const config = { commit: NEW, app: { port: 5000 } };
const previous = {
  ...{ kind: "update", succeeded: true, started: new Date(0), seconds: 1, message: "" },
  ...{ commit: OLD, config: { commit: OLD, app: { port: 4000 } } },
};
const attempt: Attempt = {
  ...{ verb: "deploy", config, isHealthy: true, changed: true, errors: [], seconds: 7.04, previous },
};
const broken: Attempt = {
  ...attempt,
  ...{ isHealthy: false, errors: ["log line\ntraining_bot ended with status 1.\n", "resource failed"] },
};

describe("the release to put back", () => {
  it("is none while the new one is healthy", () => {
    assert.equal(releaseToPutBack(attempt), undefined);
  });

  it("is the previous one, with the configuration that it had", () => {
    assert.deepEqual(releaseToPutBack(broken), { commit: OLD, app: { port: 4000 } });
  });

  it("is none where nothing was live before", () => {
    assert.equal(releaseToPutBack({ ...broken, previous: undefined }), undefined);
  });

  it("is none where nothing was changed: it runs on", () => {
    assert.equal(releaseToPutBack({ ...broken, changed: false }), undefined);
  });
});

describe("what errors say beside the cause", () => {
  it("is what comes before it, without the command of the plugin, and every other error as a whole", () => {
    const first = 'Process exited with status 1: running "env x.sh":\nTraceback\nended with status 3.\n';
    assert.deepEqual(detailsOf([first, "no space\nleft"]), ["Traceback", "no space", "left"]);
    assert.deepEqual(detailsOf([]), []);
  });
});

describe("the end of a release", () => {
  const FAILED = "The deploy of a1a1a1a failed after 7.0 s: training_bot ended with status 1";

  it("is a success that names what was live before", () => {
    assert.deepEqual(outcome(attempt), {
      succeeded: true,
      message: "deploy: a1a1a1a is live (before: b2b2b2b), 7.0 s",
      live: config,
    });
  });

  it("is a success that names nothing where it is the first", () => {
    const { message } = outcome({ ...attempt, verb: "rollback", previous: undefined });
    assert.equal(message, "rollback: a1a1a1a is live, 7.0 s");
  });

  it("is a success that says so where nothing had to be changed", () => {
    assert.deepEqual(outcome({ ...attempt, changed: false }), {
      ...{ succeeded: true, message: "deploy: a1a1a1a was live already, 7.0 s", live: config },
    });
  });

  it("is a failure that names the cause alone where nothing was changed", () => {
    assert.deepEqual(outcome({ ...broken, changed: false }), {
      succeeded: false,
      message: "The deploy of a1a1a1a failed after 7.0 s: training_bot ended with status 1",
    });
  });

  it("is a failure without a cause where Pulumi has named none", () => {
    const { message } = outcome({ ...broken, changed: false, errors: [] });
    assert.equal(message, "The deploy of a1a1a1a failed after 7.0 s");
  });

  it("is a failure that leaves nothing healthy where nothing can be put back", () => {
    assert.deepEqual(outcome({ ...broken, previous: undefined }), {
      succeeded: false,
      message: `${FAILED}; there is no earlier release to put back.`,
    });
  });

  it("is a failure that makes the commit live again that was put back, and leaves all else to the operator", () => {
    const back = { commit: OLD, app: { port: 1 }, proxy: {} };
    assert.deepEqual(outcome(broken, { config: back, isHealthy: true, seconds: 12 }), {
      succeeded: false,
      message: `${FAILED}; b2b2b2b is back.`,
      live: { commit: OLD },
    });
  });

  it("is a failure that says so where the earlier release is not healthy either", () => {
    assert.deepEqual(outcome(broken, { config: { commit: OLD }, isHealthy: false, seconds: 12 }), {
      succeeded: false,
      message: `${FAILED}; and b2b2b2b could not be put back either; see above and ./delivery health.`,
    });
  });
});
