import * as answers from "./answers.ts";
import { byId, found, ok, type Request, type Routes, text, type TokenRights } from "./exchange.ts";
import type { Repository } from "./repository.ts";

const issueOf = ({ issues }: Repository, { parameters }: Request) =>
  found(issues.find(({ number }) => String(number) === parameters.issue_number));

/** Issues and their comments; a pull request takes comments like an issue. */
export const ISSUES: Routes = {
  "GET /issues": ({ at, issues }, { query }) => {
    const state = query.get("state") ?? "open";
    const labels = (query.get("labels") ?? "").split(",").filter(Boolean);
    const wanted = issues
      .filter((one) => state === "all" || one.state === state)
      .filter((one) => labels.every((label) => one.labels.includes(label)));
    return ok(wanted.map((one) => answers.issue(at, one)));
  },
  "POST /issues": ({ at, issues }, { body, rights }) => {
    const opened: answers.Issue = {
      number: issues.length + 1,
      title: text(body.title),
      body: text(body.body),
      state: "open",
      labels: (body.labels ?? []) as string[],
      comments: [],
      author: authorOf(rights, at.owner),
    };
    issues.push(opened);
    return { status: 201, body: answers.issue(at, opened) };
  },
  "GET /issues/{issue_number}": (repository, request) =>
    ok(answers.issue(repository.at, issueOf(repository, request))),
  "PATCH /issues/{issue_number}": (repository, request) =>
    ok(answers.issue(repository.at, Object.assign(issueOf(repository, request), request.body))),
  "GET /issues/{issue_number}/comments": (repository, request) => {
    const { number, comments } = issueOf(repository, request);
    return ok(comments.map((one) => answers.comment(repository.at, number, one)));
  },
  "POST /issues/{issue_number}/comments": (repository, request) => {
    const { number, comments } = issueOf(repository, request);
    const author = authorOf(request.rights, repository.at.owner);
    const posted = { id: repository.newId(), body: text(request.body.body), author };
    comments.push(posted);
    return { status: 201, body: answers.comment(repository.at, number, posted) };
  },
  "PATCH /issues/comments/{comment_id}": ({ at, issues }, { parameters, body }) => {
    const { number, comments } = found(issues.find((one) => byId(one.comments, parameters.comment_id)));
    const changed = Object.assign(found(byId(comments, parameters.comment_id)), { body: text(body.body) });
    return ok(answers.comment(at, number, changed));
  },
};

/** The account under whose name a text is published: a workflow run's token is that of an app. */
function authorOf(rights: TokenRights | undefined, owner: string): string {
  return rights && "kind" in rights && rights.kind === "installation" ? "github-actions[bot]" : owner;
}
