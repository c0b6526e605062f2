import { loadImages, serverExec } from "../../sandbox/server.ts";
import type { World } from "./world.ts";

/** Docker trusts a registry on its own machine without TLS. Port 5000 is the bot's. */
const ADDRESS = "localhost:5001";

/** A real registry on a throwaway server. */
export class Registry {
  private readonly world: World;

  private constructor(world: World) {
    this.world = world;
  }

  /** Starts it, empty. */
  static async start(world: World): Promise<Registry> {
    await loadImages(world.server, ["registry:3"]);
    const published = ["--publish", "127.0.0.1:5001:5000"];
    await world.onServer("docker", "run", "--detach", "--name", "registry", ...published, "registry:3");
    return new Registry(world);
  }

  /** The name of an image in this registry. */
  static named(image: string): string {
    return `${ADDRESS}/${image}`;
  }

  /**
   * Builds an image on the server and publishes it; gives its digest.
   *
   * @param greeting what the file `greeting` beside the Dockerfile says
   */
  async publish(image: string, dockerfile: string, greeting = ""): Promise<string> {
    const name = Registry.named(image);
    const script = `cd "$(mktemp -d)"; cat >Dockerfile; echo "$1" >greeting; echo Dockerfile >.dockerignore
      DOCKER_BUILDKIT=1 docker build --quiet --tag "$2" . >&2; docker push "$2"`;
    const said = await serverExec(this.world.server, ["sh", "-euc", script, "sh", greeting, name], {
      input: dockerfile,
    });
    return /digest: (sha256:[0-9a-f]{64})/.exec(said)?.[1] ?? "";
  }

  /** Publishes a newer image under a tag as if from elsewhere: the one that the server has keeps its name here. */
  async renew(image: string, dockerfile: string, greeting = ""): Promise<void> {
    const name = Registry.named(image);
    const before = await this.world.onServer("docker", "image", "inspect", "--format", "{{.Id}}", name);
    await this.publish(image, dockerfile, greeting);
    await this.world.onServer("docker", "tag", before, name);
  }

  /** Takes it off the net, or puts it back. */
  async turn(on: boolean): Promise<void> {
    await this.world.onServer("docker", on ? "start" : "stop", "registry");
  }
}
