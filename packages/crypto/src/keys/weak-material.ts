import { createHash } from 'node:crypto';

/** Equal bytes in a row that random material of the lengths in use has with less than 2⁻⁴⁹ (25 places, 256⁻⁷ each; 57 places: 2⁻⁵⁰). */
const equalInRow = 8;

/**
 * Keys that standards publish as examples, by the SHA-256 of their bytes, hexadecimal: they work everywhere, and everybody has them.
 */
const published: ReadonlySet<string> = new Set([
  // RFC 8032 section 7.1, in the order of its tests
  'sha256:644d50ab64864c20a12b3c4656d46b4a48f69ef7c47ecdc8415cd28316b22ef5',
  'sha256:3d2d9682cdba529682a152f678e25c6c29847bf2588ca4e1b3023c1579f9958d',
  'sha256:d8eca0cca720d33bf6d9a3e8057053ff6a4d19a62a9874fa7f7004ea662fb2f9',
  'sha256:28024a74943422cca068bb8189df16977c0cd8b322fcdf9c782f59ab6c0aa7e9',
  'sha256:918a483206abfc9207f58443b4403c208a687265175377ea43db32a0def92492',
  // RFC 6979 appendix A.2.5 (P-256) and A.2.6 (P-384)
  'sha256:b70385660302dca892f74cdb6d75f73fd85e7564306616e1910970462f7110f0',
  'sha256:37e9ac2b6d795ba472b67cc28423e16ecbf47290de5212815fa2323a3db6885c',
  // NIST SP 800-38A appendix F.1.5 (AES-256)
  'sha256:b93c72b74bc8487d29827005f80d635918f91bc22b14d7ed05714d58f96702dd',
  // RFC 7515 appendix A.1 (HMAC) and A.3 (P-256)
  'sha256:377dc6847aba7e0cdcae15bf573a006624c8d2e9a4e77e97e4d8f4064698be02',
  'sha256:cfcef6cfb631f2a350b70a6ab72b20696f65f854aa3649a26b4cc1d2b0f5ce76',
]);

/**
 * Whether secret bytes (a symmetric key, a scalar, a seed) are not what a random generator gives: few different bytes, eight equal ones in
 * a row, a repeated pattern, a progression, text, or a key that a standard publishes. Random ones of 32 bytes and more are so with less
 * than 2⁻⁴⁰.
 */
export function isWeakSecret(bytes: Uint8Array): boolean {
  return (
    new Set(bytes).size * 2 < bytes.length ||
    hasRun(bytes) ||
    isPeriodic(bytes) ||
    isProgression(bytes) ||
    isText(bytes) ||
    published.has(`sha256:${createHash('sha256').update(bytes).digest('hex')}`)
  );
}

function hasRun(bytes: Uint8Array): boolean {
  let length = 0;
  for (let at = 0; at < bytes.length; at++) {
    length = at > 0 && bytes[at] === bytes[at - 1] ? length + 1 : 1;
    if (length >= equalInRow) return true;
  }
  return false;
}

/** One pattern, again and again, up to twice the half. */
function isPeriodic(bytes: Uint8Array): boolean {
  for (let period = 1; period * 2 <= bytes.length; period++) {
    if (bytes.every((byte, at) => at < period || byte === bytes[at - period])) return true;
  }
  return false;
}

/** 00 01 02 …, and every other step. */
function isProgression(bytes: Uint8Array): boolean {
  const step = ((bytes[1] ?? 0) - (bytes[0] ?? 0)) & 0xff;
  return bytes.every((byte, at) => at === 0 || ((byte - (bytes[at - 1] ?? 0)) & 0xff) === step);
}

/** A passphrase, or a key that was written as hexadecimal or base64 and not read back. */
function isText(bytes: Uint8Array): boolean {
  return bytes.every(
    (byte) => (byte >= 0x20 && byte <= 0x7e) || byte === 0x0a || byte === 0x0d || byte === 0x09,
  );
}

/**
 * The primes by which keys of the RSALib of CVE-2017-15361 are known ("The Return of Coppersmith's Attack", CCS 2017): their moduli are
 * powers of 65,537 modulo each of these.
 */
const telling = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];

/** The residues that are powers of 65,537, for each of those primes. */
const powers = telling.map((prime) => {
  const residues = new Set<bigint>();
  const base = 65_537n % BigInt(prime);
  for (let power = 1n; !residues.has(power); power = (power * base) % BigInt(prime)) residues.add(power);
  return { prime: BigInt(prime), residues };
});

/** Whether an RSA modulus has the form by which it can be factored; a random one has it with about 2⁻²⁷. */
export function isRocaModulus(modulus: bigint): boolean {
  return powers.every(({ prime, residues }) => residues.has(modulus % prime));
}
