import { createSecretKey } from 'node:crypto';
import { compactKeyOfExit, compactKeyVersionId, CryptoError, openDataKeyLayer } from '@trialkeep/crypto';
import type { EncryptedDataKey, EncryptionContext, EscrowKey, ExitKey } from '@trialkeep/crypto';
import { sdkError } from '../errors.ts';
import type { KeySource } from '../seal/keys.ts';
import { openExitPackage } from './package.ts';
import type { ExitPackage } from './package.ts';

/** How a Trialkeep key is named in a sealed message. */
const providerId = 'aws-kms';

/**
 * Opens, without any server, what the keys of a package protected: all of its keys are held in memory.
 *
 * @throws TrialkeepError as `openExitPackage`
 */
export async function exitKeys(from: ExitPackage, key: EscrowKey, signal?: AbortSignal): Promise<KeySource> {
  const byVersion = new Map<string, ExitKey>();
  await openExitPackage(from, key, {
    onKey: (each) => byVersion.set(Buffer.from(each.place.versionId).toString('hex'), each),
    ...(signal !== undefined && { signal }),
  });
  return {
    sealingKey: () => Promise.reject(sdkError('client.invalid_input', { detail: 'a package seals nothing' })),
    openingKey: async ({ context, encryptedDataKeys }) => {
      for (const encrypted of encryptedDataKeys) {
        const bytes = encrypted.providerId === providerId ? open(byVersion, encrypted, context) : undefined;
        if (bytes === undefined) continue;
        const dataKey = createSecretKey(bytes);
        bytes.fill(0);
        return { dataKey, key: encrypted.providerId, sealerAuthenticated: true };
      }
      return undefined;
    },
  };
}

/** The data key; undefined where the package has not the key that it is under. */
function open(
  byVersion: ReadonlyMap<string, ExitKey>,
  { ciphertext }: EncryptedDataKey,
  context: EncryptionContext,
): Buffer | undefined {
  const outer = find(byVersion, ciphertext);
  if (outer === undefined) return undefined;
  const layer = openDataKeyLayer({ ciphertext, key: compactKeyOfExit(outer), context });
  if (layer.dataKey !== undefined) return layer.dataKey;
  const inner = byVersion.get(layer.innerKeyVersionId.toString('hex'));
  if (inner === undefined) return undefined;
  const innermost = openDataKeyLayer({ ciphertext: layer.inner, key: compactKeyOfExit(inner), context });
  if (innermost.dataKey === undefined) throw new CryptoError('crypto.ciphertext_invalid');
  return innermost.dataKey;
}

function find(byVersion: ReadonlyMap<string, ExitKey>, ciphertext: Uint8Array): ExitKey | undefined {
  try {
    return byVersion.get(Buffer.from(compactKeyVersionId(ciphertext)).toString('hex'));
  } catch (error) {
    if (error instanceof CryptoError) return undefined;
    throw error;
  }
}
