#!/usr/bin/env node
// The Node.js language host, for machines where Pulumi's own cannot be downloaded. Like the real one it serves the
// LanguageRuntime of @pulumi/pulumi and runs every program in a Node process of its own, through the SDK's cmd/run:
// errors, exit codes and output are therefore the SDK's. It installs nothing and runs no plugins written in Node.
"use strict";

const { spawn } = require("node:child_process");
const { createRequire } = require("node:module");
const path = require("node:path");

// This file is installed outside the project: its libraries are those of the project it is started in.
const project = path.join(process.cwd(), "Pulumi.yaml");
const fromSdk = createRequire(resolveFrom(project, "@pulumi/pulumi/package.json"));
const grpc = fromSdk("@grpc/grpc-js");
const { Empty } = fromSdk("google-protobuf/google/protobuf/empty_pb.js");
const { LanguageRuntimeService } = fromSdk("./proto/language_grpc_pb.js");
const lang = fromSdk("./proto/language_pb.js");
const { PluginInfo } = fromSdk("./proto/plugin_pb.js");

/** Exit code by which cmd/run says that the user has already been told what is wrong. */
const ALREADY_REPORTED = 32;

const [engineAddress] = process.argv.slice(2);
const children = new Set();

const host = {
  handshake: (_call, callback) => callback(null, new lang.LanguageHandshakeResponse()),
  getPluginInfo: (_call, callback) => callback(null, new PluginInfo()),
  // Plugins are found when a resource first asks for one: nothing is announced in advance.
  getRequiredPackages: (_call, callback) => callback(null, new lang.GetRequiredPackagesResponse()),
  getRequiredPlugins: (_call, callback) => callback(null, new lang.GetRequiredPluginsResponse()),
  about: (_call, callback) =>
    callback(
      null,
      new lang.AboutResponse().setExecutable(process.execPath).setVersion(process.version.slice(1)),
    ),
  cancel: (_call, callback) => {
    for (const child of children) child.kill("SIGTERM");
    callback(null, new Empty());
  },
  run: ({ request }, callback) => {
    const response = new lang.RunResponse();
    let child;
    try {
      child = start(request);
    } catch (error) {
      return callback(null, response.setError(error.message));
    }
    children.add(child);
    child.on("error", (error) => callback(null, response.setError(`node did not start: ${error.message}`)));
    child.on("close", (code, signal) => {
      children.delete(child);
      if (code === ALREADY_REPORTED) response.setBail(true);
      else if (code !== 0) {
        response.setError(
          code === null
            ? `Program was ended by ${signal}`
            : `Program exited with non-zero exit code: ${code}`,
        );
      }
      callback(null, response);
    });
  },
};

/** Starts cmd/run for one RunRequest. */
function start(request) {
  const info = request.getInfo();
  const options = info.getOptions()?.toJavaScript() ?? {};
  const run = resolveFrom(path.join(info.getProgramDirectory(), "program"), "@pulumi/pulumi/cmd/run");
  const flags = {
    monitor: request.getMonitorAddress(),
    engine: engineAddress,
    organization: request.getOrganization(),
    project: request.getProject(),
    stack: request.getStack(),
    "root-directory": info.getRootDirectory(),
    pwd: request.getPwd(),
    parallel: request.getParallel() || undefined,
  };
  const args = Object.entries(flags).flatMap(([flag, value]) => (value ? [`--${flag}`, String(value)] : []));
  if (request.getDryrun()) args.push("--dry-run");
  const nodeArgs = (options.nodeargs ?? "").split(/\s+/).filter(Boolean);
  return spawn(
    process.execPath,
    [...nodeArgs, run, ...args, info.getEntryPoint(), ...request.getArgsList()],
    {
      cwd: request.getPwd() || undefined,
      // What the program prints is for the engine to show; standard input stays with whoever runs pulumi.
      stdio: ["ignore", "inherit", "inherit"],
      env: {
        ...process.env,
        PULUMI_CONFIG: JSON.stringify(Object.fromEntries(request.getConfigMap().entries())),
        PULUMI_CONFIG_SECRET_KEYS: JSON.stringify(request.getConfigsecretkeysList()),
        ...(options.typescript === false ? {} : { PULUMI_NODEJS_TYPESCRIPT: "true" }),
        ...(options.tsconfig
          ? { PULUMI_NODEJS_TSCONFIG_PATH: path.resolve(info.getRootDirectory(), options.tsconfig) }
          : {}),
      },
    },
  );
}

/** The path of a module as a file sees it; ends with one sentence where there is none. */
function resolveFrom(file, module) {
  try {
    return createRequire(file).resolve(module);
  } catch {
    console.error(
      `@pulumi/pulumi is not installed in ${path.dirname(file)}: run scripts/bootstrap or npm ci.`,
    );
    process.exit(1);
  }
}

// A command line that was killed says goodbye to nobody. Its programs would go on for ever, busily.
const commandLine = process.ppid;
const EVERY_SECOND = 1000;
setInterval(() => {
  if (process.ppid === commandLine) return;
  for (const child of children) child.kill("SIGKILL");
  process.exit(1);
}, EVERY_SECOND).unref();

const unlimited = { "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1 };
const server = new grpc.Server(unlimited);
server.addService(LanguageRuntimeService, host);
server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  process.stdout.write(`${port}\n`);
});
