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

/** Length and SHA-256 (hex), as the manifest names them. */
export interface FileDescription {
  readonly bytes: number;
  readonly sha256: string;
}

/** Describes what the chunks are together. */
async function describe(chunks: AsyncIterable<Uint8Array>): Promise<FileDescription> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of chunks) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { bytes, sha256: hash.digest('hex') };
}

function read(file: string): AsyncIterable<Uint8Array> {
  return createReadStream(file, { highWaterMark: readBytes });
}

/** Describes a file of any length. */
export async function describeFile(file: string): Promise<FileDescription> {
  return describe(read(file));
}

/** Writes the chunks to a new file, durably. */
async function writeAll(target: string, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  const file = await open(target, 'wx', 0o600);
  try {
    for await (const chunk of chunks) await file.writeFile(chunk);
    await file.sync();
  } finally {
    await file.close();
  }
}

/**
 * Seals a file under a fresh data key that only the root of trust can unwrap, then opens what was written and compares it
 * with the file: `backup.damaged` if it is not the same.
 */
export async function sealToRoot(
  root: RootOfTrust,
  source: string,
  target: string,
  context: Record<string, string>,
): Promise<void> {
  const id = newId();
  const key = generateKey('AES_256');
  const wrapped = await root.wrap(backupPlace(id), key);
  const dataKey = key.export();
  const recipient = { providerId, providerInfo: Buffer.from(id, 'utf8'), ciphertext: wrapped };
  const message = sealMessage(read(source), { dataKey, encryptedDataKeys: [recipient], context });
  dataKey.fill(0);
  await writeAll(target, message);
  const opened = await describe(openChunks(root, target, context));
  if (opened.sha256 !== (await describeFile(source)).sha256) throw new StartupError('backup.damaged', target);
}

/** Opens what `sealToRoot` wrote into a new file. The caller removes the file when this throws. */
export async function openFromRoot(
  root: RootOfTrust,
  source: string,
  target: string,
  context: Record<string, string>,
): Promise<void> {
  await writeAll(target, openChunks(root, source, context));
}

async function* openChunks(
  root: RootOfTrust,
  source: string,
  context: Record<string, string>,
): AsyncGenerator<Uint8Array> {
  const dataKeys: Uint8Array[] = [];
  try {
    yield* openMessage(read(source), {
      requiredContext: context,
      dataKeyFor: async ({ encryptedDataKeys }) => {
        const recipient = encryptedDataKeys.find((candidate) => candidate.providerId === providerId);
        if (recipient === undefined) return undefined;
        const id = Buffer.from(recipient.providerInfo).toString('utf8');
        if (!/^[0-9a-f-]{36}$/.test(id)) return undefined;
        const dataKey = (await root.unwrap(backupPlace(id), recipient.ciphertext)).export();
        dataKeys.push(dataKey);
        return dataKey;
      },
    });
  } catch (error) {
    if (error instanceof CryptoError) throw new StartupError('backup.damaged', source, error);
    throw error;
  } finally {
    for (const dataKey of dataKeys) dataKey.fill(0);
  }
}
