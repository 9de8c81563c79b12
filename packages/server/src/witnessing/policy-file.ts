import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { maxMirrors, maxPolicyBytes, witnessingModes } from '@trialkeep/contract';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import { Value } from 'typebox/value';
import { canonicalBytes } from '../platform/canonical.ts';
import { writeFileDurably } from '../platform/files.ts';

const text = (maxLength: number) => Type.String({ maxLength });
const form = Type.Object(
  {
    format: Type.Literal(1),
    origin: text(1000),
    version: Type.Integer({ minimum: 1 }),
    policy: text(maxPolicyBytes),
    mirrors: Type.Array(
      Type.Object({ name: text(64), key: text(2400), url: text(500) }, { additionalProperties: false }),
      { maxItems: maxMirrors },
    ),
    mode: Type.Enum(witnessingModes),
    boundSeconds: Type.Integer({ minimum: 1 }),
  },
  { additionalProperties: false },
);
/** A policy as it is kept outside the database; nothing of it is believed but whom to ask. */
export type KeptPolicy = Omit<Static<typeof form>, 'format'>;

/** Longest file that is read, bytes: JSON may write a character in six. */
const maxFileBytes = 1 << 20;
const suffix = '.witnessing.json';

/**
 * The newest policy of each log in this node's anchor folder, beside its newest checkpoint: a database that was put back to before the
 * policy does not know whom to ask. One file a log, named by the hash of its origin.
 */
export class PolicyFolder {
  readonly #folder: string;
  readonly #versions = new Map<string, number>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Every policy that is kept; `unreadable` names the files that hold none. */
  read(): { policies: KeptPolicy[]; unreadable: string[] } {
    const found = { policies: [] as KeptPolicy[], unreadable: [] as string[] };
    const names = existsSync(this.#folder) ? readdirSync(this.#folder) : [];
    for (const name of names.filter((one) => one.endsWith(suffix)).sort()) {
      const file = join(this.#folder, name);
      const policy = readPolicyFile(file);
      if (policy === undefined) found.unreadable.push(file);
      else found.policies.push(policy);
    }
    return found;
  }

  /** Durable when it returns; called only with what is committed. Never puts an older policy over a newer one. */
  keep(policy: KeptPolicy): void {
    const { origin, version, mirrors, mode, boundSeconds } = policy;
    const name = createHash('sha256').update(origin).digest('hex').slice(0, 32);
    const file = join(this.#folder, `${name}${suffix}`);
    const kept = this.#versions.get(origin) ?? (existsSync(file) ? readPolicyFile(file)?.version : undefined);
    this.#versions.set(origin, Math.max(kept ?? 0, version));
    if (kept !== undefined && kept >= version) return;
    const content = { format: 1, origin, version, policy: policy.policy, mirrors, mode, boundSeconds };
    writeFileDurably(file, canonicalBytes(content));
  }
}

function readPolicyFile(file: string): KeptPolicy | undefined {
  if (statSync(file).size > maxFileBytes) return undefined;
  try {
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'));
    if (!Value.Check(form, value)) return undefined;
    const { format: _format, ...policy } = value;
    return policy;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
