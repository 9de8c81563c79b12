import { createHash, randomBytes } from 'node:crypto';
import { CryptoError } from '../errors.ts';

/** One custodian's part of a shared secret (docs/formats/share.md). */
export type Share = Readonly<{
  /** id of the set, 8 characters of Crockford's alphabet */
  set: string;
  /** how many shares give the secret, 2 to `count` */
  threshold: number;
  /** how many there are, at most 16 */
  count: number;
  /** 1 to `count` */
  index: number;
  /** 32 secret bytes */
  value: Uint8Array;
}>;

/** Bytes of a shared secret, and of what a share holds of it. */
export const sharedSecretBytes = 32;
/** The most shares of a secret. */
export const maximumShares = 16;
/** The longest text that is read as a share, characters: spaces and line ends have room. */
export const maximumShareCharacters = 400;

const setBytes = 5;
const headBytes = setBytes + 2 + sharedSecretBytes;
const checksumBytes = 6;
const shareBytes = headBytes + checksumBytes;
const shareCharacters = (shareBytes * 8) / 5;
const groupCharacters = 4;
const prefix = 'TKS1';
const checksumLabel = Buffer.from('trialkeep/share/v1\0');
const fingerprintLabel = Buffer.from('trialkeep/share-fingerprint/v1\0');
/** https://www.crockford.com/base32.html */
const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** The id of a new set: 40 random bits, 8 characters. */
export function newShareSet(): string {
  return encode(randomBytes(setBytes));
}

/** Whether it is the id of a set. */
export function isShareSet(text: string): boolean {
  return /^[0-9A-HJKMNP-TV-Z]{8}$/.test(text);
}

/** @throws CryptoError `crypto.argument_invalid` unless 2 ≤ threshold ≤ count ≤ 16 */
export function requireShareSizes(threshold: number, count: number): void {
  const isWhole = Number.isInteger(threshold) && Number.isInteger(count);
  if (isWhole && threshold >= 2 && threshold <= count && count <= maximumShares) return;
  throw new CryptoError('crypto.argument_invalid', 'of 2 to 16 shares at least 2 are needed');
}

/** The share as its custodian writes it down: `TKS1-` and 18 groups of four characters. */
export function formatShare(share: Share): string {
  const head = headOf(share);
  const bytes = Buffer.concat([head, checksum(head)]);
  const text = [prefix, ...groupsOf(encode(bytes))].join('-');
  head.fill(0);
  bytes.fill(0);
  return text;
}

/**
 * Reads a share that a person typed. Attacker-controlled.
 *
 * @returns a share whose value the caller zeroes
 * @throws CryptoError `crypto.share_malformed`, `crypto.version_unknown`; `crypto.share_mistyped`, with the group where a
 *   single slip explains it
 */
export function parseShare(text: string): Share {
  if (typeof text !== 'string' || text.length > maximumShareCharacters) throw malformed('length');
  const typed = text.toUpperCase().replaceAll(/[\s-]/g, '');
  const version = /^TKS([0-9])/.exec(typed)?.[1];
  if (version !== undefined && version !== '1' && typed.length > shareCharacters) {
    throw new CryptoError('crypto.version_unknown', `share ${version}`);
  }
  const characters = (typed.length > shareCharacters ? typed.replace(/^TKS1/, '') : typed)
    .replaceAll(/[IL]/g, '1')
    .replaceAll('O', '0');
  if (characters.length !== shareCharacters)
    throw malformed(`${characters.length} characters of ${shareCharacters}`);
  const foreign = characters.search(/[^0-9A-HJKMNP-TV-Z]/);
  if (foreign >= 0) throw malformed(`group ${groupOf(foreign)}`);
  const bytes = decode(characters);
  try {
    if (!isWhole(bytes)) {
      const group = slipIn(characters);
      throw new CryptoError(
        'crypto.share_mistyped',
        group === undefined ? undefined : `look at group ${group}`,
      );
    }
    return readBytes(bytes);
  } finally {
    bytes.fill(0);
  }
}

/** SHA-256 of a share, 64 hexadecimal digits: names it, and tells it from a wrong one, without telling anything of its value. */
export function shareFingerprint(share: Share): string {
  const head = headOf(share);
  const fingerprint = createHash('sha256').update(fingerprintLabel).update(head).digest('hex');
  head.fill(0);
  return fingerprint;
}

/** The bytes of a set's id. @throws CryptoError `crypto.argument_invalid` */
export function shareSetBytes(set: string): Buffer {
  if (!isShareSet(set)) throw new CryptoError('crypto.argument_invalid', 'set');
  return decode(set);
}

function readBytes(bytes: Buffer): Share {
  const sizes = bytes[setBytes] ?? 0;
  const share = {
    set: encode(bytes.subarray(0, setBytes)),
    threshold: (sizes >>> 4) + 1,
    count: (sizes & 15) + 1,
    index: bytes[setBytes + 1] ?? 0,
    value: Uint8Array.from(bytes.subarray(setBytes + 2, headBytes)),
  };
  const { threshold, count, index } = share;
  if (threshold < 2 || threshold > count || index < 1 || index > count) throw malformed('sizes');
  return share;
}

/** All but the checksum. @throws CryptoError `crypto.argument_invalid` */
function headOf({ set, threshold, count, index, value }: Share): Buffer {
  requireShareSizes(threshold, count);
  if (!Number.isInteger(index) || index < 1 || index > count) {
    throw new CryptoError('crypto.argument_invalid', 'index');
  }
  if (value.length !== sharedSecretBytes) throw new CryptoError('crypto.argument_invalid', 'value');
  const sizes = ((threshold - 1) << 4) | (count - 1);
  return Buffer.concat([shareSetBytes(set), Buffer.of(sizes, index), value]);
}

function checksum(head: Uint8Array): Buffer {
  return createHash('sha256').update(checksumLabel).update(head).digest().subarray(0, checksumBytes);
}

function isWhole(bytes: Buffer): boolean {
  return checksum(bytes.subarray(0, headBytes)).equals(bytes.subarray(headBytes));
}

/** The group in which one other character, or two exchanged neighbours, would make the checksum fit; undefined where none would. */
function slipIn(characters: string): number | undefined {
  const fits = (candidate: string): boolean => {
    const bytes = decode(candidate);
    const is = isWhole(bytes);
    bytes.fill(0);
    return is;
  };
  for (let at = 0; at < characters.length; at += 1) {
    const [before, after] = [characters.slice(0, at), characters.slice(at + 1)];
    for (const other of alphabet) if (fits(before + other + after)) return groupOf(at);
    if (after !== '' && fits(before + after.charAt(0) + characters.charAt(at) + after.slice(1)))
      return groupOf(at);
  }
  return undefined;
}

/** Which group of the text a character belongs to, counted from 1 behind `TKS1`. */
function groupOf(at: number): number {
  return Math.floor(at / groupCharacters) + 1;
}

function groupsOf(characters: string): string[] {
  return characters.match(new RegExp(`.{${groupCharacters}}`, 'g')) ?? [];
}

/** Whole groups of five bytes, eight characters each. */
function encode(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 5) {
    const group = Buffer.from(bytes.buffer, bytes.byteOffset + at, 5).readUIntBE(0, 5);
    for (let place = 7; place >= 0; place -= 1) text += alphabet.charAt(Math.floor(group / 32 ** place) % 32);
  }
  return text;
}

function decode(characters: string): Buffer {
  const bytes = Buffer.alloc((characters.length * 5) / 8);
  for (let at = 0; at < characters.length; at += 8) {
    let group = 0;
    for (const character of characters.slice(at, at + 8)) group = group * 32 + alphabet.indexOf(character);
    bytes.writeUIntBE(group, (at * 5) / 8, 5);
  }
  return bytes;
}

function malformed(detail: string): CryptoError {
  return new CryptoError('crypto.share_malformed', detail);
}
