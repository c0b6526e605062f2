/**
 * Times and sizes that one part promises and another relies on. Seconds and MiB, unless a name says otherwise.
 *
 * The budget of a swap is `swapSeconds`: however a release fails, the old container serves again before the proxy gives
 * up a request that it holds, and before the gate opens by itself.
 */

/**
 * Requests in flight get this long to finish before the bot is stopped all the same. Most take less; WebSockets and streams
 * never end, and would make every release wait.
 */
export const DRAIN_SECONDS = 5;
/** Between SIGTERM and SIGKILL: the poller's last answer. */
export const BOT_STOP_SECONDS = 15;
/** From the moment that the old container has stopped, Pulumi gets this long to make the new one. */
export const MAKE_SECONDS = 10;
/**
 * Default of `app.startSeconds`: a bot that has not answered well by then is given up. A bot with pandas and matplotlib
 * takes five to eight beside a release on two cores (docs/BENCHMARKS.md).
 */
export const START_SECONDS = 13;
/** A new image must stay well for this long after its first good answer. Requests are let in meanwhile. */
export const PROBATION_SECONDS = 4;
/** From the end of a bot that is given up to the start of the old container. */
export const PUT_BACK_SECONDS = 5;

/**
 * The longest that a swap holds requests: drain, stop, make, start, give up and start the old one again.
 *
 * @param startSeconds `app.startSeconds`
 */
export function swapSeconds(startSeconds: number): number {
  return DRAIN_SECONDS + BOT_STOP_SECONDS + MAKE_SECONDS + startSeconds + PUT_BACK_SECONDS + startSeconds;
}

/** The gate opens by itself after this: longer than any swap, so only an abandoned one meets it. */
export function holdSeconds(startSeconds: number): number {
  return swapSeconds(startSeconds) + 10;
}

/** The same for an upgrade of PostgreSQL, which holds requests while the data moves. */
export const UPGRADE_HOLD_SECONDS = 900;
/**
 * Caddy gives up on a request after this: at the closed gate, which opens before that, and then at a bot that is down. Both
 * count from the request's turn: the first 128 have theirs at once, the others when one of those ends. They are the same
 * for every bot, since another Caddyfile may cost a request (scripts/server/reload-proxy.sh).
 */
export const GATE_WAIT_SECONDS = 960;
/** Enough for Docker to start a bot anew, and for the way back from one that crashes just after its first good answers. */
export const BOT_WAIT_SECONDS = 60;

/**
 * A call of the program's counts as unanswered after this. The server may first wait for the end of a swap; what it does
 * then takes less than a minute: a question to a git server, or the start of another swap.
 */
export function answerSeconds(startSeconds: number): number {
  return holdSeconds(startSeconds) + 60;
}
/** Let's Encrypt gets this long to issue a certificate before an update says that there is none. */
export const CERTIFICATE_SECONDS = 30;
/** Days before a certificate's end from which it is a warning; Caddy renews it a month before. */
export const CERTIFICATE_DAYS = 14;
/** Answers under way get this long when the proxy itself is stopped. */
export const PROXY_STOP_SECONDS = 30;
/** A role that is PostgreSQL's superuser is exchanged within this time, or not at all: some milliseconds for each object. */
export const DEMOTION_SECONDS = 40;
/** PostgreSQL gets this long to write everything down; being killed costs it a recovery. */
export const DATABASE_STOP_SECONDS = 120;
/** From the start of PostgreSQL, or of Docker after a boot, to its first answer: initdb on a slow disk. */
export const READY_SECONDS = 120;

/**
 * How Docker asks the bot whether it is healthy; failures before `startPeriod` has passed do not count. Each question
 * starts a program in the container: all of them together must stay below half a percent of a core.
 */
export const HEALTH_CHECK = { interval: 30, timeout: 5, retries: 3, startPeriod: 30 } as const;
/** The server's git waits this long for an answer of the repository's host. */
export const GIT_SECONDS = 20;

/** The bot's memory. */
export const BOT_MEMORY = 512;
/** PostgreSQL's memory: four times its default shared_buffers (128 MiB). */
export const DATABASE_MEMORY = 512;
/** Of that, what PostgreSQL may share among the processes of a query: with Docker's 64, large parallel queries fail. */
export const DATABASE_SHARED_MEMORY = 256;
/**
 * Caddy's memory: twice what it has needed with PROXY_REQUESTS and PROXY_UPLOADS, each of the largest size, held at once
 * (230 MiB). A limit that is raised counts at once; Caddy collects its garbage for the old one until it is started again.
 */
export const PROXY_MEMORY = 512;
/** As many requests may be inside the proxy, held or with the bot; others get 503 at once. One that is held costs 70 KiB. */
export const PROXY_REQUESTS = 2000;
/** The same for requests with bodies from 10 kB on, or of unknown length: no crowd of slow ones may take all places. */
export const PROXY_UPLOADS = 200;
/** As many requests may be with the bot at once: all that come when the gate opens fit into a queue of 128 connections. */
export const BOT_REQUESTS = 96;
/** The same for the uploads. */
export const BOT_UPLOADS = 32;
/** Against a fork bomb in the bot or in PostgreSQL; threads count too. */
export const CONTAINER_PIDS = 256;

/** The server's own cron looks at everything this often. */
export const HEALTH_MINUTES = 30;

/** Below this much free disk no image is built: a build would fill the disk of the database. */
export const BUILD_FREE_MB = 1024;
/**
 * A build asks the registry for a base image that has not been asked for this long. A registry counts what one address
 * takes from it, and one that is out of reach must not delay each release.
 */
export const BASE_PULL_HOURS = 24;
/** A registry that is slower than this has failed, and the build takes the base image that is there. */
export const BASE_PULL_SECONDS = 600;
/** The registry of an image that is checked for updates gets this long to answer. */
export const REGISTRY_SECONDS = 20;

/** What a backup or restore must leave free beside what it writes. */
export const BACKUP_FREE_MB = 256;
/** A release waits for the backup before it this long; then it goes ahead, and the backup goes on by itself. */
export const RELEASE_BACKUP_SECONDS = 60;
/** Backups from before releases are kept for a long weekend, */
export const RELEASE_BACKUP_DAYS = 3;
/** and as many of the newest whatever their age: one for each image that a rollback finds. */
export const RELEASE_BACKUPS = 5;
/** A table with fewer rows is not judged when it shrinks: a queue or a list of sessions empties every day. */
export const SHRUNK_LEAST_ROWS = 100;
/** Images of earlier releases that are kept: how far back a rollback builds nothing. */
export const KEPT_IMAGES = 5;

/** From this major version on, PostgreSQL's image keeps its data in a subdirectory named after the version. */
export const FIRST_VERSIONED_POSTGRES = 18;
