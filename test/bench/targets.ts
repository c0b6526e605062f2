import type { Measured, Results } from "./results.ts";

interface Verdict {
  target: string;
  is: string;
  /** Undefined where the figures are missing. */
  met: boolean | undefined;
  /** The reason for a missed target. */
  why: string;
}

/** Share of a core that all health checks of a bot may use, in percent. */
const HEALTH_SHARE = 0.5;

/** The targets of this project, each with its result. */
export function judge({ sample, heavy, idle }: Results): Verdict[] {
  const both = [sample.ours, heavy.ours].filter((measured) => measured !== undefined);
  const changes = both.flatMap(({ release, rollback, restart }) => [release, rollback, restart ?? []].flat());
  const total = (figure: (change: (typeof changes)[number]) => number) =>
    changes.reduce((sum, change) => sum + figure(change), 0);
  const [failed, overlaps, lost] = [
    total((one) => one.failed),
    total((one) => one.overlaps),
    total((one) => one.lost),
  ];
  const { ours, floor, seed, ansible } = sample;
  const held = ours?.rollback.heldSeconds ?? ours?.rollback.slowest;
  const checks = idle && idle.on - idle.off;
  const ifSome = (met: boolean) => (changes.length === 0 ? undefined : met);
  return [
    {
      target: "No request fails in a release, a rollback or a restart",
      ...{
        is: `${failed} of ${total((one) => one.requests)}`,
        met: ifSome(failed === 0),
        why: "this is a bug.",
      },
    },
    {
      target: "Two bots never poll Telegram at once, and no message is lost",
      is: `${overlaps} and ${lost} of ${total((one) => one.messages)}`,
      ...{ met: ifSome(overlaps + lost === 0), why: "this is a bug." },
    },
    {
      target: "Requests are held for at most 2 s more than `docker run` by hand takes",
      is: `${held ?? "?"} s, by hand ${floor?.release.answers ?? "?"} s`,
      met: held === undefined || floor === undefined ? undefined : held <= floor.release.answers + 2,
      why: "closing the gate, the start of the container and the first good answer come on top.",
    },
    {
      target: "A rollback takes at most 10 s",
      is: `${ours?.rollback.answers ?? "?"} s`,
      met: ours && ours.rollback.answers <= 10,
      why: "the start of Node.js, Pulumi and its plugins takes most of it.",
    },
    {
      target: "A rollback takes at most a fifth of the time that it took before, with a bot of real weight",
      is: share(heavy.ours, heavy.seed, ({ rollback }) => rollback.answers),
      met: heavy.ours && heavy.seed && heavy.ours.rollback.answers <= heavy.seed.rollback.answers / 5,
      why: "before, a rollback built the image again, and a package mirror nearby makes that fast.",
    },
    {
      target: "The same with the sample bot",
      is: share(ours, seed, ({ rollback }) => rollback.answers),
      met: ours && seed && ours.rollback.answers <= seed.rollback.answers / 5,
      why: `the sample builds within seconds; \`docker run\` by hand alone takes ${percent(floor?.rollback.answers, seed?.rollback.answers)}.`,
    },
    {
      target: "With nothing to do, `pulumi up` takes at most half of the time of Ansible",
      is: `${ours?.nothing.up ?? "?"} s of ${ansible?.nothing.again ?? "?"} s, ${percent(ours?.nothing.up, ansible?.nothing.again)}`,
      met: ours?.nothing.up && ansible ? ours.nothing.up <= ansible.nothing.again / 2 : undefined,
      why: "most of it is the start of Node.js, the Pulumi program and Pulumi's plugins.",
    },
    {
      target: "All health checks of a bot use less than half a percent of a core",
      is: checks === undefined ? "?" : `${checks.toFixed(2)} %`,
      met: checks === undefined ? undefined : checks < HEALTH_SHARE,
      why: "each check starts a program in its container.",
    },
  ];
}

function percent(part: number | undefined, whole: number | undefined): string {
  return part === undefined || whole === undefined ? "?" : `${Math.round((100 * part) / whole)} %`;
}

function share(
  one: Measured | undefined,
  other: Measured | undefined,
  of: (measured: Measured) => number,
): string {
  const [part, whole] = [one && of(one), other && of(other)];
  return `${part ?? "?"} s of ${whole ?? "?"} s, ${percent(part, whole)}`;
}
