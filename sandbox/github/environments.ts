import * as answers from "./answers.ts";
import {
  byId,
  found,
  gone,
  NOT_FOUND,
  ok,
  Refusal,
  removeFrom,
  type Request,
  type Routes,
  text,
} from "./exchange.ts";
import type { Repository } from "./repository.ts";

const environmentOf = ({ environments }: Repository, { parameters }: Request) =>
  found(environments.get(parameters.environment_name ?? ""));
const policyOf = (repository: Repository, request: Request) =>
  found(byId(environmentOf(repository, request).branches, request.parameters.branch_policy_id));

const ALL = "/environments";
const ONE = `${ALL}/{environment_name}`;
const POLICIES = `${ONE}/deployment-branch-policies`;
const POLICY = `${POLICIES}/{branch_policy_id}`;

/** Environments, and the branches that may deploy to them. */
export const ENVIRONMENTS: Routes = {
  [`GET ${ALL}`]: ({ at, environments }) => {
    const all = [...environments].map(([name, facts]) => answers.environment(at, name, facts));
    return ok({ total_count: all.length, environments: all });
  },
  [`GET ${ONE}`]: (repository, request) =>
    ok(
      answers.environment(
        repository.at,
        request.parameters.environment_name ?? "",
        environmentOf(repository, request),
      ),
    ),
  [`PUT ${ONE}`]: (repository, { parameters, body }) => {
    const name = parameters.environment_name ?? "";
    return ok(answers.environment(repository.at, name, putEnvironment(repository, name, body)));
  },
  [`DELETE ${ONE}`]: ({ environments, environmentSecrets }, { parameters }) => {
    const name = parameters.environment_name ?? "";
    environmentSecrets.delete(name);
    return gone(environments.delete(name));
  },
  [`GET ${POLICIES}`]: (repository, request) => {
    const { branches } = environmentOf(repository, request);
    return ok({ total_count: branches.length, branch_policies: branches });
  },
  [`POST ${POLICIES}`]: (repository, request) => {
    const { body } = request;
    const environment = environmentOf(repository, request);
    if (!environment.policy?.custom_branch_policies) throw NOT_FOUND;
    const policy = { id: repository.newId(), name: text(body.name), type: text(body.type) || "branch" };
    environment.branches.push(policy);
    return ok(policy);
  },
  [`GET ${POLICY}`]: (repository, request) => ok(policyOf(repository, request)),
  [`PUT ${POLICY}`]: (repository, request) =>
    ok(Object.assign(policyOf(repository, request), { name: text(request.body.name) })),
  [`DELETE ${POLICY}`]: (repository, request) =>
    gone(removeFrom(environmentOf(repository, request).branches, request.parameters.branch_policy_id)),
};

function putEnvironment(repository: Repository, name: string, body: Request["body"]): answers.Environment {
  const { isPrivate, plan, environments, environmentSecrets } = repository;
  const reviewers = (body.reviewers ?? []) as answers.Environment["reviewers"];
  const policy = (body.deployment_branch_policy ?? null) as answers.Environment["policy"];
  if (isPrivate && plan === "free" && policy !== null) {
    const refusal =
      "Fail to create protected rule, please ensure billing plan include protected branch gate.";
    throw new Refusal(422, refusal);
  }
  if (isPrivate && plan !== "enterprise" && reviewers.length > 0) {
    const refusal =
      "Failed to create the environment protection rule. Please ensure the billing plan supports the required reviewers protection rule.";
    throw new Refusal(422, refusal);
  }
  if (!environmentSecrets.has(name)) environmentSecrets.set(name, repository.newSecrets());
  const canAdminsBypass = (body as { can_admins_bypass?: boolean }).can_admins_bypass ?? true;
  const branches = environments.get(name)?.branches ?? [];
  const environment = { reviewers, policy, branches, canAdminsBypass };
  environments.set(name, environment);
  return environment;
}
