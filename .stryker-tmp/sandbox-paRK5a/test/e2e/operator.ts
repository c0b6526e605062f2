// @ts-nocheck
import { execa } from "execa";
import type { Outcome, Stack } from "../../sandbox/stack.ts";

/** Types one of the operator's commands in the stack's project, as a person would; its end is for the caller to judge. */
export async function operate(
  stack: Stack,
  command: string,
  args: string[] = [],
  env: Record<string, string> = {},
): Promise<Outcome & { seconds: number }> {
  const began = Date.now();
  const result = await execa("./delivery", [...command.split(" "), ...args], {
    cwd: stack.project,
    env: { ...stack.env, PULUMI_STACK: stack.name, ...env },
    all: true,
    reject: false,
  });
  const seconds = (Date.now() - began) / 1000;
  return { exitCode: result.exitCode ?? 1, output: result.all, stdout: result.stdout, seconds };
}
