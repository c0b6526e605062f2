import { createWorld, up } from "../e2e/world";
void (async () => {
  const w = await createWorld("bench-prof");
  await up(w);
  console.log(
    JSON.stringify({
      project: w.stack.project,
      env: { ...w.stack.env, PATH: undefined },
      url: w.url,
      dir: w.directory,
      port: w.server.port,
      tele: w.telegram.url,
    }),
  );
  await new Promise((r) => setTimeout(r, 3_000_000));
})();
