import * as answers from "./answers.ts";
import { type Answer, found, NOT_FOUND, ok, Refusal, type Request, type Routes, text } from "./exchange.ts";
import type { Repository } from "./repository.ts";

/** Branches, commits and files, all of them from a real git repository. */
export const CONTENTS: Routes = {
  "GET /branches/{branch}": (repository, { parameters }) => ok(branch(repository, parameters.branch ?? "")),
  "GET /branches/{branch}/protection": (repository, { parameters }) =>
    ok(protection(repository, parameters.branch ?? "")),
  "GET /commits": (repository, { query }) =>
    ok(
      repository.git
        .log(query.get("sha") ?? repository.branch, query.get("path") ?? "")
        .map((sha) => commit(repository, sha)),
    ),
  "GET /commits/{ref}": (repository, { parameters }) => ok(commit(repository, parameters.ref ?? "")),
  "GET /compare/{basehead}": (repository, { parameters }) =>
    ok(compare(repository, parameters.basehead ?? "")),
  "GET /contents/{path}": (repository, { parameters, query }) =>
    ok(file(repository, parameters.path ?? "", query.get("ref") ?? repository.branch)),
  "PUT /contents/{path}": (repository, request) => writeFile(repository, "PUT", request),
  "DELETE /contents/{path}": (repository, request) => writeFile(repository, "DELETE", request),
};

function branch({ at, git, isProtected, branch: main }: Repository, name: string) {
  const head = git.show(`refs/heads/${name}`);
  if (head === undefined) throw new Refusal(404, "Branch not found");
  return answers.branch(at, name, head, isProtected && name === main);
}

function protection(repository: Repository, name: string) {
  if (repository.isPrivate && repository.plan === "free") {
    const refusal = "Upgrade to GitHub Pro or make this repository public to enable this feature.";
    throw new Refusal(403, refusal);
  }
  if (!repository.isProtected || name !== repository.branch) throw new Refusal(404, "Branch not protected");
  return { url: `${repository.url}/branches/${name}/protection` };
}

function commit({ at, git }: Repository, name: string) {
  const shown = git.show(name);
  if (shown === undefined) throw new Refusal(422, `No commit found for SHA: ${name}`);
  return answers.commit(at, shown);
}

function compare({ at, git }: Repository, basehead: string) {
  const [base = "", head = ""] = basehead.split("...");
  const parting = git.mergeBase(base, head);
  const [first, last] = [git.show(base), git.show(head)];
  return answers.comparison(at, { base: found(first), head: found(last), parting: found(parting) });
}

function file({ at, git }: Repository, path: string, ref: string) {
  const sha = git.resolve(`${ref}:${path}`);
  if (sha === undefined) throw NOT_FOUND;
  return answers.file(at, path, ref, sha, git.read(sha));
}

function writeFile(
  { at, git, isProtected, branch: main }: Repository,
  method: "PUT" | "DELETE",
  { parameters, body }: Request,
): Answer {
  const path = parameters.path ?? "";
  const target = text(body.branch) || main;
  if (git.resolve(`refs/heads/${target}`) === undefined) throw new Refusal(404, `Branch ${target} not found`);
  if (isProtected && target === main) {
    const rule = "Repository rule violations found\n\nChanges must be made through a pull request.\n\n";
    throw new Refusal(409, rule);
  }
  const present = git.resolve(`${target}:${path}`);
  const given = body.sha as string | undefined;
  if (present === undefined && method === "DELETE") throw NOT_FOUND;
  if (present !== undefined && given === undefined) {
    throw new Refusal(422, 'Invalid request.\n\n"sha" wasn\'t supplied.');
  }
  if (given !== undefined && given !== present) throw new Refusal(409, `${path} does not match ${given}`);
  const content = Buffer.from(text(body.content), "base64");
  const blob = git.blob(content);
  const sha = git.commit(target, text(body.message), (index) => {
    if (method === "DELETE") index.remove(path);
    else index.add(path, blob);
  });
  const made = found(git.show(sha));
  const written = method === "DELETE" ? null : answers.file(at, path, target, blob, content);
  return { status: present === undefined ? 201 : 200, body: answers.fileCommit(at, made, written) };
}
