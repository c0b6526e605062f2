/**
 * Names that stand in every stack's state and on every running server. Changing one is a migration, not an edit: Pulumi
 * would replace the resource, and Docker would not find the container.
 */

/** The name that the first bot always had: the default of `name`. */
export const FIRST_BOT = "training_bot";

/** What Docker's objects of one bot are called on the server. */
export interface DockerNames {
  bot: string;
  database: string;
  proxy: string;
  /** The bridge network on which the three find each other. */
  network: string;
  /** The volume that the database's data is in unless `database.volume` names another. */
  data: string;
  /** The volume with the proxy's certificates. */
  certificates: string;
}

/** @param name `name` of the configuration, which is also the bot's container and image */
export function dockerNames(name: string): DockerNames {
  return {
    bot: name,
    database: `${name}_db`,
    proxy: `${name}_proxy`,
    // The first bot's network was there before a server could have several bots.
    network: name === FIRST_BOT ? "bot_network" : `${name}_network`,
    data: `${name}_db_data`,
    certificates: `${name}_proxy_data`,
  };
}

/** The volume to which an upgrade to this major version of PostgreSQL moves the data. */
export function upgradedVolume(name: string, major: number): string {
  return `${dockerNames(name).data}_${major}`;
}

/** The label that carries the commit on the bot's image and container. */
export const REVISION_LABEL = "org.opencontainers.image.revision";

/** The label of the bot's image with the images that it was built on: their names, each with its digest where that is known. */
export const BASES_LABEL = "hockey-delivery.bases";

/** Types of resources, as they stand in URNs. */
export const TYPES = {
  container: "docker:index/container:Container",
  network: "docker:index/network:Network",
  volume: "docker:index/volume:Volume",
  image: "docker:index/remoteImage:RemoteImage",
  command: "command:remote:Command",
  copy: "command:remote:CopyToRemote",
  dockerProvider: "pulumi:providers:docker",
  stash: "pulumi:index:Stash",
} as const;

/** Types of the components, as they stand in URNs. `image` was first called a release. */
export const COMPONENTS = {
  backups: "hockey:index:Backups",
  bot: "hockey:index:Bot",
  claim: "hockey:index:Claim",
  database: "hockey:index:Database",
  image: "hockey:index:Release",
  network: "hockey:index:Network",
  proxy: "hockey:index:Proxy",
  repository: "hockey:index:Repository",
  server: "hockey:index:Server",
} as const;

/** Names of the components of a stack; each resource's name begins with that of its component. */
export const PARTS = {
  backups: "backups",
  bot: "bot",
  claim: "claim",
  database: "database",
  github: "github",
  image: "release",
  network: "network",
  proxy: "proxy",
  server: "server",
} as const;

/** Names of resources that commands look for in the state. */
export const RESOURCES = {
  /** The id that the stack's directories on the server are claimed with, and the command that claims them. */
  id: `${PARTS.claim}-id`,
  claim: `${PARTS.claim}-directories`,
  /** The command that builds the bot's image. */
  image: `${PARTS.image}-image`,
  /** The data volume; one of another name than usual has that name at its end. */
  data: `${PARTS.database}-data`,
} as const;

/** The name that tells a stack from the others on a server. */
export const fullName = (project: string, stack: string) => `${project}/${stack}`;

/** Matches the URN of GitHub's component and of everything in it, as Pulumi's `--exclude` and `--target` take it. */
export const GITHUB_URN = `**${COMPONENTS.repository}**`;

/** Whether Pulumi's own `--exclude` leaves GitHub out of an update, as it does in workflow runs. */
export function excludesGitHub(): boolean {
  return (process.env.PULUMI_OPTION_EXCLUDE ?? "").split(",").includes(GITHUB_URN);
}

/**
 * Whether a run of the program leaves GitHub as it is. Resources left out of the program would be deleted on GitHub, so the
 * program always declares them. A run without a token, such as a workflow run, has the engine skip them instead:
 * `PULUMI_OPTION_EXCLUDE` is Pulumi's own `--exclude`. A preview of GitHub's side alone compares with the state and needs
 * no token either.
 */
export function skipsGitHub(isPreview: boolean): boolean {
  return excludesGitHub() || (isPreview && process.env.PULUMI_OPTION_TARGET === GITHUB_URN);
}

/**
 * GitHub's environments, which keep the workflows' secrets: the second is for scheduled runs, which wait for no reviewer,
 * the third for pull requests.
 */
export const ENVIRONMENTS = {
  attended: "production",
  unattended: "production-unattended",
  preview: "production-preview",
} as const;

/** What the workflows call this program's repository. */
export const INFRA_REPOSITORY = "INFRA_REPOSITORY";

/** The bot's environment variables that the stack itself sets. */
export const BOT_VARIABLES = [
  "DATABASE_URL",
  "POSTGRES_HOST",
  "POSTGRES_PORT",
  "POSTGRES_DB",
  "POSTGRES_USER",
  "POSTGRES_PASSWORD",
  "TELEGRAM_TOKEN",
  "SECRET_KEY",
  "PORT",
  "COMMIT_SHA",
] as const;
