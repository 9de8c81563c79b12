import { join } from 'node:path';
import { generateKey } from '@trialkeep/crypto';
import type { CompactKey, KeyPlace } from '@trialkeep/crypto';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import { writeFileDurably } from '../platform/files.ts';
import { idBytes, newId, noTenant } from '../platform/ids.ts';
import { readJson } from './read-json.ts';
import type { RootOfTrust } from './root.ts';

/** The key under which the shred store's rows are wrapped at present. */
export interface EpochKey {
  /** Counts from 1; every erasure begins the next. */
  readonly number: number;
  readonly key: CompactKey;
}

/** epoch.json: the shred store's present epoch key, wrapped by the root of trust. */
const epochFile = Type.Object(
  {
    format: Type.Literal(1),
    epoch: Type.Integer({ minimum: 1 }),
    id: Type.String({ pattern: '^[0-9a-f-]{36}$' }),
    wrapped: Type.String({ pattern: '^[A-Za-z0-9+/]+={0,2}$', maxLength: 2000 }),
  },
  { additionalProperties: false },
);

/** The epoch keys of the shred store, which lie in the root's folder and nowhere else. */
export class Epochs {
  readonly #folder: string;
  readonly #root: RootOfTrust;
  #current: EpochKey | undefined;

  constructor(folder: string, root: RootOfTrust) {
    this.#folder = folder;
    this.#root = root;
  }

  async current(): Promise<EpochKey> {
    if (this.#current !== undefined) return this.#current;
    const { epoch, id, wrapped } = readJson(join(this.#folder, 'epoch.json'), epochFile);
    const key = await this.#root.unwrap(epochPlace(id), Buffer.from(wrapped, 'base64'));
    const ids = { keyVersionId: idBytes(id), tenantId: noTenant, keyId: idBytes(id) };
    this.#current = { number: epoch, key: { key, ...ids } };
    return this.#current;
  }

  /** Makes the first epoch key of a new installation. */
  async createFirst(): Promise<void> {
    const id = newId();
    const wrapped = await this.#root.wrap(epochPlace(id), generateKey('AES_256'));
    const content: Static<typeof epochFile> = {
      format: 1,
      epoch: 1,
      id,
      wrapped: Buffer.from(wrapped).toString('base64'),
    };
    writeFileDurably(join(this.#folder, 'epoch.json'), `${JSON.stringify(content, null, 2)}\n`);
  }
}

function epochPlace(id: string): KeyPlace {
  return { kind: 'epoch', tenantId: noTenant, keyId: idBytes(id), versionId: idBytes(id), purpose: 'wrap' };
}
