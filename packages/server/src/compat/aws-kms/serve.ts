import type { Input, Operations } from '@trialkeep/contract';
import { AwsError } from './errors.ts';
import { arnOf, isRefusal, keyOf } from './call.ts';
import type { Call } from './call.ts';
import { keyMetadata, kindOf } from './key-metadata.ts';
import type { Members, Served } from './requests.ts';

/** How keys of purpose encrypt encrypt, in the words of the protocol. */
const symmetric = 'SYMMETRIC_DEFAULT';
/** Bytes of a data key, the one length that there is. */
const dataKeyBytes = 32;
/** Bytes of a wrapped data key, under a key of its study or subject too or not (docs/formats/compact.md). */
const wrappedBytes = { alone: 131, withStudy: 230 };
/** The tag that says which system a new key is for. */
const systemTagKey = 'trialkeep:system';

/** Each request of the protocol as operations of ours; they decide. */
export const served: Served = {
  CreateKey: createKey,
  DescribeKey: async (call, { KeyId }) => {
    const { key } = await call.ask('keys.show', { key: keyOf(call, KeyId) });
    return { KeyMetadata: keyMetadata(call, key) };
  },
  ListKeys: listKeys,
  Encrypt: encrypt,
  Decrypt: decrypt,
  GenerateDataKey: async (call, input) => {
    const asked = dataKeyInput(call, input);
    const { plaintext, ciphertext, arn } = await call.ask('keys.generate-data-key', asked);
    return { CiphertextBlob: ciphertext, Plaintext: plaintext, KeyId: arn };
  },
  GenerateDataKeyWithoutPlaintext: async (call, input) => {
    const asked = dataKeyInput(call, input);
    const { ciphertext, arn } = await call.ask('keys.generate-wrapped-data-key', asked);
    return { CiphertextBlob: ciphertext, KeyId: arn };
  },
  ReEncrypt: reEncrypt,
};

async function createKey(call: Call, input: Members<'CreateKey'>): Promise<object> {
  const { Description, KeySpec = symmetric, KeyUsage = 'ENCRYPT_DECRYPT', Origin = 'AWS_KMS' } = input;
  if (Origin !== 'AWS_KMS') {
    throw new AwsError('UnsupportedOperationException', 'Key material is made here: Origin is AWS_KMS.');
  }
  const key = await call.ask('keys.create', {
    system: systemOf(input.Tags),
    ...kindOf(KeySpec, KeyUsage),
    ...(Description !== undefined && Description !== '' && { description: Description }),
  });
  return { KeyMetadata: keyMetadata(call, key) };
}

/** A key belongs to one system for good; the protocol has no other word to say which. */
function systemOf(tags: Members<'CreateKey'>['Tags'] = []): string {
  const [tag] = tags;
  if (tag === undefined || tags.length > 1 || tag.TagKey !== systemTagKey) {
    throw new AwsError('TagException', `One tag, ${systemTagKey}, says which system the key is for.`);
  }
  return tag.TagValue;
}

async function listKeys(call: Call, { Limit, Marker }: Members<'ListKeys'>): Promise<object> {
  const page = {
    ...(Limit !== undefined && { limit: Limit }),
    ...(Marker !== undefined && { cursor: Marker }),
  };
  const { keys, next } = await call.ask('inventory.find', page).catch((error: unknown) => {
    const isMarker = isRefusal(error, 'request.invalid') && (error as { field?: string }).field === '/cursor';
    throw isMarker
      ? new AwsError('InvalidMarkerException', 'Marker is not the NextMarker of a page.')
      : error;
  });
  return {
    Keys: keys
      .filter(({ state }) => state !== 'destroyed')
      .map(({ id, arn }) => ({ KeyId: id, KeyArn: arn })),
    Truncated: next !== null,
    ...(next !== null && { NextMarker: next }),
  };
}

async function encrypt(call: Call, input: Members<'Encrypt'>): Promise<object> {
  requireSymmetric(input.EncryptionAlgorithm);
  const { ciphertext, key } = await call.ask('keys.encrypt', {
    key: keyOf(call, input.KeyId),
    plaintext: input.Plaintext,
    ...contextOf(input.EncryptionContext),
  });
  return { CiphertextBlob: ciphertext, KeyId: arnOf(call, key), EncryptionAlgorithm: symmetric };
}

async function decrypt(call: Call, input: Members<'Decrypt'>): Promise<object> {
  requireSymmetric(input.EncryptionAlgorithm);
  const { CiphertextBlob: ciphertext, KeyId, EncryptionContext } = input;
  const asked = {
    key: KeyId === undefined ? await identified(call, ciphertext) : keyOf(call, KeyId),
    ciphertext,
    ...contextOf(EncryptionContext),
  };
  const { plaintext, key } = await open(call, asked).catch((error: unknown) =>
    blame(call, asked, KeyId !== undefined, error),
  );
  return { KeyId: arnOf(call, key), Plaintext: plaintext, EncryptionAlgorithm: symmetric };
}

/**
 * The protocol has one Decrypt for what Encrypt and GenerateDataKey returned; here they are told apart, and a ciphertext does not say which
 * it is. What is as long as a wrapped data key is taken for one first, also under a use-logged key, which opens none here.
 */
async function open(
  { ask }: Call,
  input: Input<Operations['keys.decrypt']>,
): Promise<{ readonly plaintext: string; readonly key: string }> {
  const hasStudy = input.context !== undefined && Object.hasOwn(input.context, 'study');
  const bytes = Buffer.byteLength(input.ciphertext, 'base64');
  if (bytes !== (hasStudy ? wrappedBytes.withStudy : wrappedBytes.alone)) return ask('keys.decrypt', input);
  try {
    return await ask('keys.decrypt-data-key', input);
  } catch (error) {
    const isUseLogged = isRefusal(error, 'key.use_logged');
    if (!isUseLogged && !isRefusal(error, 'ciphertext.invalid')) throw error;
    return ask('keys.decrypt', input).catch((second: unknown) => {
      throw isUseLogged && isRefusal(second, 'ciphertext.invalid') ? error : second;
    });
  }
}

/** The key that opens a ciphertext whose request names none. */
async function identified({ ask }: Call, ciphertext: string): Promise<string> {
  try {
    return (await ask('keys.identify', { ciphertext })).key;
  } catch (error) {
    if (!isRefusal(error, 'key.unknown')) throw error;
    throw new AwsError(
      'InvalidCiphertextException',
      'No key that the caller may use has made this ciphertext.',
    );
  }
}

/** A ciphertext that does not open under the key that was named may be another key's: then that is what to say. */
async function blame(
  call: Call,
  { key, ciphertext }: { readonly key: string; readonly ciphertext: string },
  isNamed: boolean,
  error: unknown,
): Promise<never> {
  if (!isNamed || !isRefusal(error, 'ciphertext.invalid')) throw error;
  const other = await call.ask('keys.identify', { ciphertext }).catch(() => undefined);
  if (other === undefined || other.key === key) throw error;
  throw new AwsError('IncorrectKeyException', 'The ciphertext was made under another key.');
}

function dataKeyInput(
  call: Call,
  { KeyId, KeySpec, NumberOfBytes, EncryptionContext }: Members<'GenerateDataKey'>,
): Input<Operations['keys.generate-data-key']> {
  if ((KeySpec === undefined) === (NumberOfBytes === undefined)) {
    throw new AwsError(
      'ValidationException',
      'One of KeySpec and NumberOfBytes says how long the data key is.',
    );
  }
  if (KeySpec !== undefined ? KeySpec !== 'AES_256' : NumberOfBytes !== dataKeyBytes) {
    throw new AwsError('UnsupportedOperationException', 'Data keys have 256 bits here.');
  }
  return { key: keyOf(call, KeyId), ...contextOf(EncryptionContext) };
}

async function reEncrypt(call: Call, input: Members<'ReEncrypt'>): Promise<object> {
  requireSymmetric(input.SourceEncryptionAlgorithm);
  requireSymmetric(input.DestinationEncryptionAlgorithm);
  const { CiphertextBlob: ciphertext, SourceKeyId, DestinationEncryptionContext } = input;
  const target = keyOf(call, input.DestinationKeyId);
  const key = SourceKeyId === undefined ? await identified(call, ciphertext) : keyOf(call, SourceKeyId);
  const answer = await call
    .ask('keys.re-encrypt', {
      key,
      ciphertext,
      ...contextOf(input.SourceEncryptionContext),
      target,
      ...(DestinationEncryptionContext !== undefined && { targetContext: DestinationEncryptionContext }),
    })
    .catch((error: unknown) => blame(call, { key, ciphertext }, SourceKeyId !== undefined, error));
  return {
    CiphertextBlob: answer.ciphertext,
    SourceKeyId: arnOf(call, answer.key),
    KeyId: arnOf(call, answer.target),
    SourceEncryptionAlgorithm: symmetric,
    DestinationEncryptionAlgorithm: symmetric,
  };
}

function contextOf(context: Readonly<Record<string, string>> | undefined) {
  return context === undefined ? {} : { context };
}

function requireSymmetric(algorithm: string | undefined): void {
  if (algorithm !== undefined && algorithm !== symmetric) {
    throw new AwsError(
      'UnsupportedOperationException',
      `${symmetric} is the encryption algorithm that is served here.`,
    );
  }
}
