import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A commit, as the API shows it. */
export interface Commit {
  sha: string;
  tree: string;
  parents: string[];
  message: string;
  /** ISO 8601. */
  date: string;
  /** Paths that differ from the first parent, with git's letter: A, M, D. */
  changes: { letter: string; path: string; blob: string }[];
}

const PERSON = { name: "Fake GitHub", email: "noreply@github.invalid" };

/** The git repository behind the fake: a real bare one, so that hashes are real and clones work. */
export class GitRepository {
  readonly directory: string;

  constructor(branch: string) {
    this.directory = mkdtempSync(join(tmpdir(), "fake-github-"));
    this.git(["init", "--quiet", "--bare", `--initial-branch=${branch}`]);
    const readme = this.blob(Buffer.from("# A repository\n"));
    this.commit(branch, "Initial commit", (index) => {
      index.add("README.md", readme);
    });
  }

  /** The hash of a branch, a path in it (`main:README.md`) or a commit; undefined if there is none. */
  resolve(name: string): string | undefined {
    try {
      return this.git(["rev-parse", "--quiet", "--verify", "--end-of-options", name]).trim();
    } catch {
      return undefined;
    }
  }

  read(blob: string): Buffer {
    return execFileSync("git", ["cat-file", "blob", blob], { cwd: this.directory });
  }

  /** Stores content and returns its hash. */
  blob(content: Buffer): string {
    return this.git(["hash-object", "-w", "--stdin"], content).trim();
  }

  /** Adds a commit to a branch and returns its hash. */
  commit(branch: string, message: string, change: (index: Index) => void): string {
    const parent = this.resolve(`refs/heads/${branch}`);
    const env = { GIT_INDEX_FILE: join(this.directory, "fake-index") };
    rmSync(env.GIT_INDEX_FILE, { force: true });
    if (parent !== undefined) this.git(["read-tree", parent], undefined, env);
    change({
      add: (path, blob) =>
        this.git(["update-index", "--add", "--cacheinfo", `100644,${blob},${path}`], undefined, env),
      // --remove would need a work tree.
      remove: (path) => this.git(["update-index", "--index-info"], `0 ${"0".repeat(40)}\t${path}\n`, env),
    });
    const tree = this.git(["write-tree"], undefined, env).trim();
    const parents = parent === undefined ? [] : ["-p", parent];
    const sha = this.git(["commit-tree", tree, ...parents, "-F", "-"], message).trim();
    this.git(["update-ref", `refs/heads/${branch}`, sha]);
    return sha;
  }

  /** A commit, by its hash or a name for it. */
  show(name: string): Commit | undefined {
    const sha = this.resolve(`${name}^{commit}`);
    if (sha === undefined) return undefined;
    const head = this.git(["show", "--no-patch", "--format=%T%n%P%n%cI%n%B", sha]).split("\n");
    const [tree = "", parents = "", date = "", ...message] = head;
    const raw = this.git(["diff-tree", "--root", "--no-commit-id", "-r", sha]).trim();
    const changes = raw
      .split("\n")
      .filter(Boolean)
      .map((line) => {
        const [, , , blob = "", letter = "", path = ""] = line.split(/\s/);
        return { letter, path, blob };
      });
    return {
      sha,
      tree,
      parents: parents.split(" ").filter(Boolean),
      message: message.join("\n").trim(),
      date,
      changes,
    };
  }

  /** Makes a branch. */
  branch(name: string, from: string): void {
    this.git(["branch", name, from]);
  }

  /** The commit at which two lines part; undefined if one of them is not there. */
  mergeBase(one: string, other: string): Commit | undefined {
    try {
      return this.show(this.git(["merge-base", "--end-of-options", one, other]).trim());
    } catch {
      return undefined;
    }
  }

  /** Hashes of the commits of a branch that changed a path, newest first. */
  log(branch: string, path: string): string[] {
    return this.git(["log", "--format=%H", branch, "--", ...(path ? [path] : [])])
      .trim()
      .split("\n")
      .filter(Boolean);
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }

  private git(args: string[], input?: string | Buffer, env: NodeJS.ProcessEnv = {}): string {
    const person = {
      ...{ GIT_AUTHOR_NAME: PERSON.name, GIT_AUTHOR_EMAIL: PERSON.email },
      ...{ GIT_COMMITTER_NAME: PERSON.name, GIT_COMMITTER_EMAIL: PERSON.email },
    };
    return execFileSync("git", args, {
      cwd: this.directory,
      input,
      encoding: "utf8",
      env: { ...process.env, ...person, ...env },
      stdio: ["pipe", "pipe", "pipe"],
    });
  }
}

interface Index {
  add(path: string, blob: string): void;
  remove(path: string): void;
}
