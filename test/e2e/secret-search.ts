import { execa } from "execa";
import { secretTexts } from "../../infra/model/secret-texts.ts";
import { serverExec, type ThrowawayServer } from "../../sandbox/server.ts";

/** Which secrets were found where: names of secrets by the place's name. Never a value. */
export type Finds = Record<string, string[]>;

/** Letters and digits that no encoding of text for a URL, JSON, a shell or Python changes; fewer may occur by chance. */
const RUNS = /[A-Za-z0-9]{16,}/g;
/** Lines that every key of OpenSSH has. */
const COMMON = /^(-----|b3BlbnNzaC1rZXktdjE)/;
/** Characters of a line that tells one key from another. */
const TELLING = 20;

/** Has bash give grep what it is to find, which comes on standard input; it is in no argument and in no environment. */
const PATTERNS = `set -euo pipefail; export LC_ALL=C; read -rd '' patterns || true
found() { grep -aos -f <(printf %s "$patterns") -F "$@"; }`;

/**
 * Searches texts, files and what commands print for secrets, however they are written there: each run of their letters and
 * digits, or each line of a key, as it is, in base64 wherever it begins, and in hexadecimal digits.
 */
export class SecretSearch {
  /** The names of the secrets by what is searched for. */
  private readonly names = new Map<string, string>();

  /** @param secrets by their names */
  constructor(secrets: Record<string, string>) {
    for (const [name, value] of Object.entries(secrets)) {
      const parts = partsOf(value);
      if (parts.length === 0)
        throw new Error(`${name} cannot be searched for: it needs 16 letters and digits`);
      for (const form of parts.flatMap(formsOf)) this.names.set(form, name);
    }
  }

  /** The names of the secrets in a text. */
  in(text: string): string[] {
    const found = [...this.names].filter(([form]) => text.includes(form)).map(([, name]) => name);
    return [...new Set(found)].sort();
  }

  /** Searches texts that have names. */
  among(texts: Record<string, string>): Finds {
    const found = Object.entries(texts).map(([name, text]) => [name, this.in(text)] as const);
    return Object.fromEntries(found.filter(([, names]) => names.length > 0));
  }

  /** Searches every file below a directory of this machine; gives their paths from there. */
  async below(directory: string): Promise<Finds> {
    const args = ["-c", inFiles(["."])];
    const { stdout } = await execa("bash", args, { cwd: directory, input: this.patterns() });
    return this.read(stdout.replaceAll(/^\.\//gm, ""));
  }

  /** Searches every file in directories of a server, as far as a user may read it. */
  async onServer(server: ThrowawayServer, directories: string[], user = "root"): Promise<Finds> {
    const command = ["bash", "-c", inFiles(directories)];
    return this.read(await serverExec(server, command, { user, input: this.patterns() }));
  }

  /** Searches what a script on a server prints, of any size and in any encoding; the script must succeed. */
  async inOutput(server: ThrowawayServer, script: string): Promise<string[]> {
    const search = `{ ${script}\n} 2>&1 </dev/null | { found -h || (($? == 1)); } | sort -u`;
    const command = ["bash", "-c", `${PATTERNS}\n${search}`];
    return this.in(await serverExec(server, command, { input: this.patterns() }));
  }

  private patterns(): string {
    return [...this.names.keys()].join("\n");
  }

  /** What grep has printed: lines PATH\\0FORM. */
  private read(printed: string): Finds {
    const texts: Record<string, string> = {};
    for (const line of printed.split("\n").filter(Boolean)) {
      const [path = "", form = ""] = line.split("\0");
      texts[path] = `${texts[path] ?? ""}${form}\n`;
    }
    return this.among(texts);
  }
}

/** What searches all that is below directories. Docker shows the files of a running container a second time in merged/. */
function inFiles(directories: string[]): string {
  const all = directories.join(" ");
  // What cannot be read, such as a socket, has grep end with 2.
  return `${PATTERNS}\nls -d ${all} >/dev/null; { found -rHZ --exclude-dir=merged ${all} || (($? <= 2)); } | sort -u`;
}

/** A line of a key may have no such run but those that others have, too: it counts as a whole. */
function partsOf(value: string): string[] {
  if (!value.includes("\n")) return value.match(RUNS) ?? [];
  const lines = value.split("\n").filter((line) => line.length >= TELLING && !COMMON.test(line));
  return secretTexts(lines);
}

function formsOf(part: string): string[] {
  const bytes = Buffer.from(part);
  // It may begin at any of the three bytes of a group; at its edges the digits depend on what stands beside it.
  const base64 = [0, 1, 2].map((skipped) => {
    const whole = bytes.subarray(skipped);
    return whole.subarray(0, whole.length - (whole.length % 3)).toString("base64");
  });
  const hexadecimal = bytes.toString("hex");
  return [part, ...base64, hexadecimal, hexadecimal.toUpperCase()];
}
