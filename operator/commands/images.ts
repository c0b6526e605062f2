import { readFileSync, writeFileSync } from "node:fs";
import { define } from "../command.ts";
import { imageRows, parseImages, pinned, type RunningImage } from "../images.ts";
import { withConfig } from "../release/update.ts";
import { Server } from "../server.ts";
import { openStack, type Stack } from "../stack.ts";
import { table } from "../table.ts";

export default define({
  details:
    "Asks the registries, through the server, what they have under the tags of the database, the proxy and the images that the bot is built on. Needs SSH alone, no Pulumi, and pulls nothing. A base image is renewed by the next release of a new commit.",
  options: {
    pin: {
      type: "boolean",
      default: false,
      describe: "Write the newest digests of the database's and the proxy's tags into the stack's file",
    },
  },
  examples: {
    images: "list them, and since when newer ones are there",
    "images --pin": "choose the newest ones; `pulumi preview` and `pulumi up` follow",
  },
  exits: { 1: "failed" },
  async run({ stack: name, pin }) {
    const stack = openStack(name);
    const lines = await new Server(stack).ask("check-images.sh", {}, { show: ["stderr"] });
    const images = parseImages(lines);
    console.log(table(["", "image", "runs", "newest", ""], imageRows(images, new Date())));
    if (pin) pinImages(stack, images);
    return undefined;
  },
});

function pinImages({ file, settings }: Stack, images: RunningImage[]): void {
  const values = pinned(images, settings);
  if (Object.keys(values).length === 0) {
    console.log(`\nNothing to pin: ${file} has the newest digests that are known.`);
    return;
  }
  writeFileSync(file, withConfig(readFileSync(file, "utf8"), values));
  console.log();
  for (const [key, value] of Object.entries(values)) console.log(`${key}: ${value}`);
  console.log(
    `${file} has them now. See what that changes with: pulumi preview; then apply it with: pulumi up`,
  );
}
