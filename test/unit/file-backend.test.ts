import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { deploymentFile, directoryOf, historyFiles, removeHalfWritten } from "../../operator/file-backend.ts";
import type { Stack } from "../../operator/stack.ts";
import { settings } from "./fixtures.ts";
import { TemporaryDirectory } from "./temporary-directory.ts";

const stack: Stack = { name: "test", file: "Pulumi.test.yaml", settings: settings() };

describe("a backend of files", () => {
  const { PULUMI_BACKEND_URL: before } = process.env;
  let backend: TemporaryDirectory;

  beforeEach(() => {
    backend = new TemporaryDirectory("state-");
    process.env.PULUMI_BACKEND_URL = `file://${backend.directory}?metadata=skip`;
  });
  afterEach(() => {
    if (before === undefined) delete process.env.PULUMI_BACKEND_URL;
    else process.env.PULUMI_BACKEND_URL = before;
    backend.close();
  });

  const put = (path: string, content: unknown) => {
    backend.write(`.pulumi/${path}`, JSON.stringify(content));
  };
  const latest = { resources: [] };
  const putStack = () => {
    put("stacks/hockey/test.json", { version: 3, checkpoint: { latest } });
  };

  it("is one by its address alone", () => {
    assert.equal(directoryOf("file:///x/y?no_tmp_dir=true"), "/x/y/.pulumi");
    assert.equal(directoryOf("file://~/x"), join(userInfo().homedir, "x/.pulumi"));
    assert.equal(directoryOf("file://~"), join(userInfo().homedir, ".pulumi"));
    for (const other of ["s3://bucket", "https://api.pulumi.com", "", undefined]) {
      assert.equal(directoryOf(other), undefined);
    }
  });

  it("has the state as it is exported", () => {
    putStack();
    assert.deepEqual(deploymentFile(stack), latest);
  });

  it("loses what was half-written beside a state, and nothing else", () => {
    const pulumis = join(backend.directory, ".pulumi");
    removeHalfWritten(pulumis, stack);
    putStack();
    put("stacks/hockey/test.json.bak.attrs", { md5: "x" });
    for (const [name, content] of [
      ["test.json.attrs", ""],
      ["test.pulumi-tags.attrs", '{"md5":'],
      ["test.json.bak", ""],
      ["tester.json.attrs", ""],
    ] as const)
      backend.write(`.pulumi/stacks/hockey/${name}`, content);
    removeHalfWritten(pulumis, stack);
    const left = readdirSync(join(pulumis, "stacks/hockey")).sort();
    assert.deepEqual(left, ["test.json", "test.json.bak", "test.json.bak.attrs", "tester.json.attrs"]);
  });

  it("has the newest entries of the history, times as they are printed, and nothing of a secret", () => {
    putStack();
    const config = {
      ...{ "hockey:commit": "a1", "hockey:app": { branch: "main" }, "other:count": 3 },
      ...{ "hockey:secretKey": { secure: "v1:x" }, "hockey:environment": { A: { secure: "v1:y" } } },
    };
    for (const [at, result] of ["failed", "succeeded", "in-progress"].entries()) {
      const entry = { kind: "update", startTime: 1_767_225_600 + at, message: `${at}`, result, config };
      put(
        `history/hockey/test/test-${at}.history.json`,
        at === 2 ? entry : { ...entry, endTime: 1_767_225_609 },
      );
      put(`history/hockey/test/test-${at}.history.json.attrs`, {});
      put(`history/hockey/test/test-${at}.checkpoint.json`, {});
    }
    const [newest, second, none] = historyFiles(stack, 2) ?? [];
    assert.equal(none, undefined);
    assert.deepEqual(newest, {
      ...{ kind: "update", message: "2", result: "in-progress" },
      ...{ startTime: "2026-01-01T00:00:02.000Z", endTime: undefined },
      config: {
        ...{ "hockey:commit": { value: "a1" }, "hockey:app": { objectValue: { branch: "main" } } },
        ...{ "other:count": { value: "3" } },
        ...{ "hockey:secretKey": { secret: true }, "hockey:environment": { secret: true } },
      },
    });
    assert.deepEqual(
      [second?.message, second?.endTime, historyFiles(stack, 9)?.length],
      ["1", "2026-01-01T00:00:09.000Z", 3],
    );
  });

  it("has no history before the first update", () => {
    putStack();
    assert.deepEqual(historyFiles(stack, 9), []);
  });

  it("is left to Pulumi where anything in it is not as expected, and where it is elsewhere", () => {
    assert.deepEqual([deploymentFile(stack), historyFiles(stack, 9)], [undefined, undefined]);
    backend.write(".pulumi/stacks/hockey/test.json", "half a fi");
    assert.deepEqual([deploymentFile(stack), historyFiles(stack, 9)], [undefined, undefined]);
    put("stacks/hockey/test.json", { version: 3, checkpoint: {} });
    assert.deepEqual([deploymentFile(stack), historyFiles(stack, 9)], [undefined, undefined]);
    putStack();
    backend.write(".pulumi/history/hockey/test/test-1.history.json.gz", "compressed");
    assert.equal(historyFiles(stack, 9), undefined);
    process.env.PULUMI_BACKEND_URL = "s3://bucket";
    assert.deepEqual([deploymentFile(stack), historyFiles(stack, 9)], [undefined, undefined]);
  });
});
