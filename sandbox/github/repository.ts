import type { Environment, Issue, Place } from "./answers.ts";
import { GitRepository } from "./git.ts";
import { SecretStore } from "./secrets.ts";

export interface DeployKey {
  id: number;
  title: string;
  key: string;
  read_only: boolean;
}

export interface Variable {
  value: string;
  created_at: string;
  updated_at: string;
}

/** What the repository's owner pays for; only the last two are for organizations. */
export type Plan = "free" | "pro" | "team" | "enterprise";
const OF_ORGANIZATIONS: Plan[] = ["team", "enterprise"];

/** What GitHub keeps of the one repository that the fake has. */
export class Repository {
  readonly git: GitRepository;
  readonly secrets = this.newSecrets();
  readonly environmentSecrets = new Map<string, SecretStore>();
  readonly variables = new Map<string, Variable>();
  readonly environments = new Map<string, Environment>();
  readonly deployKeys: DeployKey[] = [];
  readonly issues: Issue[] = [];
  isProtected = false;
  private lastId = 0;
  private clock = Date.now();

  readonly at: Place;
  readonly branch: string;
  readonly isPrivate: boolean;
  readonly plan: Plan;

  constructor(at: Place, facts: { branch: string; isPrivate: boolean; plan: Plan }) {
    this.at = at;
    this.branch = facts.branch;
    this.isPrivate = facts.isPrivate;
    this.plan = facts.plan;
    this.git = new GitRepository(facts.branch);
  }

  get isOrganization(): boolean {
    return OF_ORGANIZATIONS.includes(this.plan);
  }

  /** Address of the repository in the API. */
  get url(): string {
    return `${this.at.api}/repos/${this.at.owner}/${this.at.name}`;
  }

  newSecrets(): SecretStore {
    return new SecretStore(() => this.now());
  }

  newId(): number {
    this.lastId += 1;
    return this.lastId;
  }

  /** Later than any time before, in whole seconds like GitHub's. */
  now(): string {
    this.clock = Math.max(this.clock + 1000, Date.now());
    return new Date(this.clock).toISOString().replace(/\.\d+Z$/, "Z");
  }
}
