import { byId, found, gone, ok, Refusal, removeFrom, type Routes, text } from "./exchange.ts";
import type { DeployKey, Repository } from "./repository.ts";

/** The keys that may read or write this one repository over SSH. */
export const DEPLOY_KEYS: Routes = {
  "GET /keys": (repository) => ok(repository.deployKeys.map((key) => describe(repository, key))),
  "POST /keys": (repository, { body }) => {
    const { deployKeys } = repository;
    // GitHub keeps the type and the key, but not the comment.
    const key = text(body.key).split(" ").slice(0, 2).join(" ");
    if (deployKeys.some((one) => one.key === key)) throw new Refusal(422, "key is already in use");
    const added = {
      ...{ id: repository.newId(), title: text(body.title), key },
      read_only: body.read_only !== false,
    };
    deployKeys.push(added);
    return { status: 201, body: describe(repository, added) };
  },
  "GET /keys/{key_id}": (repository, { parameters }) =>
    ok(describe(repository, found(byId(repository.deployKeys, parameters.key_id)))),
  "DELETE /keys/{key_id}": ({ deployKeys }, { parameters }) =>
    gone(removeFrom(deployKeys, parameters.key_id)),
};

function describe(repository: Repository, key: DeployKey) {
  const url = `${repository.url}/keys/${key.id}`;
  return { ...key, url, verified: true, created_at: "2024-01-01T00:00:00Z" };
}
