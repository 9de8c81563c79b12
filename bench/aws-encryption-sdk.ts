/**
 * The AWS Encryption SDK for JavaScript as a process of its own, for the measurements beside it. Its key is raw AES, so that neither a
 * network nor a service costs it anything.
 *
 *   node bench/aws-encryption-sdk.ts encrypt|decrypt SOURCE TARGET FRAME_BYTES
 */
import { createReadStream, createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import {
  AlgorithmSuiteIdentifier,
  buildClient,
  CommitmentPolicy,
  RawAesKeyringNode,
  RawAesWrappingSuiteIdentifier,
} from '@aws-crypto/client-node';

const [, , direction, source = '', target = '', frame = '4096'] = process.argv;

const keyring = new RawAesKeyringNode({
  keyName: 'benchmark',
  keyNamespace: 'benchmark',
  // A constant: this measures speed, and keeps nothing secret.
  unencryptedMasterKey: new Uint8Array(32),
  wrappingSuite: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
});
const client = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
const suiteId = AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY;
const step =
  direction === 'encrypt'
    ? client.encryptStream(keyring, { suiteId, frameLength: Number(frame) })
    : client.decryptStream(keyring);
const read = createReadStream(source, { highWaterMark: 1024 * 1024 });
await pipeline(read, step, createWriteStream(target));
