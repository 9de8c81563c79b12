/** A token that does all of RSAES-OAEP itself, which SoftHSM does not: only what it answers is made up. */
import assert from 'node:assert/strict';
import { constants, privateDecrypt } from 'node:crypto';
import { test } from 'node:test';
import { encryptOaep, generateKeyMaterial, parsePublicKey } from '@trialkeep/crypto';
import { TokenObjects } from './token-objects.ts';
import type { Token } from './token.ts';

const object = { id: Buffer.alloc(16, 7), label: 'trialkeep key' };
/** Every constant of the interface is a number of its own. */
const numbers = new Map<string, number>();
const binding = new Proxy<Record<string, number>>(
  {},
  {
    get: (_, name) =>
      numbers.get(String(name)) ?? numbers.set(String(name), numbers.size + 1).get(String(name)),
  },
);
const failure = (code: number | undefined): Error =>
  Object.assign(new Error('CKR'), { name: 'Pkcs11Error', code });

test('a token that does OAEP under SHA-256 does all of it; its words for a wrong ciphertext are one error [URS-014]', async () => {
  const { secret, publicKey } = await generateKeyMaterial('RSA_2048');
  assert.ok(publicKey);
  const oaep = { key: secret, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' };
  const { n = '' } = parsePublicKey('RSA_2048', publicKey).export({ format: 'jwk' });
  const modulus = Buffer.from(n, 'base64url');
  const mechanisms: unknown[] = [];
  let answer = (input: Buffer): Buffer => privateDecrypt(oaep, input);
  const yes = ['CKA_TOKEN', 'CKA_SENSITIVE', 'CKA_ALWAYS_SENSITIVE', 'CKA_NEVER_EXTRACTABLE', 'CKA_LOCAL'];
  const module = {
    C_FindObjectsInit: (_session: unknown, [{ value }]: [{ value: number }]) => void (wanted = value),
    C_FindObjects: () => (wanted === binding['CKO_PRIVATE_KEY'] ? [Buffer.of(1)] : []),
    C_FindObjectsFinal: () => undefined,
    C_GetAttributeValue: (_session: unknown, _key: unknown, types: { type: number }[]) =>
      types.map(({ type }) => {
        if (type === binding['CKA_LABEL']) return { type, value: Buffer.from(object.label) };
        if (type === binding['CKA_MODULUS']) return { type, value: modulus };
        return { type, value: Buffer.of(yes.some((name) => binding[name] === type) ? 1 : 0) };
      }),
    C_DecryptInit: (_session: unknown, { mechanism }: { mechanism: number }) => mechanisms.push(mechanism),
    C_DecryptAsync: async (_session: unknown, input: Buffer) => answer(input),
  };
  let wanted: number | undefined;
  const connection = { slot: Buffer.of(0), free: [], key: undefined, objects: new Map<string, Buffer>() };
  const token = {
    binding,
    module,
    withSession: (work: (...lent: unknown[]) => unknown) => work(Buffer.of(2), connection),
  } as unknown as Token;
  const objects = new TokenObjects(token);
  const sealed = encryptOaep(parsePublicKey('RSA_2048', publicKey), Buffer.from('a data key'));
  assert.equal(Buffer.from(await objects.decrypt(object, sealed)).toString(), 'a data key');
  assert.deepEqual(mechanisms, [binding['CKM_RSA_PKCS_OAEP']]);
  for (const name of ['CKR_ENCRYPTED_DATA_INVALID', 'CKR_DATA_LEN_RANGE']) {
    answer = () => {
      throw failure(binding[name]);
    };
    await assert.rejects(objects.decrypt(object, sealed), { code: 'root.wrong' });
  }
  // Whatever else it says of one ciphertext, while it opens another.
  for (const name of ['CKR_GENERAL_ERROR', 'CKR_FUNCTION_FAILED', 'CKR_ARGUMENTS_BAD']) {
    answer = (input) => {
      if (input.equals(sealed)) throw failure(binding[name]);
      return privateDecrypt(oaep, input);
    };
    await assert.rejects(objects.decrypt(object, sealed), { code: 'root.wrong' }, name);
    answer = () => {
      throw failure(binding[name]);
    };
    await assert.rejects(objects.decrypt(object, sealed), { code: binding[name] }, name);
  }
  const away = failure(binding['CKR_DEVICE_REMOVED']);
  answer = () => {
    throw away;
  };
  await assert.rejects(objects.decrypt(object, sealed), away);
});
