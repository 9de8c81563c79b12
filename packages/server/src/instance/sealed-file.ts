import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { CryptoError, generateKey, openMessage, sealMessage } from '@trialkeep/crypto';
import type { KeyPlace } from '@trialkeep/crypto';
import { StartupError } from '../platform/errors.ts';
import { idBytes, newId, noTenant } from '../platform/ids.ts';
import type { RootOfTrust } from '../roots/index.ts';

/** The root of trust as a recipient of a sealed message: docs/formats/self-backup.md. */
const providerId = 'trialkeep-root';
const readBytes = 1024 * 1024;

function backupPlace(id: string): KeyPlace {
  return {
    kind: 'backup',
    tenantId: noTenant,
    keyId: idBytes(id),
    versionId: idBytes(id),
    purpose: 'encrypt',
  };
}

/** What was written, so that a manifest can name it. */
export interface WrittenFile {
  readonly bytes: number;
  /** Of the bytes on disk, hex. */
  readonly sha256: string;
}

/** Writes the chunks to a new file, durably. */
async function writeAll(target: string, chunks: AsyncIterable<Uint8Array>): Promise<WrittenFile> {
  const file = await open(target, 'wx', 0o600);
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    for await (const chunk of chunks) {
      hash.update(chunk);
      bytes += chunk.length;
      await file.writeFile(chunk);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return { bytes, sha256: hash.digest('hex') };
}

/** Seals a file under a fresh data key that only the root of trust can unwrap. */
export async function sealToRoot(
  root: RootOfTrust,
  source: string,
  target: string,
  context: Record<string, string>,
): Promise<WrittenFile> {
  const id = newId();
  const key = generateKey('AES_256');
  const wrapped = await root.wrap(backupPlace(id), key);
  const dataKey = key.export();
  const recipient = { providerId, providerInfo: Buffer.from(id, 'utf8'), ciphertext: wrapped };
  const plaintext = createReadStream(source, { highWaterMark: readBytes });
  const message = sealMessage(plaintext, { dataKey, encryptedDataKeys: [recipient], context });
  dataKey.fill(0);
  return writeAll(target, message);
}

/** Opens what `sealToRoot` wrote into a new file. The caller removes the file when this throws. */
export async function openFromRoot(
  root: RootOfTrust,
  source: string,
  target: string,
  context: Record<string, string>,
): Promise<WrittenFile> {
  const message = createReadStream(source, { highWaterMark: readBytes });
  const plaintext = openMessage(message, {
    requiredContext: context,
    dataKeyFor: async ({ encryptedDataKeys }) => {
      const recipient = encryptedDataKeys.find((candidate) => candidate.providerId === providerId);
      if (recipient === undefined) return undefined;
      const id = Buffer.from(recipient.providerInfo).toString('utf8');
      if (!/^[0-9a-f-]{36}$/.test(id)) return undefined;
      return (await root.unwrap(backupPlace(id), recipient.ciphertext)).export();
    },
  });
  try {
    return await writeAll(target, plaintext);
  } catch (error) {
    if (error instanceof CryptoError) throw new StartupError('backup.damaged', source, error);
    throw error;
  }
}
