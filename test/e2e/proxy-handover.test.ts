import assert from "node:assert/strict";
import { ask, randomBody } from "./attack.ts";
import { isDropped } from "./handover.ts";
import type { Visit } from "./load.ts";
import { bot, digestOf, withProxy } from "./proxy-driver.ts";

describe("a proxy that gets another configuration", function () {
  const proxy = withProxy(this, "proxy-with-news");

  it("goes over to it, and drops only what it has not read by then", async () => {
    const RELOADS = 20;
    const VISITORS = 8;
    const visits: Omit<Visit, "method">[] = [];
    const bodies: string[] = [];
    let isOver = false;
    const visitor = async (_: unknown, i: number) => {
      while (!isOver) {
        const body = i % 2 === 0 ? randomBody(1000) : undefined;
        const at = Date.now();
        const { status, text, milliseconds } = await ask(proxy.target, { body }).answer;
        if (status === 200 && body) bodies.push(digestOf(body));
        const fault = status === 200 ? undefined : status === 0 ? text : `status ${status}`;
        visits.push({ at, milliseconds, fault });
      }
    };
    const visitors = Array.from({ length: VISITORS }, visitor);
    for (let i = 0; i < RELOADS; i++) await proxy.reload();
    isOver = true;
    await Promise.all(visitors);
    const handovers = await proxy.handovers();
    assert.equal(handovers.length, RELOADS);
    const failed = visits.filter(({ fault }) => fault !== undefined);
    console.log(`      ${failed.length} of ${visits.length} requests were dropped in ${RELOADS} handovers`);
    assert.deepEqual(
      failed.filter((visit) => !isDropped(visit, handovers)),
      [],
    );
    for (const body of bodies) assert.equal(bot.bodies.filter((arrived) => arrived === body).length, 1);
  });
});
