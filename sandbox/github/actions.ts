import { type Answer, found, gone, ok, Refusal, type Request, type Routes, text, upper } from "./exchange.ts";
import type { Repository } from "./repository.ts";
import { isNameOfGitHub, type SecretStore } from "./secrets.ts";

/** What the secrets of the repository and those of an environment answer; they differ in their place only. */
const OF_A_STORE: Record<string, (store: SecretStore, request: Request) => Answer> = {
  "GET /secrets": (store) => ok(store.list()),
  "GET /secrets/public-key": (store) => ok(store.publicKey()),
  "GET /secrets/{secret_name}": (store, { parameters }) =>
    ok(found(store.get(upper(parameters.secret_name)))),
  "PUT /secrets/{secret_name}": (store, { parameters, body }) =>
    store.put(upper(parameters.secret_name), body) ? { status: 201, body: {} } : { status: 204 },
  "DELETE /secrets/{secret_name}": (store, { parameters }) =>
    gone(store.delete(upper(parameters.secret_name))),
};

function secretsBelow(place: string, storeOf: (repository: Repository, request: Request) => SecretStore) {
  return Object.fromEntries(
    Object.entries(OF_A_STORE).map(([operation, answer]): [string, Routes[string]] => [
      operation.replace(" ", ` ${place}`),
      (repository, request) => answer(storeOf(repository, request), request),
    ]),
  );
}

/** What workflows are given: secrets and variables. */
export const ACTIONS: Routes = {
  ...secretsBelow("/actions", ({ secrets }) => secrets),
  ...secretsBelow("/environments/{environment_name}", ({ environmentSecrets }, { parameters }) =>
    found(environmentSecrets.get(parameters.environment_name ?? "")),
  ),
  "GET /actions/variables": ({ variables }) =>
    ok({
      total_count: variables.size,
      variables: [...variables].map(([name, variable]) => ({ name, ...variable })),
    }),
  "POST /actions/variables": (repository, { body }) => {
    const name = upper(body.name);
    if (!isNameOfGitHub(name)) throw new Refusal(422, "Variable names can only contain …");
    if (repository.variables.has(name)) throw new Refusal(409, "Already exists - Variable already exists");
    const now = repository.now();
    repository.variables.set(name, { value: text(body.value), created_at: now, updated_at: now });
    return { status: 201, body: {} };
  },
  "GET /actions/variables/{name}": ({ variables }, { parameters }) => {
    const name = upper(parameters.name);
    return ok({ name, ...found(variables.get(name)) });
  },
  "PATCH /actions/variables/{name}": (repository, { parameters, body }) => {
    const variable = found(repository.variables.get(upper(parameters.name)));
    Object.assign(variable, { value: text(body.value), updated_at: repository.now() });
    return { status: 204 };
  },
  "DELETE /actions/variables/{name}": ({ variables }, { parameters }) =>
    gone(variables.delete(upper(parameters.name))),
};
