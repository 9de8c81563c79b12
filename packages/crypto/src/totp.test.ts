import assert from 'node:assert/strict';
import { createSecretKey, generateKeySync } from 'node:crypto';
import { test } from 'node:test';
import { withCode } from './fixture.test.ts';
import { generateKey, generateTotpSecret, totpStep, totpUri, verifyTotp } from './index.ts';
import { hotp } from './totp.ts';

const rfcSecret = createSecretKey(Buffer.from('12345678901234567890'));
const secret = createSecretKey(Buffer.from(Array.from({ length: 32 }, (_, i) => i)));
const timeMs = 2_000_000_000_000;
const step = 66_666_666;

test('HOTP: the values of RFC 4226 appendix D', () => {
  const codes = [
    '755224',
    '287082',
    '359152',
    '969429',
    '338314',
    '254676',
    '287922',
    '162583',
    '399871',
    '520489',
  ];
  assert.deepEqual(
    codes.map((_, counter) => hotp(rfcSecret, counter, 6)),
    codes,
  );
});

test('TOTP: the SHA-1 values of RFC 6238 appendix B', () => {
  for (const [timeSeconds, stepHex, code] of [
    [59, '1', '94287082'],
    [1_111_111_109, '23523EC', '07081804'],
    [1_111_111_111, '23523ED', '14050471'],
    [1_234_567_890, '273EF07', '89005924'],
    [2_000_000_000, '3F940AA', '69279037'],
    [20_000_000_000, '27BC86AA', '65353130'],
  ] as const) {
    const expected = Number.parseInt(stepHex, 16);
    assert.equal(totpStep(timeSeconds * 1000), expected);
    assert.equal(hotp(rfcSecret, expected, 8), code);
    assert.equal(hotp(rfcSecret, expected, 6), code.slice(2));
  }
});

test('a step begins every 30 seconds', () => {
  assert.deepEqual([0, 29_999, 30_000, 59_999.9, 60_000].map(totpStep), [0, 0, 1, 1, 2]);
  for (const time of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(() => totpStep(time), withCode('crypto.argument_invalid'));
  }
});

test('a known code of a 256-bit secret, computed by a second implementation', () => {
  assert.equal(verifyTotp({ secret, code: '440276', timeMs, lastStep: undefined }), step);
});

test('codes of the window are accepted, and no others', () => {
  for (const window of [undefined, 0, 1, 2]) {
    const accepted = window ?? 1;
    for (let distance = -4; distance <= 4; distance += 1) {
      const code = hotp(secret, step + distance, 6);
      const o = { secret, code, timeMs, lastStep: undefined, ...(window === undefined ? {} : { window }) };
      assert.equal(verifyTotp(o), Math.abs(distance) <= accepted ? step + distance : undefined);
    }
  }
});

test('a code serves once, and none before it does afterwards', () => {
  const codes = [step - 1, step, step + 1].map((each) => hotp(secret, each, 6));
  const accepted = (lastStep: number) => codes.map((code) => verifyTotp({ secret, code, timeMs, lastStep }));
  assert.deepEqual(accepted(step - 2), [step - 1, step, step + 1]);
  assert.deepEqual(accepted(step - 1), [undefined, step, step + 1]);
  assert.deepEqual(accepted(step), [undefined, undefined, step + 1]);
  assert.deepEqual(accepted(step + 1), [undefined, undefined, undefined]);
});

test('where two steps of the window have one code, it serves once all the same', () => {
  const [earlier, later] = [346_235, 346_236];
  const code = hotp(secret, later, 6);
  assert.equal(hotp(secret, earlier, 6), code);
  const o = { secret, code, timeMs: later * 30_000 };
  assert.equal(verifyTotp({ ...o, lastStep: undefined }), later);
  assert.equal(verifyTotp({ ...o, lastStep: earlier }), later);
  assert.equal(verifyTotp({ ...o, lastStep: later }), undefined);
});

test('steps before the epoch do not exist', () => {
  const code = hotp(secret, 0, 6);
  assert.equal(verifyTotp({ secret, code, timeMs: 0, lastStep: undefined, window: 10 }), 0);
  assert.equal(verifyTotp({ secret, code, timeMs: 0, lastStep: 0 }), undefined);
});

test('what is not six digits is no code', () => {
  for (const code of [
    '',
    '44027',
    '4402760',
    ' 440276',
    '440276\n',
    '44027६',
    '４４０２７６',
    '4402.6',
    '-40276',
  ]) {
    assert.equal(verifyTotp({ secret, code, timeMs, lastStep: undefined }), undefined);
  }
});

test('unsuitable secrets, windows and steps are refused', () => {
  const o = { secret, code: '440276', timeMs, lastStep: undefined };
  for (const unsuitable of [rfcSecret, generateKeySync('aes', { length: 128 }), generateKey('ED25519')]) {
    assert.throws(() => verifyTotp({ ...o, secret: unsuitable }), withCode('crypto.key_unsuitable'));
    assert.throws(
      () => totpUri({ secret: unsuitable, issuer: 'a', account: 'b' }),
      withCode('crypto.key_unsuitable'),
    );
  }
  for (const window of [-1, 11, 0.5, Number.NaN]) {
    assert.throws(() => verifyTotp({ ...o, window }), withCode('crypto.argument_invalid'));
  }
  assert.throws(() => verifyTotp({ ...o, lastStep: Number.NaN }), withCode('crypto.argument_invalid'));
});

test('the key URI carries secret, issuer and account', () => {
  const base32 = 'AAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQTCQKRMFYYDENBWHA5DYPQ';
  const uri = totpUri({ secret, issuer: 'Trialkeep & Söhne', account: 'a+b/c?d=e#f%@example.org' });
  assert.equal(
    uri,
    'otpauth://totp/Trialkeep%20%26%20S%C3%B6hne:a%2Bb%2Fc%3Fd%3De%23f%25%40example.org' +
      `?secret=${base32}&issuer=Trialkeep%20%26%20S%C3%B6hne&algorithm=SHA1&digits=6&period=30`,
  );
  const { pathname, searchParams } = new URL(uri);
  assert.equal(decodeURIComponent(pathname), '/Trialkeep & Söhne:a+b/c?d=e#f%@example.org');
  assert.equal(searchParams.get('secret'), base32);
  assert.equal(searchParams.get('issuer'), 'Trialkeep & Söhne');
});

test('a label that would be read otherwise is refused', () => {
  for (const text of ['', 'a:b', 'a\nb', 'a\0', '\ud800', 'a'.repeat(201)]) {
    assert.throws(() => totpUri({ secret, issuer: text, account: 'b' }), withCode('crypto.argument_invalid'));
    assert.throws(() => totpUri({ secret, issuer: 'a', account: text }), withCode('crypto.argument_invalid'));
  }
});

test('secrets of authenticators are 256 random bits', () => {
  const [a, b] = [generateTotpSecret(), generateTotpSecret()];
  assert.equal(a.symmetricKeySize, 32);
  assert.ok(!a.equals(b));
});
