import sodium from "libsodium-wrappers";

/** A secret as GitHub lists it, and its value, which GitHub never gives back. */
interface Kept {
  value: string;
  created_at: string;
  updated_at: string;
}

/** Why GitHub refuses a secret; its message is GitHub's. */
export class SecretRefusal extends Error {}

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Whether GitHub takes this as the name of a secret or a variable. */
export const isNameOfGitHub = (name: string) => NAME.test(name) && !name.startsWith("GITHUB_");

/** The secrets of a repository or of one of its environments: each has a key pair of its own. */
export class SecretStore {
  private readonly kept = new Map<string, Kept>();
  private readonly keys = sodium.crypto_box_keypair();
  private readonly keyId = String(sodium.randombytes_uniform(1_000_000_000));
  private readonly now: () => string;

  /** @param now gives the time, in seconds and never the same one twice */
  constructor(now: () => string) {
    this.now = now;
  }

  publicKey() {
    return {
      key_id: this.keyId,
      key: sodium.to_base64(this.keys.publicKey, sodium.base64_variants.ORIGINAL),
    };
  }

  list() {
    return { total_count: this.kept.size, secrets: [...this.kept.keys()].map((name) => this.get(name)) };
  }

  /** What GitHub tells of a secret; undefined if there is none. */
  get(name: string) {
    const found = this.kept.get(name);
    return found && { name, created_at: found.created_at, updated_at: found.updated_at };
  }

  /**
   * Keeps a secret that was sealed for this store.
   *
   * @returns whether it is new
   * @throws SecretRefusal for a bad name, or a box that only another key opens
   */
  put(name: string, body: Record<string, unknown>): boolean {
    if (!isNameOfGitHub(name)) throw new SecretRefusal("Secret names can only contain …");
    if (body.key_id !== this.keyId)
      throw new SecretRefusal("Bad Request: key_id is not that of the public key");
    return this.set(name, this.open(String(body.encrypted_value)));
  }

  /** Sets a secret, as on the web page. */
  set(name: string, value: string): boolean {
    const before = this.kept.get(name);
    const now = this.now();
    this.kept.set(name, { value, created_at: before?.created_at ?? now, updated_at: now });
    return before === undefined;
  }

  delete(name: string): boolean {
    return this.kept.delete(name);
  }

  /** All secrets, decrypted. */
  values(): Record<string, string> {
    return Object.fromEntries([...this.kept].map(([name, { value }]) => [name, value]));
  }

  private open(box: string): string {
    try {
      const bytes = sodium.from_base64(box, sodium.base64_variants.ORIGINAL);
      return sodium.to_string(sodium.crypto_box_seal_open(bytes, this.keys.publicKey, this.keys.privateKey));
    } catch {
      throw new SecretRefusal("Bad Request: the encrypted value cannot be opened");
    }
  }
}
