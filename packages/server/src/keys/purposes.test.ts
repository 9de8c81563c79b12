/** Every kind of key against every use of keys: what the table allows comes back, everything else is refused and recorded. */
import assert from 'node:assert/strict';
import { createPublicKey, encapsulate, generateKeyPairSync, publicEncrypt } from 'node:crypto';
import { before, test } from 'node:test';
import { keyAlgorithm, keyAlgorithms } from '@trialkeep/crypto';
import type { OperationId } from '@trialkeep/contract';
import { makeService, makeTenant, refusal, shareServer } from '../fixture.test.ts';
import type { TestServer } from '../fixture.test.ts';
import { wire } from '../wire.ts';
import { isTaken, keyUsage } from './purposes.ts';
import type { KeyUses } from './purposes.ts';

const shared = shareServer();
const message = Buffer.from('a message').toString('base64');
const context = { class: 'ecg' };
const uses = Object.keys(keyUsage) as KeyUses[];
/** Every pair of algorithm and purpose; RSA of 4,096 bits takes long to make, and differs in nothing here. */
const kinds = Object.entries(keyAlgorithms)
  .filter(([algorithm]) => algorithm !== 'RSA_4096')
  .flatMap(([algorithm, { purposes }]) => purposes.map((purpose) => ({ algorithm, purpose })));

interface Made {
  readonly algorithm: string;
  readonly purpose: string;
  readonly key: string;
}

let server: TestServer;
let tenant: Awaited<ReturnType<typeof makeTenant>>;
let service: string;
const made: Made[] = [];

before(async () => {
  server = await shared();
  tenant = await makeTenant(server);
  for (const kind of kinds) {
    const { id: key } = await create(kind);
    made.push({ ...kind, key });
  }
  service = await makeService(
    server,
    tenant.custodian,
    tenant.system,
    made.map(({ key }) => key),
  );
});

function create({ algorithm, purpose }: { algorithm: string; purpose: string }) {
  const input = {
    system: tenant.system,
    algorithm,
    purpose,
    ...(algorithm === 'RSA_2048' && { legacyReason: 'test' }),
  };
  return server.admit(
    'keys.create',
    tenant.custodian,
    input as Parameters<typeof server.admit<'keys.create'>>[2],
  );
}

const keyOf = (algorithm: string, purpose: string): string =>
  made.find((one) => one.algorithm === algorithm && one.purpose === purpose)?.key ?? assert.fail();

const publicKeyOf = async (key: string, version?: number) => {
  const input = { key, ...(version !== undefined && { version }) };
  const { publicKey } = await server.admit('keys.public-key', service, input);
  return createPublicKey({ key: Buffer.from(publicKey, 'base64'), format: 'der', type: 'spki' });
};

/** What protects, by the purpose, and the input of its reverse. */
async function protectedBy({ key, algorithm, purpose }: Made, who = service): Promise<[KeyUses, object]> {
  const bound = purpose === 'encrypt' ? { context } : {};
  switch (purpose) {
    case 'encrypt':
    case 'decrypt': {
      const { ciphertext, version } = await server.admit('keys.encrypt', who, {
        key,
        plaintext: message,
        ...bound,
      });
      return ['keys.decrypt', { key, ciphertext, version, ...bound }];
    }
    case 'sign': {
      const { signature, version } = await server.admit('keys.sign', who, { key, message });
      return ['keys.verify', { key, message, signature, version }];
    }
    case 'mac': {
      const { mac, version } = await server.admit('keys.generate-mac', who, { key, message });
      return ['keys.verify-mac', { key, message, mac, version }];
    }
    default: {
      const { publicKey: encoded, version } = await server.admit('keys.public-key', who, { key });
      if (algorithm !== 'ML_KEM_768')
        return ['keys.derive-shared-secret', { key, publicKey: encoded, version }];
      const publicKey = createPublicKey({ key: Buffer.from(encoded, 'base64'), format: 'der', type: 'spki' });
      const ciphertext = Buffer.from(encapsulate(publicKey).ciphertext).toString('base64');
      return ['keys.decapsulate', { key, ciphertext, version }];
    }
  }
}

const call = (id: KeyUses, who: string, input: object) =>
  server.admit(id, who, input as never) as Promise<Record<string, unknown>>;

test('each key does what its purpose allows, and it comes back [URS-045] [URS-002]', async () => {
  for (const one of made) {
    const [id, input] = await protectedBy(one);
    const answer = await call(id, service, input);
    assert.equal(answer['key'], one.key);
    assert.equal(answer['version'], 1);
    if ('plaintext' in answer) assert.equal(answer['plaintext'], message);
    else if ('valid' in answer) assert.equal(answer['valid'], true, one.algorithm);
    else assert.ok(Buffer.from(answer['sharedSecret'] as string, 'base64').length >= 32);
  }
});

/** An input that every key could take but for its kind. */
function inputOf(id: KeyUses, key: string): object {
  switch (id) {
    case 'keys.encrypt':
      return { key, plaintext: message };
    case 'keys.re-encrypt':
      return { key, ciphertext: message, target: keyOf('AES_256', 'encrypt') };
    case 'keys.generate-data-key-pair':
    case 'keys.generate-wrapped-data-key-pair':
      return { key, algorithm: 'ED25519' };
    case 'keys.sign':
    case 'keys.generate-mac':
      return { key, message };
    case 'keys.verify':
      return { key, message, signature: message };
    case 'keys.verify-mac':
      return { key, message, mac: message };
    case 'keys.derive-shared-secret':
      return { key, publicKey: message };
    case 'keys.decrypt':
    case 'keys.decrypt-data-key':
    case 'keys.decapsulate':
      return { key, ciphertext: message };
    default:
      return { key };
  }
}

test('each key is refused for every other use, and the refusal is recorded under its name [URS-045] [URS-032]', async () => {
  const wrong = refusal('key.wrong_purpose');
  const expected: [string, string][] = [];
  const before = (await server.entries(tenant.tenant)).length;
  for (const one of made) {
    for (const id of uses.filter((candidate) => !isTaken(keyUsage[candidate], one))) {
      await assert.rejects(
        call(id, service, inputOf(id, one.key)),
        wrong,
        `${id} ${one.algorithm} ${one.purpose}`,
      );
      expected.push([id, one.key]);
    }
  }
  assert.ok(expected.length > 100);
  const entries = (await server.entries(tenant.tenant)).slice(before);
  assert.deepEqual(
    entries.map(({ operation, key, outcome, code }) => [operation, key, outcome, code]),
    expected.map(([id, key]) => [id, key, 'refused', 'key.wrong_purpose']),
  );
});

test('an algorithm has its purposes and no others; the legacy one asks for a reason [URS-045]', async () => {
  const purposes = ['encrypt', 'decrypt', 'sign', 'mac', 'agree'];
  for (const algorithm of Object.keys(keyAlgorithms)) {
    const allowed: readonly string[] = keyAlgorithm(algorithm).purposes;
    if (allowed.length === 0) {
      await assert.rejects(create({ algorithm, purpose: 'sign' }), refusal('request.invalid'));
      continue;
    }
    for (const purpose of purposes.filter((candidate) => !allowed.includes(candidate))) {
      await assert.rejects(create({ algorithm, purpose }), refusal('key.purpose_unsuitable'));
    }
  }
  const { custodian, system } = tenant;
  const legacy = { system, algorithm: 'RSA_2048', purpose: 'sign' } as const;
  await assert.rejects(server.admit('keys.create', custodian, legacy), refusal('key.legacy_reason_required'));
  const unnamed = { system, algorithm: 'ECC_NIST_P256' } as const;
  await assert.rejects(server.admit('keys.create', custodian, unnamed), refusal('key.purpose_unsuitable'));
  const logged = { system, algorithm: 'HMAC_256', useLogged: true } as const;
  await assert.rejects(server.admit('keys.create', custodian, logged), refusal('key.purpose_unsuitable'));
  const key = await server.admit('keys.create', custodian, { system, algorithm: 'HMAC_512' });
  assert.deepEqual([key.algorithm, key.purpose], ['HMAC_512', 'mac']);
});

test('a version that was rotated away verifies and decrypts; the next one protects [URS-003] [URS-045]', async () => {
  for (const one of made.filter(({ algorithm }) => algorithm !== 'RSA_3072')) {
    const [id, input] = await protectedBy(one);
    const publicKey = await publicKeyOf(one.key).catch(() => undefined);
    const { version } = await server.admit('keys.rotate', tenant.custodian, { key: one.key });
    assert.equal(version, 2);
    const old = await call(id, service, input);
    assert.equal(old['version'], 1);
    assert.notEqual(old['valid'], false);
    const [again, renewed] = await protectedBy(one);
    assert.equal((await call(again, service, renewed))['version'], 2);
    if ('signature' in renewed) {
      const byOld = await call(again, service, { ...renewed, version: 1 });
      assert.equal(byOld['valid'], false, one.algorithm);
    }
    if (publicKey === undefined) continue;
    assert.ok((await publicKeyOf(one.key, 1)).equals(publicKey));
    assert.ok(!(await publicKeyOf(one.key)).equals(publicKey));
    await assert.rejects(publicKeyOf(one.key, 3), refusal('key.version_unknown'));
  }
});

test('the state of a key stops each use that the table of states forbids, whatever its kind [URS-002]', async () => {
  const { custodian, system } = tenant;
  const reason = 'test';
  const fresh: Made[] = [];
  for (const kind of kinds.filter(({ algorithm }) => !algorithm.startsWith('RSA'))) {
    fresh.push({ ...kind, key: (await create(kind)).id });
  }
  const who = await makeService(
    server,
    custodian,
    system,
    fresh.map(({ key }) => key),
  );
  for (const one of fresh) {
    const [process, input] = await protectedBy(one, who);
    const protect = uses.find((id) => keyUsage[id].kind === 'protect' && isTaken(keyUsage[id], one));
    const attempt = async (code: string): Promise<void> => {
      await assert.rejects(call(process, who, input), refusal(code), `${process} ${one.algorithm}`);
      if (protect !== undefined)
        await assert.rejects(call(protect, who, inputOf(protect, one.key)), refusal(code));
    };
    await server.admit('keys.suspend', custodian, { key: one.key, reason });
    await attempt('key.unusable');
    await server.admit('keys.resume', custodian, { key: one.key, reason });
    await call(process, who, input);
    await server.admit('keys.revoke', custodian, { key: one.key, cause: 'role-change', reason });
    await attempt('key.revoked');
  }
});

test('the public key of a pair goes to whom the key is named to, and to those who read the inventory [URS-012]', async () => {
  const key = keyOf('ED25519', 'sign');
  const other = await makeTenant(server);
  await assert.rejects(server.admit('keys.public-key', other.custodian, { key }), refusal('key.unknown'));
  await assert.rejects(server.admit('keys.public-key', tenant.service, { key }), refusal('key.unknown'));
  const shown = await server.admit('keys.public-key', tenant.custodian, { key });
  assert.deepEqual([shown.algorithm, shown.purpose, shown.state], ['ED25519', 'sign', 'active']);
  const symmetric = { key: keyOf('HMAC_256', 'mac') };
  await assert.rejects(server.admit('keys.public-key', service, symmetric), refusal('key.wrong_purpose'));
});

test('whoever has the public key encrypts; the key decrypts, and binds no context [URS-045]', async () => {
  const key = keyOf('RSA_3072', 'decrypt');
  const publicKey = await publicKeyOf(key);
  const ciphertext = publicEncrypt({ key: publicKey, oaepHash: 'sha256' }, Buffer.from('secret')).toString(
    'base64',
  );
  const { plaintext } = await server.admit('keys.decrypt', service, { key, ciphertext });
  assert.equal(Buffer.from(plaintext, 'base64').toString(), 'secret');
  const bound = { key, ciphertext, context };
  await assert.rejects(server.admit('keys.decrypt', service, bound), refusal('context.invalid'));
  await assert.rejects(
    server.admit('keys.decrypt', service, { key, ciphertext: message }),
    refusal('ciphertext.invalid'),
  );
  const long = { key, plaintext: Buffer.alloc(319).toString('base64') };
  await assert.rejects(server.admit('keys.encrypt', service, long), refusal('request.too_large'));
});

test('what is to be signed is given in one form that the algorithm takes [URS-045]', async () => {
  const [ecdsa, rsa] = [keyOf('ECC_NIST_P384', 'sign'), keyOf('RSA_3072', 'sign')];
  const invalid = refusal('signature.input_invalid');
  const digest = Buffer.alloc(32, 1).toString('base64');
  const sign = (input: object) => call('keys.sign', service, input);
  await assert.rejects(sign({ key: ecdsa }), invalid);
  await assert.rejects(sign({ key: rsa, message, digest }), invalid);
  await assert.rejects(sign({ key: ecdsa, digest }), invalid);
  await assert.rejects(sign({ key: rsa, digest: message }), invalid);
  await assert.rejects(sign({ key: rsa, message, encoding: 'der' }), invalid);
  const unsuitable = refusal('signature.algorithm_unsuitable');
  await assert.rejects(sign({ key: ecdsa, message, algorithm: 'ECDSA_SHA_256' }), unsuitable);
  const longer = Buffer.alloc(4097).toString('base64');
  await assert.rejects(sign({ key: ecdsa, message: longer }), refusal('request.too_large'));
  const mac = { key: keyOf('HMAC_256', 'mac'), message: longer };
  await assert.rejects(server.admit('keys.generate-mac', service, mac), refusal('request.too_large'));
  const made = await sign({ key: rsa, digest });
  assert.deepEqual([made['algorithm'], made['version']], ['RSASSA_PSS_SHA_256', 1]);
  const wide = await sign({ key: rsa, message, algorithm: 'RSASSA_PSS_SHA_512' });
  assert.equal(wide['algorithm'], 'RSASSA_PSS_SHA_512');
});

test('another side of another kind is refused, and says so [URS-045]', async () => {
  const key = keyOf('X25519', 'agree');
  const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey;
  const publicKey = p256.export({ format: 'der', type: 'spki' }).toString('base64');
  await assert.rejects(
    server.admit('keys.derive-shared-secret', service, { key, publicKey }),
    refusal('agreement.public_key_unsuitable'),
  );
});

test('random bytes are as many as were asked for, and other ones each time [URS-001]', async () => {
  const ask = async (bytes: number) => (await server.admit('random.generate', service, { bytes })).random;
  assert.equal(Buffer.from(await ask(1024), 'base64').length, 1024);
  assert.notEqual(await ask(32), await ask(32));
  await assert.rejects(ask(1025), refusal('request.invalid'));
});

test('under the regulated profile no unapproved key is made, for nobody [URS-045] [URS-085]', async () => {
  const { instance, clock } = server;
  const configuration = { ...instance.configuration, profile: 'regulated' as const };
  const notes = { info: () => undefined, warn: () => undefined, error: () => undefined };
  const { gate } = wire({ ...instance, configuration }, { clock, notes });
  const ask = (operation: OperationId, secret: string, input: object) =>
    gate.admit({
      operation,
      authorization: `Bearer ${secret}`,
      input,
      source: '192.0.2.1',
      requestId: 'request',
    });
  const key = keyOf('AES_256', 'encrypt');
  const unapproved = refusal('key.algorithm_unapproved');
  const { custodian, system } = tenant;
  await assert.rejects(ask('keys.create', custodian, { system, algorithm: 'X25519' }), unapproved);
  for (const id of ['keys.generate-data-key-pair', 'keys.generate-wrapped-data-key-pair'] as const) {
    await assert.rejects(ask(id, service, { key, algorithm: 'X25519', context }), unapproved);
    await ask(id, service, { key, algorithm: 'ECC_NIST_P256', context });
  }
});
