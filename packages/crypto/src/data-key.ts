import { randomBytes } from 'node:crypto';
import { requireBytes } from './checks.ts';
import {
  compactKeyVersionId,
  openCompact,
  openCompactRemote,
  sealCompact,
  sealCompactRemote,
  type CompactKey,
  type RemoteCompactKey,
} from './compact.ts';
import type { EncryptionContext } from './context.ts';
import { CryptoError } from './errors.ts';

/** Bytes of a data key: it is the input of every sealed message. */
export const dataKeyBytes = 32;

const bareType = 1;
const innerType = 2;
const typeName = 'trialkeep:type';
const typeValue = 'data-key';

/** A fresh random data key, owned by the caller, who zeroes it (`fill(0)`) once it is no longer needed. */
export function generateDataKey(): Buffer {
  return randomBytes(dataKeyBytes);
}

/**
 * What both layers of a data key are sealed under: the caller's context and the pair `trialkeep:type` =
 * `data-key`, 26 bytes of its encoding. Without the pair, the decrypt operation would open data keys, and what
 * the encrypt operation returns could be a data key of the caller's choice.
 *
 * @throws CryptoError `crypto.context_invalid` where the caller's context has that name
 */
export function dataKeyContext(context: EncryptionContext): EncryptionContext {
  if (Object.hasOwn(context, typeName)) {
    throw new CryptoError('crypto.context_invalid', `${typeName} is reserved`);
  }
  return { ...context, [typeName]: typeValue };
}

/**
 * Seals a data key under a system's key and, where the context names a study or subject, within that under
 * the study's or subject's key: losing either key suffices to forget (docs/formats/compact.md, "Data keys").
 *
 * @param o.dataKey 32 bytes; stays the caller's, who zeroes it
 * @param o.context the caller's: at most 8,166 bytes encoded, without the name `trialkeep:type`
 * @returns 131 bytes, or 230 with an inner key
 * @throws CryptoError `crypto.context_invalid`, `crypto.key_unsuitable`, `crypto.argument_invalid`
 */
export function sealDataKey(o: {
  readonly dataKey: Uint8Array;
  readonly outer: CompactKey;
  readonly inner?: CompactKey | undefined;
  readonly context: EncryptionContext;
}): Buffer {
  const context = dataKeyContext(o.context);
  const content = contentOf(o);
  try {
    return sealCompact({ ...o.outer, context, plaintext: content });
  } finally {
    content.fill(0);
  }
}

/** `sealDataKey` where the system's key stays in a token. @throws CryptoError as `sealDataKey`, and what `mac` throws */
export async function sealDataKeyRemote(o: {
  readonly dataKey: Uint8Array;
  readonly outer: RemoteCompactKey;
  readonly inner?: CompactKey | undefined;
  readonly context: EncryptionContext;
}): Promise<Buffer> {
  const context = dataKeyContext(o.context);
  const content = contentOf(o);
  try {
    return await sealCompactRemote({ ...o.outer, context, plaintext: content });
  } finally {
    content.fill(0);
  }
}

/** What the outer layer holds; owned by the caller, who zeroes it. */
function contentOf(o: {
  readonly dataKey: Uint8Array;
  readonly inner?: CompactKey | undefined;
  readonly context: EncryptionContext;
}): Buffer {
  requireBytes(o.dataKey, dataKeyBytes, 'dataKey');
  const bare = typed(bareType, o.dataKey);
  if (o.inner === undefined) return bare;
  try {
    const context = dataKeyContext(o.context);
    return typed(innerType, sealCompact({ ...o.inner, context, plaintext: bare }));
  } finally {
    bare.fill(0);
  }
}

/** What one layer holds: the data key, or a further layer under the key version that it names. */
export type DataKeyLayer =
  | { readonly dataKey: Buffer; readonly inner?: never }
  | { readonly dataKey?: never; readonly inner: Buffer; readonly innerKeyVersionId: Buffer };

/**
 * Opens one layer. A caller that has to fetch the inner key opens the outer layer, fetches the key version
 * that `innerKeyVersionId` names (authenticated by then), and opens `inner` with it.
 *
 * @param o.context as for `sealDataKey`
 * @returns the data key, owned by the caller, who zeroes it; or the inner ciphertext
 * @throws CryptoError as `openCompact`; `crypto.ciphertext_invalid` for content of no known type;
 *   `crypto.context_invalid`
 */
export function openDataKeyLayer(o: {
  readonly ciphertext: Uint8Array;
  readonly key: Omit<CompactKey, 'keyVersionId'>;
  readonly context: EncryptionContext;
}): DataKeyLayer {
  const context = dataKeyContext(o.context);
  return layerOf(openCompact({ ...o.key, context, ciphertext: o.ciphertext }));
}

function layerOf(content: Buffer): DataKeyLayer {
  const value = content.subarray(1);
  if (content[0] === bareType && value.length === dataKeyBytes) return { dataKey: value };
  if (content[0] === innerType) return { inner: value, innerKeyVersionId: compactKeyVersionId(value) };
  content.fill(0);
  throw new CryptoError('crypto.ciphertext_invalid');
}

/**
 * Opens what `sealDataKey` made. The layers must be exactly those that the caller expects: with `inner`
 * given, a data key that is sealed under the outer key alone is refused, since destroying the inner key would
 * not forget it.
 *
 * @param o.inner the study's or subject's key, or how to find it by the version that the ciphertext names
 * @param o.context as for `sealDataKey`
 * @returns the data key, 32 bytes, owned by the caller, who zeroes it
 * @throws CryptoError as `openCompact`; `crypto.inner_key_missing`, `crypto.inner_key_unexpected`,
 *   `crypto.context_invalid`
 */
export function openDataKey(
  o: { readonly ciphertext: Uint8Array; readonly outer: Omit<CompactKey, 'keyVersionId'> } & Expected,
): Buffer {
  const layer = openDataKeyLayer({ ciphertext: o.ciphertext, key: o.outer, context: o.context });
  return innermostOf(layer, o);
}

/** `openDataKey` where the system's key stays in a token. @throws CryptoError as `openDataKey`, and what `mac` throws */
export async function openDataKeyRemote(
  o: { readonly ciphertext: Uint8Array; readonly outer: Omit<RemoteCompactKey, 'keyVersionId'> } & Expected,
): Promise<Buffer> {
  const context = dataKeyContext(o.context);
  return innermostOf(layerOf(await openCompactRemote({ ...o.outer, context, ciphertext: o.ciphertext })), o);
}

/** The layers that a caller expects below the outer one. */
interface Expected {
  readonly inner?:
    | Omit<CompactKey, 'keyVersionId'>
    | ((keyVersionId: Uint8Array) => Omit<CompactKey, 'keyVersionId'>)
    | undefined;
  readonly context: EncryptionContext;
}

function innermostOf(layer: DataKeyLayer, o: Expected): Buffer {
  if (layer.dataKey !== undefined) {
    if (o.inner === undefined) return layer.dataKey;
    layer.dataKey.fill(0);
    throw new CryptoError('crypto.inner_key_unexpected');
  }
  if (o.inner === undefined) throw new CryptoError('crypto.inner_key_missing');
  const key = typeof o.inner === 'function' ? o.inner(layer.innerKeyVersionId) : o.inner;
  const innermost = openDataKeyLayer({ ciphertext: layer.inner, key, context: o.context });
  if (innermost.dataKey === undefined) throw new CryptoError('crypto.ciphertext_invalid');
  return innermost.dataKey;
}

/**
 * Moves a data key from one version of the outer key to another, of the same key and place. What is inside, and the key of an
 * inner layer, stays as it is: neither the data key nor whoever holds the inner key takes part.
 *
 * @param o.from the version that `ciphertext` names
 * @param o.context as for `sealDataKey`
 * @returns as long as `ciphertext`
 * @throws CryptoError as `openDataKeyLayer`
 */
export function rewrapDataKey(o: {
  readonly ciphertext: Uint8Array;
  readonly from: Omit<CompactKey, 'keyVersionId'>;
  readonly to: CompactKey;
  readonly context: EncryptionContext;
}): Buffer {
  const { dataKey, inner } = openDataKeyLayer({ ciphertext: o.ciphertext, key: o.from, context: o.context });
  const content = dataKey === undefined ? typed(innerType, inner) : typed(bareType, dataKey);
  try {
    return sealCompact({ ...o.to, context: dataKeyContext(o.context), plaintext: content });
  } finally {
    content.fill(0);
    dataKey?.fill(0);
  }
}

function typed(type: number, value: Uint8Array): Buffer {
  const content = Buffer.alloc(1 + value.length);
  content[0] = type;
  content.set(value, 1);
  return content;
}
