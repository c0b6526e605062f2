import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import type * as resproto from "@pulumi/pulumi/proto/resource_pb.js";
import type { GoAhead } from "../../infra/model/conversation.ts";
import { TYPES } from "../../infra/model/names.ts";
import { given, rawConfig } from "./fixtures.ts";

/** What the last run of the program registered, by the engine's type and the resource's name. */
export let registered: pulumi.runtime.MockResourceArgs[] = [];
/** How often the program has run. */
let runs = 0;

/** The inputs of a resource that the program registered. */
export function inputsOf(type: string, name: string): Record<string, unknown> {
  const found = registered.find((resource) => resource.type === type && resource.name === name);
  assert.ok(
    found,
    `${type} ${name} was not registered; there are: ${registered.map((r) => r.name).join(", ")}`,
  );
  return found.inputs as Record<string, unknown>;
}

/** A file as the last run would have put it on the server. */
export function onServer(path: string): string {
  const { value = "" } = inputsOf(TYPES.command, "server-files").stdin as { value?: string };
  const [archive = ""] = value.trimEnd().split("\n").slice(-1);
  return execFileSync("sh", ["-c", `base64 -d | tar -xzO ${path}`], { input: archive, encoding: "utf8" });
}

/** The parts that are used here of what the SDK sends to the engine. */
type Answered = (error: null, answer: object) => void;
type Registration = resproto.RegisterResourceRequest;
type Hook = resproto.RegisterResourceHookRequest;
interface Monitor {
  registerResource: (request: Registration, answered: Answered) => Promise<void>;
  registerResourceHook: (request: Hook, answered: Answered) => void;
  registerErrorHook: (request: Hook, answered: Answered) => void;
}
type Callback = (request: Uint8Array) => Promise<{ getError: () => string; getRetry?: () => boolean }>;

/** What the SDK does not tell its mocks: each resource's options, and its hooks by their names. */
const options = new Map<string, Registration>();
const hooks = new Map<string, string>();
const { getMonitor, getCallbacks } = pulumi.runtime as unknown as {
  getMonitor: () => Monitor;
  getCallbacks: () => { _callbacks: Map<string, Callback> };
};

/** The mocks cannot take a hook, and a resource waits for its hooks. */
function watchMonitor(): void {
  const monitor = getMonitor();
  const register = monitor.registerResource.bind(monitor);
  monitor.registerResource = (request, answered) => {
    options.set(request.getName(), request);
    return register(request, answered);
  };
  monitor.registerResourceHook = monitor.registerErrorHook = (request, answered) => {
    hooks.set(request.getName(), request.getCallback()?.getToken() ?? "");
    answered(null, {});
  };
}

/** How the engine is to go about a resource that the program registered. */
export function optionsOf(name: string) {
  const request = options.get(name);
  assert.ok(request, `${name} was not registered`);
  return {
    deleteBeforeReplace: request.getDeletebeforereplace(),
    retainOnDelete: request.getRetainondelete(),
    beforeCreate: request.getHooks()?.getBeforeCreateList() ?? [],
    onError: request.getHooks()?.getOnErrorList() ?? [],
    ignoreChanges: request.getIgnorechangesList(),
  };
}

/** The URNs of what a resource that the program registered depends on. */
export function dependenciesOf(name: string): string[] {
  return options.get(name)?.getDependenciesList() ?? [];
}

/** Runs a hook as the engine does; gives why it fails, or an empty text, and whether the operation is to be tried again. */
export async function runHook(name: string): Promise<{ error: string; retry: boolean }> {
  const callback = getCallbacks()._callbacks.get(hooks.get(name) ?? "");
  assert.ok(callback, `there is no hook ${name}`);
  const answer = await callback(new Uint8Array());
  return { error: answer.getError(), retry: answer.getRetry?.() ?? false };
}

/** An output as the engine would see it. */
function value<T>(output: pulumi.Output<T>): Promise<T> {
  return new Promise((resolve) => output.apply(resolve));
}

/** Runs the real program, infra/index.ts, on a configuration; only the engine and `ssh` are not there. */
export async function runProgram(changes: Record<string, unknown> = {}): Promise<void> {
  registered = [];
  await pulumi.runtime.setMocks(
    {
      newResource(args) {
        registered.push(args);
        const state = { ...(args.inputs as object), stdout: `sha256:${"0".repeat(64)}`, imageId: "sha256:1" };
        return { id: `${args.name}-id`, state };
      },
      call(args) {
        throw new Error(`nothing here calls ${args.token}`);
      },
    },
    "hockey",
    "test",
  );
  watchMonitor();
  const { config, secretKeys } = given({ ...rawConfig(), ...changes });
  pulumi.runtime.setAllConfig(config, secretKeys);
  // The program runs when it is loaded; another query is another module.
  runs += 1;
  const { containers } = (await import(`../../infra/index.ts?run=${runs}`)) as {
    containers: pulumi.Output<string>[];
  };
  await Promise.all(containers.map(value));
  // The last resource depends on the containers; under mocks nothing tells when it is registered.
  await new Promise((resolve) => setTimeout(resolve, 50));
}

/** What ./delivery lets the program do. */
let goAhead: GoAhead = {};
const CONVERSATION = `export const seenByCommand = () => Promise.resolve();
export const agree = () => Promise.resolve(globalThis.goAhead());
export const announce = () => {};`;

/** What stands in for modules of the program, which is loaded here without an engine and without ./delivery. */
const STUBS: Record<string, string> = {
  "guards.ts": "export const guard = () => {};",
  "conversation.ts": CONVERSATION,
};

/** Has ./delivery answer the program, in this run and all later ones. */
export function letGoAhead(answer: GoAhead): void {
  goAhead = answer;
}

/** Gives a suite an `ssh` that answers with a script of sh, and takes the guards away. */
export function withoutServer(
  suite: Mocha.Suite,
  answer = "exit 0",
): {
  answer: (script: string) => void;
  /** The arguments of all calls so far, a line each. */
  calls: () => string[];
} {
  const path = process.env.PATH;
  const project = process.cwd();
  const bin = mkdtempSync(join(tmpdir(), "no-server-"));
  // Pulumi's mocks cannot run transforms; guards.test.ts and the end-to-end tests look at the guards.
  let hooks: ReturnType<typeof registerHooks> | undefined;
  const write = (script: string) => {
    const note = `printf '%s\\n' "$*" >>'${bin}/calls'`;
    writeFileSync(join(bin, "ssh"), `#!/bin/sh\n${note}\n${script}\n`, { mode: 0o755 });
  };
  suite.beforeAll(() => {
    write(answer);
    // The program keeps the deploy key where it runs, and the one of a real stack stays as it is.
    process.chdir(bin);
    process.env.PATH = `${bin}:${path ?? ""}`;
    hooks = registerHooks({
      resolve: (specifier, context, next) => {
        const source = STUBS[specifier.slice(specifier.lastIndexOf("/") + 1)];
        if (source === undefined || !specifier.startsWith(".")) return next(specifier, context);
        return { url: `data:text/javascript,${encodeURIComponent(source)}`, shortCircuit: true };
      },
    });
    Object.assign(globalThis, { goAhead: () => goAhead });
  });
  suite.afterAll(() => {
    hooks?.deregister();
    process.env.PATH = path;
    process.chdir(project);
    rmSync(bin, { recursive: true });
  });
  return {
    answer: write,
    calls: () => readFileSync(join(bin, "calls"), "utf8").trimEnd().split("\n"),
  };
}
