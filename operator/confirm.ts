import { createInterface } from "node:readline/promises";

/** Whether the operator says yes; without a terminal there is no answer. */
export async function confirmed(question: string): Promise<boolean> {
  if (!process.stdin.isTTY) return false;
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return (await terminal.question(`${question} (yes/no) `)).trim() === "yes";
  } finally {
    terminal.close();
  }
}
