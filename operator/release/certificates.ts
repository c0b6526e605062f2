import { pipeline } from "node:stream/promises";
import { dockerNames } from "../../infra/model/names.ts";
import { IN_CONTAINER } from "../../infra/model/paths.ts";
import { shellCommand } from "../../infra/model/ssh.ts";
import { OperatorError } from "../command.ts";
import { begin, lastLine, run } from "../run.ts";
import type { Server } from "../server.ts";
import type { Stack } from "../stack.ts";
import { sshToServer } from "./server-migration.ts";
import { exportState } from "./state.ts";

/**
 * Takes the proxy's certificates along from the server that the state describes, so that the page has TLS on the new one
 * before its domain leads there. They go through this process alone: from one ssh to the other, never to a disk here.
 * Says what has become of them; no update fails because they stay behind.
 */
export async function bringCertificates(stack: Stack, server: Server): Promise<void> {
  const { domain } = stack.settings.proxy;
  if (domain === undefined) return;
  const old = sshToServer(await exportState(stack));
  if (old === undefined) return;
  try {
    await copy(old, server, stack.settings);
    console.log(
      `The certificates of the proxy came along from the old server: https://${domain} works here as soon as the domain leads here.`,
    );
  } catch (error) {
    const cause = (error as Error).message.replace(/\.$/, "");
    console.log(
      `The certificates of the proxy could not come along from the old server (${cause}); Caddy gets new ones as soon as ${domain} leads here.`,
    );
  }
}

/** @throws Error with the cause */
async function copy(old: string[], server: Server, { name, proxy }: Stack["settings"]): Promise<void> {
  const names = dockerNames(name);
  const onOld = (...words: string[]) => [...old, shellCommand(words)];
  const seen = await run("ssh", onOld("docker", "container", "inspect", "--format", "ok", names.proxy));
  if (seen.status !== 0) throw new OperatorError(lastLine(seen.stderr));

  // The volume is filled through a container that never runs: only Docker itself can write there.
  const mount = `${names.certificates}:${IN_CONTAINER.certificates}`;
  const made = await server.command(["docker", "create", "--volume", mount, proxy.image]);
  if (made.status !== 0) throw new OperatorError(lastLine(made.stderr));
  const container = made.stdout.trim();
  const source = begin("ssh", onOld("docker", "cp", `${names.proxy}:${IN_CONTAINER.certificates}/.`, "-"));
  const sink = await server.begin(["docker", "cp", "-", `${container}:${IN_CONTAINER.certificates}`]);
  source.stdin.end();
  await pipeline(source.stdout, sink.stdin).catch(() => undefined);
  const statuses = await Promise.all([source.ended, sink.ended]);
  await server.command(["docker", "rm", container]);
  if (statuses.every((status) => status === 0)) return;
  // Half a certificate would be worse than none.
  await server.command(["docker", "volume", "rm", names.certificates]);
  throw new OperatorError("the copy broke off");
}
