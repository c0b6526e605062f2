// Node loads this before the program: nodeargs in Pulumi.yaml. It turns the compile cache on, and puts off what the SDK
// loads at every start for features that few programs use. The program then takes a quarter of the processor time.
// CommonJS, because TypeScript and ES modules would cost some of that time.
"use strict";

const { createRequire, enableCompileCache } = require("node:module");
const { homedir } = require("node:os");
const path = require("node:path");

// NODE_COMPILE_CACHE comes first where it is set, as by ./delivery, which names the same directory.
const cache = process.env.XDG_CACHE_HOME || path.join(homedir(), ".cache");
enableCompileCache(path.join(cache, "hockey-delivery", "compile"));

// ./delivery waits for this: the update has the stack's lock now (infra/model/conversation.ts).
const { DELIVERY_SOCKET: socket } = process.env;
if (socket) {
  globalThis.deliverySocket = require("node:net").connect(socket);
  globalThis.deliverySocket.on("error", () => undefined);
  // A program that fails before it has reported ends all the same.
  globalThis.deliverySocket.unref();
} else {
  const { askEarly } = require("./ask-server.ts");
  askEarly();
}

const fromSdk = createRequire(require.resolve("@pulumi/pulumi"));

/** Makes `require(name)` return `exports` inside the SDK. */
function replace(name, exports) {
  const id = fromSdk.resolve(name);
  fromSdk.cache[id] = { id, filename: id, loaded: true, exports };
}

/** Loads a module only when something other than `known` is asked of it, or when `known` calls what it is given. */
function putOff(name, known = () => ({})) {
  let real;
  const load = () => {
    if (real === undefined) delete fromSdk.cache[fromSdk.resolve(name)];
    return (real ??= fromSdk(name));
  };
  const get = (target, key) => (key in target ? target[key] : load()[key]);
  replace(name, new Proxy({ __esModule: true, ...known(load) }, { get }));
}

// The Automation API, for programs that run Pulumi themselves.
putOff("./automation/index.js");

// Functions as values of resources (dynamic providers) are turned into text with these three. The last one attaches a
// debugger, and that slows everything down.
putOff("./runtime/closure/codePaths.js", (load) => ({
  computeCodePaths: (...options) => load().computeCodePaths(...options),
}));
putOff("./typescript-shim.js");
putOff("./runtime/closure/v8Hooks.js", () => ({ isInitializedAsync: () => Promise.resolve() }));

// Stack traces with positions in the SDK's TypeScript, which its package does not contain. Every resource takes one.
replace("source-map-support/register", {});

// The SDK traces only when this variable is set.
if (!process.env.PULUMI_EXPERIMENTAL) {
  const { trace } = fromSdk("@opentelemetry/api");
  putOff("./cmd/run/tracing.js", () => ({ newSpan: (name) => trace.getTracer("off").startSpan(name) }));
}

// The SDK writes down where each promise began, as text, in case one leaks. That text took a tenth of the program's time.
const debuggable = fromSdk("./runtime/debuggable.js");
const { debuggablePromise } = debuggable;
debuggable.debuggablePromise = (promise, context) => {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return debuggablePromise(promise, context);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
};
