import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errors } from '@trialkeep/contract';
import type { ErrorCode } from '@trialkeep/contract';
import {
  CryptoError,
  generateDataKey,
  generateKey,
  openDataKey,
  randomId,
  sealDataKey,
} from '@trialkeep/crypto';
import type { EncryptionContext } from '@trialkeep/crypto';
import type { Caller } from '../client/index.ts';
import { TrialkeepError } from '../errors.ts';

/**
 * What these tests put in place of the network and the server: a `Caller` that wraps data keys with the real crypto package
 * under keys in memory.
 */
export class StandInKeys implements Caller {
  readonly calls: { id: string; input: Readonly<Record<string, unknown>> }[] = [];
  /** Whether the keys are use-logged. */
  useLogged = false;
  /** Answers every call with this error where it is set. */
  refusal: ErrorCode | undefined;
  readonly #tenantId = randomId();
  readonly #keys = new Map<
    string,
    { key: ReturnType<typeof generateKey>; keyVersionId: Buffer; keyId: Buffer }
  >();

  newKey(): string {
    const id = randomUUID();
    const keyId = Buffer.from(id.replaceAll('-', ''), 'hex');
    this.#keys.set(id, { key: generateKey('AES_256'), keyVersionId: randomId(), keyId });
    return id;
  }

  forgetKey(id: string): void {
    this.#keys.delete(id);
  }

  call = (async (id: string, input: { key: string; context: EncryptionContext; ciphertext: string }) => {
    this.calls.push({ id, input });
    if (this.refusal !== undefined) throw refusalOf(this.refusal);
    const key = this.#keys.get(input.key);
    if (key === undefined) throw refusalOf('key.unknown');
    const outer = { ...key, tenantId: this.#tenantId };
    if (id === 'keys.generate-data-key') {
      const dataKey = generateDataKey();
      const ciphertext = sealDataKey({ dataKey, outer, context: input.context }).toString('base64');
      const arn = `arn:aws:kms:test-1:000000000001:key/${input.key}`;
      const plaintext = dataKey.toString('base64');
      return {
        plaintext,
        ciphertext,
        key: input.key,
        arn,
        version: 1,
        useLogged: this.useLogged,
        recipients: [],
      };
    }
    try {
      const ciphertext = Buffer.from(input.ciphertext, 'base64');
      const dataKey = openDataKey({ ciphertext, outer, context: input.context });
      const plaintext = dataKey.toString('base64');
      return { plaintext, key: input.key, version: 1, useLogged: this.useLogged };
    } catch (error) {
      throw error instanceof CryptoError ? refusalOf('ciphertext.invalid') : error;
    }
  }) as unknown as Caller['call'];
}

function refusalOf(code: ErrorCode): TrialkeepError {
  return new TrialkeepError(code, errors[code], { status: errors[code].status });
}

/** Runs `work` in a folder of its own, which is removed afterwards. */
export async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'trialkeep-seal-'));
  try {
    await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export async function namesIn(folder: string): Promise<string[]> {
  return (await readdir(folder)).sort();
}

/** All chunks as one. */
export async function all(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const whole: Uint8Array[] = [];
  for await (const chunk of chunks) whole.push(chunk);
  return Buffer.concat(whole);
}
