import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { execa } from "execa";
import { type FromProgram, SOCKET } from "../../infra/model/conversation.ts";

const PROJECT = join(import.meta.dirname, "..", "..");
const ENDED = "The command that began this update has ended. Nothing was changed.";

/** What a program prints that talks like infra/index.ts, in a process that Node starts as Pulumi.yaml says. */
const TALK = `import("./infra/conversation.ts").then(async ({ agree, announce }) => {
  announce("swapping");
  process.stdout.write(await agree("image=1\\n").then(({ imageId }) => "image " + imageId, (error) => error.message));
  announce("making");
})`;

describe("the conversation of the program with the command", function () {
  // Each program is a process, which takes seconds on a busy machine.
  this.timeout(60_000);
  let directory: string;
  let path: string;
  let server: Server;

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), "socket-"));
    path = join(directory, "socket");
    server = createServer().listen(path);
    await once(server, "listening");
  });
  afterEach(() => {
    server.close();
    rmSync(directory, { recursive: true });
  });

  /** Runs a program; `command` plays the other side from the moment of the connection on. */
  async function run(
    command: (socket: Socket) => unknown,
    { program = TALK, socket = path, server: said = "" } = {},
  ): Promise<string> {
    const talks: unknown[] = [];
    server.removeAllListeners("connection").on("connection", (connection) => {
      connection.on("error", () => undefined);
      talks.push(command(connection));
    });
    writeFileSync(join(directory, "ssh"), `#!/bin/sh\ncat >/dev/null\necho ${said}\n`, { mode: 0o755 });
    const words = ["--require", join(PROJECT, "infra/start.cjs"), "--eval", program];
    const { stdout } = await execa(process.execPath, words, {
      cwd: PROJECT,
      env: { [SOCKET]: socket, PATH: `${directory}:${process.env.PATH ?? ""}` },
      // A program that waits for ever fails the test.
      timeout: 8000,
    });
    await Promise.all(talks);
    return stdout;
  }

  const answering = (answer: object, heard: string[] = [], seen: object = {}) =>
    async function (socket: Socket) {
      for await (const line of createInterface({ input: socket })) {
        heard.push(line);
        const said = JSON.parse(line) as FromProgram;
        if ("asks" in said) socket.write(`${JSON.stringify(seen)}\n`);
        if ("report" in said) socket.write(`${JSON.stringify(answer)}\n`);
      }
    };

  it("begins before the program is loaded, and does not keep one from ending that has not reported", async () => {
    let connections = 0;
    await run(() => (connections += 1), { program: "0" });
    assert.equal(connections, 1);
  });

  it("tells what the server reports and what the program is about, and waits for the answer in between", async () => {
    const heard: string[] = [];
    assert.equal(await run(answering({ imageId: "sha256:1" }, heard)), "image sha256:1");
    assert.deepEqual(
      heard.map((line) => JSON.parse(line) as object),
      [{ stage: "swapping" }, { report: "image=1\n" }, { stage: "making" }],
    );
  });

  it("goes ahead without an image that the command had built", async () => {
    assert.equal(await run(answering({})), "image undefined");
  });

  it("ends the program with the command's sentence", async () => {
    assert.equal(await run(answering({ stop: "Another release was made." })), "Another release was made.");
  });

  it("ends the program where the command has ended before the report", async () => {
    assert.equal(await run((socket) => socket.destroy()), ENDED);
  });

  it("ends the program where the command ends before it answers", async () => {
    const leaving = (socket: Socket) => socket.once("data", () => socket.destroy());
    assert.equal(await run(leaving, { program: TALK.replace('announce("swapping");', "") }), ENDED);
  });

  it("ends the program where the socket is gone", async () => {
    const program = `new Promise((resolve) => deliverySocket.once("close", resolve)).then(() => ${TALK})`;
    assert.equal(await run(() => undefined, { program, socket: join(directory, "missing") }), ENDED);
  });

  it("is about what the server says, and gives an image only where the server has none", async () => {
    const program = `Promise.all([import("./infra/check-server.ts"), import("./test/unit/fixtures.ts")])
      .then(([{ checkServer }, { settings }]) => checkServer(settings()))
      .then((found) => process.stdout.write(JSON.stringify(found)), (error) => process.stdout.write(error.message))`;
    const never = { driftedAt: "", uncertifiedAt: "" };
    for (const [server, answer, found] of [
      ["image=sha256:1", { imageId: "sha256:2" }, { ...never, imageId: "sha256:1", isRelease: false }],
      [
        "drifted=2026",
        { imageId: "sha256:2" },
        { ...never, driftedAt: "2026", imageId: "sha256:2", isRelease: false },
      ],
      ["uncertified=2026", {}, { ...never, uncertifiedAt: "2026", isRelease: false }],
      ["manifest=3f", { isRelease: true }, { ...never, manifest: "3f", isRelease: true }],
      ["", {}, { ...never, isRelease: false }],
    ] as const) {
      const heard: string[] = [];
      assert.deepEqual(JSON.parse(await run(answering(answer, heard), { program, server })), found);
      const seen: string[] = [];
      const early = answering(answer, seen, { report: server });
      assert.deepEqual(JSON.parse(await run(early, { program, server: "drifted=never" })), found);
      for (const lines of [heard, seen]) {
        assert.deepEqual(lines, [JSON.stringify({ asks: "report" }), JSON.stringify({ report: server })]);
      }
    }
    assert.equal(await run(answering({ stop: "No." }), { program }), "No.");
  });

  it("does not take place where Pulumi was started by hand", async () => {
    assert.equal(await run(() => undefined, { socket: "" }), "image undefined");
  });
});
