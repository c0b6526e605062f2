import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** A directory of a test's own, with files by their paths below it. */
export class TemporaryDirectory {
  readonly directory: string;

  /** @param prefix of its name */
  constructor(prefix: string) {
    this.directory = mkdtempSync(join(tmpdir(), prefix));
  }

  read(path: string): string {
    return readFileSync(join(this.directory, path), "utf8");
  }

  write(path: string, content: string): void {
    const file = join(this.directory, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
  }

  close(): void {
    rmSync(this.directory, { recursive: true });
  }
}
