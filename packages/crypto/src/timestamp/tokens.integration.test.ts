import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { opensslMissing } from '../../../../tools/self-signed.ts';
import { TestAuthority, otherTestPolicy, testPolicy } from '../../../../tools/timestamp-authority.ts';
import type { AuthorityOptions } from '../../../../tools/timestamp-authority.ts';
import { CryptoError } from '../errors.ts';
import type { CryptoErrorCode } from '../errors.ts';
import { contextTag, encodeElement, encodeOid, tags } from './der.ts';
import { formatTimestampRequest, parseTimestampResponse, formatTimestampResponse } from './request.ts';
import { parseCertificates } from './certificate.ts';
import { verifyTimestamp } from './verify.ts';
import type { TimestampExpectation } from './verify.ts';

const skip = opensslMissing;
const data = Buffer.from('the note of a checkpoint\n');
const nonce = Buffer.from('00ff0102030405060708090a0b0c0d0e', 'hex');

const made: TestAuthority[] = [];
after(() => made.forEach((each) => each.remove()));
function authority(options?: AuthorityOptions): TestAuthority {
  const each = new TestAuthority(options);
  made.push(each);
  return each;
}
let usual: TestAuthority | undefined;
const shared = (): TestAuthority => (usual ??= authority());

const digestOf = (hash: 'SHA-256' | 'SHA-384' | 'SHA-512'): Buffer =>
  createHash(hash.replace('-', '').toLowerCase()).update(data).digest();

function ask(
  by: TestAuthority,
  hash: 'SHA-256' | 'SHA-384' | 'SHA-512' = 'SHA-256',
  policy?: string,
): Uint8Array {
  const question = { hash, digest: digestOf(hash), nonce, ...(policy !== undefined && { policy }) };
  return parseTimestampResponse(by.reply(formatTimestampRequest(question)));
}

const expectation = (by: TestAuthority, more: Partial<TimestampExpectation> = {}): TimestampExpectation => ({
  data,
  roots: parseCertificates(by.rootPem),
  ...more,
});

function refused(promise: Promise<unknown>, code: CryptoErrorCode): Promise<void> {
  return assert.rejects(promise, (error) => {
    assert.ok(error instanceof CryptoError, String(error));
    assert.equal(error.code, code, error.message);
    return true;
  });
}

for (const key of ['RSA-2048', 'RSA-3072', 'RSA-4096', 'P-256', 'P-384'] as const) {
  test(
    `a token by an authority with ${key} verifies, also with RSASSA-PSS, and OpenSSL agrees [URS-035]`,
    { skip },
    async () => {
      const by = authority({ key, digest: key === 'P-384' ? 'sha384' : 'sha256' });
      const token = ask(by, 'SHA-512');
      const found = await verifyTimestamp(token, expectation(by, { nonce, hash: 'SHA-512' }));
      assert.ok(Math.abs(found.time - Date.now()) < 60_000);
      assert.deepEqual(
        { ...found, time: 0, serial: '' },
        {
          time: 0,
          serial: '',
          accuracyMs: 1501,
          policy: testPolicy,
          hash: 'SHA-512',
          authority: 'Test signer',
        },
      );
      assert.equal(by.accepts(token, data), true);
      if (!key.startsWith('RSA')) return;
      const pss = by.sign(info(), { pss: true });
      assert.equal((await verifyTimestamp(pss, expectation(by))).time % 1000, 250);
      await refused(verifyTimestamp(pss, expectation(by, { data: nonce })), 'crypto.timestamp_imprint');
    },
  );
}

/** The present second as a GeneralizedTime, without its end. */
const presentSecond = (): string => new Date().toISOString().replace(/\D/g, '').slice(0, 14);

/** TSTInfo with any part in the place of the usual one. */
function info(
  parts: Partial<Record<'version' | 'policy' | 'imprint' | 'serial' | 'time' | 'rest', Uint8Array>> = {},
) {
  const sha256 = encodeElement(tags.sequence, encodeOid('2.16.840.1.101.3.4.2.1'));
  return encodeElement(
    tags.sequence,
    parts.version ?? encodeElement(tags.integer, Uint8Array.of(1)),
    parts.policy ?? encodeOid(testPolicy),
    parts.imprint ??
      encodeElement(tags.sequence, sha256, encodeElement(tags.octetString, digestOf('SHA-256'))),
    parts.serial ?? encodeElement(tags.integer, Uint8Array.of(7)),
    parts.time ?? encodeElement(tags.generalizedTime, Buffer.from(`${presentSecond()}.25Z`)),
    parts.rest ?? new Uint8Array(),
  );
}

test('what a token may leave out, and what it may say, is read [URS-035]', { skip }, async () => {
  const by = shared();
  const plain = await verifyTimestamp(by.sign(info()), expectation(by));
  assert.equal(plain.accuracyMs, undefined);
  const micros = encodeElement(tags.sequence, encodeElement(contextTag(1, 'primitive'), Uint8Array.of(1)));
  const found = await verifyTimestamp(by.sign(info({ rest: micros })), expectation(by, { maxAccuracyMs: 1 }));
  assert.equal(found.accuracyMs, 1);
  const byKeyId = by.sign(info(), { arguments: ['-cades', '-keyid'] });
  assert.equal((await verifyTimestamp(byKeyId, expectation(by))).authority, 'Test signer');
});

test(
  'a signed token that is not of RFC 3161 is refused, whatever part it is [URS-035]',
  { skip },
  async () => {
    const by = shared();
    const time = (text: string): Uint8Array => encodeElement(tags.generalizedTime, Buffer.from(text));
    const accuracy = (...parts: Uint8Array[]): Uint8Array => encodeElement(tags.sequence, ...parts);
    const critical = encodeElement(
      tags.sequence,
      encodeOid('1.2.3.4'),
      encodeElement(tags.boolean, Uint8Array.of(0xff)),
      encodeElement(tags.octetString),
    );
    const bad: Parameters<typeof info>[0][] = [
      { version: encodeElement(tags.integer, Uint8Array.of(2)) },
      { serial: encodeElement(tags.integer, Uint8Array.of(0x80)) },
      { serial: encodeElement(tags.integer, Uint8Array.of(0, 1)) },
      { serial: encodeElement(tags.integer, new Uint8Array(21).fill(1)) },
      ...[
        '20261122120000',
        '20261122120000.250Z',
        '20261322120000Z',
        '20260229120000Z',
        '202611221200Z',
        '20261122120000+0100',
      ].map((text) => ({ time: time(text) })),
      { rest: accuracy(encodeElement(contextTag(0, 'primitive'), Uint8Array.of(0))) },
      { rest: accuracy(encodeElement(contextTag(0, 'primitive'), Uint8Array.of(0x03, 0xe8))) },
      { rest: encodeElement(tags.boolean, Uint8Array.of(0)) },
      { rest: encodeElement(contextTag(1), critical) },
      { rest: encodeElement(tags.null) },
    ];
    for (const parts of bad) {
      await refused(verifyTimestamp(by.sign(info(parts)), expectation(by)), 'crypto.timestamp_malformed');
    }
  },
);

test(
  'a token is of the data, the nonce, the policy and the accuracy that were asked for, or refused [URS-035]',
  { skip },
  async () => {
    const by = shared();
    const token = ask(by);
    const checks: [Partial<TimestampExpectation>, CryptoErrorCode | undefined][] = [
      [{ nonce, policies: [testPolicy], maxAccuracyMs: 1501, hash: 'SHA-256' }, undefined],
      [{ data: Buffer.from('other') }, 'crypto.timestamp_imprint'],
      [{ hash: 'SHA-512' }, 'crypto.timestamp_imprint'],
      [{ nonce: randomBytes(16) }, 'crypto.timestamp_nonce'],
      [{ policies: [otherTestPolicy] }, 'crypto.timestamp_policy'],
      [{ maxAccuracyMs: 1500 }, 'crypto.timestamp_accuracy'],
      [{ roots: [] }, 'crypto.timestamp_untrusted'],
    ];
    for (const [more, code] of checks) {
      const verifying = verifyTimestamp(token, expectation(by, more));
      if (code === undefined) await verifying;
      else await refused(verifying, code);
    }
    const other = ask(by, 'SHA-256', otherTestPolicy);
    assert.equal(
      (await verifyTimestamp(other, expectation(by, { policies: [otherTestPolicy] }))).policy,
      otherTestPolicy,
    );
    const unstated = authority({ inaccurate: true });
    await refused(
      verifyTimestamp(ask(unstated), expectation(unstated, { maxAccuracyMs: 1000 })),
      'crypto.timestamp_accuracy',
    );
    await refused(verifyTimestamp(by.sign(info()), expectation(by, { nonce })), 'crypto.timestamp_nonce');
  },
);

test(
  'a certificate that must not stamp, or not then, or leads to no root, is refused [URS-035]',
  { skip },
  async () => {
    const usage = 'keyUsage=critical,digitalSignature';
    const stamping = 'extendedKeyUsage=critical,timeStamping';
    const certificate = 'crypto.timestamp_certificate';
    const untrusted = 'crypto.timestamp_untrusted';
    const bad: [AuthorityOptions, CryptoErrorCode][] = [
      [{ days: -1 }, certificate],
      [{ extensions: ['extendedKeyUsage=timeStamping', usage] }, certificate],
      [{ extensions: ['extendedKeyUsage=critical,timeStamping,codeSigning', usage] }, certificate],
      [{ extensions: ['extendedKeyUsage=critical,codeSigning', usage] }, certificate],
      [{ extensions: [usage] }, certificate],
      [{ extensions: [stamping, 'keyUsage=critical,digitalSignature,keyEncipherment'] }, certificate],
      [{ extensions: [stamping, usage, '1.2.3.4=critical,DER:0500'] }, certificate],
      [{ between: ['basicConstraints=critical,CA:FALSE'] }, untrusted],
      [{ between: ['keyUsage=critical,keyCertSign'] }, untrusted],
      [{ between: ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,cRLSign'] }, untrusted],
      [{ between: ['basicConstraints=critical,CA:TRUE', 'extendedKeyUsage=serverAuth'] }, untrusted],
      [
        {
          between: [
            'basicConstraints=critical,CA:TRUE',
            'nameConstraints=critical,permitted;DNS:example.org',
          ],
        },
        untrusted,
      ],
    ];
    for (const [options, code] of bad) {
      const by = authority(options);
      const now = Buffer.from(`${presentSecond()}Z`);
      const token = by.sign(info({ time: encodeElement(tags.generalizedTime, now) }));
      await refused(verifyTimestamp(token, expectation(by)), code);
    }
    await refused(
      verifyTimestamp(ask(shared()), { data, roots: parseCertificates(authority().rootPem) }),
      untrusted,
    );
    const weak = authority({ key: 'RSA-1024' });
    await refused(verifyTimestamp(weak.sign(info()), expectation(weak)), 'crypto.timestamp_algorithm');
  },
);

test('a signer or an authority between that is itself configured is a root', { skip }, async () => {
  const by = shared();
  for (const name of ['signer.pem', 'between.pem']) {
    const roots = parseCertificates(readFileSync(by.path(name), 'utf8'));
    await verifyTimestamp(ask(by), { data, roots });
  }
});

test('a token before or after the time of its certificates is refused [URS-035]', { skip }, async () => {
  const by = shared();
  for (const text of ['20200101000000Z', '20400101000000Z']) {
    const token = by.sign(info({ time: encodeElement(tags.generalizedTime, Buffer.from(text)) }));
    await refused(verifyTimestamp(token, expectation(by)), 'crypto.timestamp_certificate');
  }
});

test('a signature without ESSCertIDv2 is refused [URS-035]', { skip }, async () => {
  const by = shared();
  const token = by.sign(info(), { arguments: [] });
  await refused(verifyTimestamp(token, expectation(by)), 'crypto.timestamp_malformed');
});

test('no altered bit of a token goes unnoticed, and none breaks the reader [URS-035]', { skip }, async () => {
  const by = shared();
  const token = ask(by);
  const roots = parseCertificates(by.rootPem);
  const right = await verifyTimestamp(token, { data, roots, nonce });
  const unnoticed: number[] = [];
  for (let at = 0; at < token.length; at++) {
    const altered = Uint8Array.from(token);
    altered[at] = (altered[at] ?? 0) ^ (1 << (at % 8));
    try {
      assert.deepEqual(await verifyTimestamp(altered, { data, roots, nonce }), right);
      unnoticed.push(at);
    } catch (error) {
      assert.ok(error instanceof CryptoError, `${at}: ${String(error)}`);
    }
  }
  assert.deepEqual(unnoticed, []);
});

test('a token whose signature is exchanged for another is refused [URS-035]', { skip }, async () => {
  const by = shared();
  const plain = Buffer.from(by.sign(info()));
  const other = Buffer.from(by.sign(info({ serial: encodeElement(tags.integer, Uint8Array.of(9)) })));
  // The algorithm ecdsa-with-SHA256, the signature behind it; lengths of ECDSA signatures differ by a byte or two.
  const mark = Buffer.from('06082a8648ce3d040302', 'hex');
  const mixed = Buffer.concat([
    plain.subarray(0, plain.lastIndexOf(mark)),
    other.subarray(other.lastIndexOf(mark)),
  ]);
  const code = mixed.length === plain.length ? 'crypto.timestamp_signature' : 'crypto.timestamp_malformed';
  await refused(verifyTimestamp(mixed, expectation(by)), code);
});

test('an answer around a token is read back, and OpenSSL reads it [URS-035]', { skip }, async () => {
  const by = shared();
  const token = ask(by);
  const answer = formatTimestampResponse(token);
  assert.deepEqual(Buffer.from(parseTimestampResponse(answer)), Buffer.from(token));
});

test('a file of roots is certificates and nothing else [URS-011]', { skip }, () => {
  const pem = shared().rootPem;
  assert.equal(parseCertificates(`A root\n${pem}${pem.replaceAll('\n', '\r\n')}`).length, 2);
  const key = readFileSync(shared().path('signer.key'), 'utf8');
  for (const bad of [
    '',
    'text',
    pem.replace('END', 'END '),
    pem + key,
    pem.replace(/M/g, '!'),
    pem.replace(/\n..../, '\n'),
  ]) {
    assert.throws(() => parseCertificates(bad), { code: 'crypto.timestamp_roots_malformed' });
  }
});
