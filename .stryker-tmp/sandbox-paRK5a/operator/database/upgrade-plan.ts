// @ts-nocheck
import { upgradedVolume } from "../../infra/model/names.ts";
import { imageOf, MAJORS } from "../../infra/model/postgres.ts";
import { databaseVolume, type PlainSettings } from "../../infra/model/schema.ts";

/** What holds the data: a major version of PostgreSQL and a volume. */
export interface Data {
  major: number;
  volume: string;
}

/** What an upgrade is going to do. */
export interface Plan {
  /** `finish` where the data has been moved already, and only the stack has not followed. */
  action: "move" | "finish";
  /** What the server serves now. */
  present: Data;
  major: number;
  /** The image and the volume of the new database. */
  image: string;
  volume: string;
  /** The volume that the stack's configuration names now. */
  configured: string;
}

/** Why an upgrade cannot begin, or how it goes on. */
export type Decision = { refusal: string } | { plan: Plan };

/** What is known once an upgrade is over, one way or the other. */
export interface Evidence {
  /** The data that the server serves, as the server says. */
  served: Data;
  /** The exit status of the script on the server. */
  status: number;
  /** The script's last line. */
  last: string;
  /** The sentence of a failure on this side. */
  fault?: string;
}

/** How an upgrade ended: the new database runs, or the old one does and `cause` says why, without a full stop. */
export type Outcome = { upgraded: true; complete: boolean } | { upgraded: false; cause: string };

/** Why no upgrade to this version can begin, as far as the configuration tells; undefined where one can. */
export function refuseUpgrade({ commit }: PlainSettings, major: number): string | undefined {
  if (!MAJORS.includes(major)) {
    return `PostgreSQL ${major} is not known here; there are: ${MAJORS.join(", ")}.`;
  }
  if (commit === undefined) return "Nothing runs yet; begin with: ./delivery deploy";
  return undefined;
}

/** @param present what the server serves now */
export function planUpgrade(settings: PlainSettings, major: number, present: Data): Decision {
  const configured = databaseVolume(settings);
  // The new version runs on a volume that the configuration does not know yet: the last step of an upgrade is missing.
  const isCutOff = present.major === major && present.volume !== configured;
  if (present.major >= major && !isCutOff) {
    return {
      refusal: `The database is PostgreSQL ${present.major} already; only a newer major version can be upgraded to.`,
    };
  }
  const plan: Plan = {
    action: isCutOff ? "finish" : "move",
    present,
    major,
    image: imageOf(settings.database.image, major),
    volume: isCutOff ? present.volume : upgradedVolume(settings.name, major),
    configured,
  };
  return { plan };
}

/** The server knows which data is served; what this side has seen only gives the cause of a failure. */
export function judgeOutcome({ volume }: Plan, { served, status, last, fault }: Evidence): Outcome {
  if (served.volume === volume) return { upgraded: true, complete: status === 0 };
  return { upgraded: false, cause: (fault ?? last).replace(/[.;]$/, "") };
}

/** What the operator reads when the new database runs. `remove` is the command that removes the old volume. */
export function successMessage(plan: Plan, file: string, seconds: number, remove: string): string {
  const before = plan.action === "finish" ? "" : ` (before: ${plan.present.major})`;
  return [
    `database upgrade: PostgreSQL ${plan.major} runs${before}, ${seconds.toFixed(1)} s in all`,
    `${file} says so; commit it. The old data is kept in the volume ${plan.configured}; once you do not need it any more, remove it with: ${remove}`,
  ].join("\n");
}

/** What the operator reads when the old database runs. */
export function failureMessage(plan: Plan, cause: string, hasStackFollowed: boolean): string {
  const end = hasStackFollowed
    ? " as before."
    : ", but the stack could not follow; go on with: ./delivery deploy --recover";
  return `The upgrade failed: ${cause}. PostgreSQL ${plan.present.major} runs${end}`;
}
