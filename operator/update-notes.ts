import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/**
 * What this machine has started, by the process that did it: Pulumi's lock does not say what its holder was doing, and of
 * a process that was killed nothing else tells.
 */
interface Note {
  pid: number;
  /** What the history was to say: `deploy 4f2c91e, by ann`. */
  message: string;
  /** Unix time in milliseconds. */
  began: number;
}

/** Beside the sockets and keys of this machine, which git leaves out too. */
const FILE = ".ssh/updates.json";
/** The newest ones that are kept: a lock that was left behind is met by the next update. */
const KEPT = 10;
/** Milliseconds that Pulumi takes at most from its start to its lock, on a busy machine. */
const UNTIL_LOCKED = 60_000;

/** Notes what a process is doing. No update fails because that cannot be written. */
export function noteUpdate(pid: number, message: string): void {
  try {
    mkdirSync(dirname(FILE), { recursive: true, mode: 0o700 });
    const notes = [{ pid, message, began: Date.now() }, ...readNotes()].slice(0, KEPT);
    writeFileSync(FILE, JSON.stringify(notes), { mode: 0o600 });
  } catch {
    // The message about a lock will say less.
  }
}

/** What the process was doing that took a lock at that time; undefined where no note says so. */
export function notedUpdate(pid: number, locked: string, notes = readNotes()): string | undefined {
  const since = (began: number) => Date.parse(locked) - began;
  // Another process may have had the same id before.
  return notes.find((note) => note.pid === pid && Math.abs(since(note.began)) < UNTIL_LOCKED)?.message;
}

function readNotes(): Note[] {
  try {
    const notes = JSON.parse(readFileSync(FILE, "utf8")) as unknown;
    return Array.isArray(notes) ? (notes as Note[]) : [];
  } catch {
    return [];
  }
}
