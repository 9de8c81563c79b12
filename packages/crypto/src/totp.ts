import { createHmac, type KeyObject } from 'node:crypto';
import { encodeBase32 } from './base32.ts';
import { requireSymmetricKey } from './checks.ts';
import { CryptoError } from './errors.ts';
import { generateKey } from './registry.ts';
import { equalSecrets } from './secrets.ts';

/**
 * One-time codes by time (RFC 6238): HMAC-SHA-1, 6 digits, steps of 30 seconds from the Unix epoch, the one set
 * of parameters that every authenticator app takes.
 */
const digits = 6;
const stepSeconds = 30;
const maximumWindow = 10;
const maximumLabelCharacters = 200;
const codePattern = /^[0-9]{6}$/;

/** A fresh secret of an authenticator, 256 bits; it is stored wrapped (kind `authenticator`). */
export function generateTotpSecret(): KeyObject {
  return generateKey('HMAC_SHA_1');
}

/**
 * The time step of a moment (RFC 6238 section 4.2).
 *
 * @param timeMs milliseconds since the Unix epoch, at least 0
 * @throws CryptoError `crypto.argument_invalid`
 */
export function totpStep(timeMs: number): number {
  if (!Number.isFinite(timeMs) || timeMs < 0) throw new CryptoError('crypto.argument_invalid', 'timeMs');
  return Math.floor(timeMs / 1000 / stepSeconds);
}

/**
 * Checks a code against the steps around a moment. The time taken does not depend on the code or on which step
 * it is of.
 *
 * @param o.secret 256 bits
 * @param o.code what the person typed; anything but six digits is not accepted
 * @param o.timeMs milliseconds since the Unix epoch
 * @param o.lastStep the step that was accepted last, `undefined` if none was. Only later ones are accepted, so
 *   that a code serves once (RFC 6238 section 5.2): the caller stores the result in the transaction that lets
 *   the person in
 * @param o.window steps accepted before and after the present one, 0 to 10; 1 by default (section 5.2)
 * @returns the accepted step, or `undefined`
 * @throws CryptoError `crypto.key_unsuitable`, `crypto.argument_invalid`
 */
export function verifyTotp(o: {
  readonly secret: KeyObject;
  readonly code: string;
  readonly timeMs: number;
  readonly lastStep: number | undefined;
  readonly window?: number;
}): number | undefined {
  const { secret, code, lastStep = -1, window = 1 } = o;
  requireSymmetricKey(secret);
  if (!Number.isInteger(window) || window < 0 || window > maximumWindow) {
    throw new CryptoError('crypto.argument_invalid', `window must be 0 to ${maximumWindow}`);
  }
  if (!Number.isInteger(lastStep)) throw new CryptoError('crypto.argument_invalid', 'lastStep');
  const present = totpStep(o.timeMs);
  if (!codePattern.test(code)) return undefined;

  const given = Buffer.from(code, 'latin1');
  let accepted: number | undefined;
  // In rising order: should two steps have the same code, the later is used up, or it would serve twice.
  for (let step = Math.max(0, present - window); step <= present + window; step += 1) {
    const equal = equalSecrets(given, Buffer.from(hotp(secret, step, digits), 'latin1'));
    if (equal && step > lastStep) accepted = step;
  }
  return accepted;
}

/**
 * The URI that an authenticator app reads from a QR code (the Key Uri Format of Google Authenticator, which
 * the others took over). It holds the secret: show it once, and neither store nor log it.
 *
 * @param o.secret 256 bits
 * @param o.issuer whom the account is with, and `o.account` whose it is: 1 to 200 characters, no colon or
 *   control character
 * @throws CryptoError `crypto.key_unsuitable`, `crypto.argument_invalid`
 */
export function totpUri(o: {
  readonly secret: KeyObject;
  readonly issuer: string;
  readonly account: string;
}): string {
  requireSymmetricKey(o.secret);
  const issuer = encodeLabel(o.issuer, 'issuer');
  const account = encodeLabel(o.account, 'account');
  const bytes = o.secret.export();
  const secret = encodeBase32(bytes);
  bytes.fill(0);
  const parameters = `secret=${secret}&issuer=${issuer}&algorithm=SHA1&digits=${digits}&period=${stepSeconds}`;
  return `otpauth://totp/${issuer}:${account}?${parameters}`;
}

/** The code of a counter (RFC 4226 section 5.3), `codeDigits` decimal digits, 6 to 8. */
export function hotp(secret: KeyObject, counter: number, codeDigits: number): string {
  const message = Buffer.alloc(8);
  message.writeBigUInt64BE(BigInt(counter));
  const mac = createHmac('sha1', secret).update(message).digest();
  const offset = mac.readUInt8(mac.length - 1) & 0x0f;
  const truncated = mac.readUInt32BE(offset) & 0x7fffffff;
  return String(truncated % 10 ** codeDigits).padStart(codeDigits, '0');
}

function encodeLabel(text: string, name: string): string {
  const suitable =
    text.length > 0 &&
    text.length <= maximumLabelCharacters &&
    text.isWellFormed() &&
    !/[:\p{Cc}]/u.test(text);
  if (!suitable) throw new CryptoError('crypto.argument_invalid', name);
  return encodeURIComponent(text);
}
