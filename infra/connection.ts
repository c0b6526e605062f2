import type { remote } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { ServerSettings } from "./model/schema.ts";

/** How Pulumi's remote commands reach the server. */
export function connectionTo({
  server: { host, port, user, hostKey },
  sshPrivateKey,
}: {
  server: ServerSettings;
  sshPrivateKey?: string;
}): remote.CommandArgs["connection"] {
  return { host, port, user, hostKey, privateKey: sshPrivateKey && pulumi.secret(sshPrivateKey) };
}
