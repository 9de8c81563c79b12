/**
 * Prints what each algorithm that Trialkeep uses, or might be asked for, does under the OpenSSL configuration of the
 * running Node: `node [--force-fips] [--openssl-config=FILE] tools/module-report.ts [--json]`.
 *
 * Every line is tried, against a published answer or by a round trip; nothing is looked up. "works, not approved" means
 * that the call succeeded although no NIST publication approves the algorithm: under a FIPS configuration that is a
 * finding. "refused" carries Node's error code. "wrong" (a result that is not the right one) makes the exit status 1.
 * "works" does not say that the module's certificate covers the call: that and what else the report cannot tell is in
 * docs/decisions/0002-cryptographic-modules.md.
 */
import * as crypto from 'node:crypto';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';

interface Probe {
  readonly algorithm: string;
  /** The publication that approves the algorithm, or null where none does. */
  readonly approvedBy: string | null;
  /** Returns whether the result was the right one; throws where OpenSSL or Node refuses. */
  readonly run: () => boolean;
}

type Outcome = 'works' | 'works, not approved' | 'refused' | 'wrong';

interface ProbeResult {
  readonly algorithm: string;
  readonly approvedBy: string | null;
  readonly outcome: Outcome;
  /** Node's error code where refused. */
  readonly code?: string;
}

/** A provider loaded as a shared object, identified by its file. */
interface LoadedModule {
  readonly path: string;
  readonly sha256: string;
  /** Version-shaped strings found in the file; OpenSSL's own provider holds exactly one. */
  readonly versionStrings: readonly string[];
}

export interface ModuleReport {
  readonly node: string;
  /** Version of the OpenSSL core that Node is linked with; the provider may be of another version. */
  readonly openssl: string;
  readonly fips: boolean;
  /** Whether --force-fips was given, without which a script can switch FIPS mode off. */
  readonly forced: boolean;
  readonly configuration: string | null;
  readonly modules: readonly LoadedModule[];
  readonly algorithms: readonly ProbeResult[];
}

const message = Buffer.from('sealed, opened, signed and verified as a probe');
const key256 = Buffer.alloc(32, 0x61);

/** All three ciphers take the options of CCM; the others ignore `plaintextLength`. */
function aeadRoundTrip(cipher: string, nonce: Buffer): boolean {
  const options = { authTagLength: 16 };
  const aad = { plaintextLength: message.length };
  const seal = crypto.createCipheriv(cipher as crypto.CipherCCMTypes, key256, nonce, options);
  const sealed = Buffer.concat([seal.setAAD(message, aad).update(message), seal.final()]);
  const open = crypto.createDecipheriv(cipher as crypto.CipherCCMTypes, key256, nonce, options);
  open.setAuthTag(seal.getAuthTag()).setAAD(message, aad);
  return Buffer.concat([open.update(sealed), open.final()]).equals(message);
}

function ctrRoundTrip(): boolean {
  const seal = crypto.createCipheriv('aes-256-ctr', key256, Buffer.alloc(16));
  const sealed = Buffer.concat([seal.update(message), seal.final()]);
  const open = crypto.createDecipheriv('aes-256-ctr', key256, Buffer.alloc(16));
  return Buffer.concat([open.update(sealed), open.final()]).equals(message);
}

/** SP 800-38F KWP; the alternative initial value is that of RFC 5649 section 3. */
function wrapRoundTrip(): boolean {
  const initialValue = Buffer.from('a65959a6', 'hex');
  const wrap = crypto.createCipheriv('id-aes256-wrap-pad', key256, initialValue);
  const wrapped = Buffer.concat([wrap.update(message), wrap.final()]);
  const unwrap = crypto.createDecipheriv('id-aes256-wrap-pad', key256, initialValue);
  return Buffer.concat([unwrap.update(wrapped), unwrap.final()]).equals(message);
}

function signs(
  pair: crypto.KeyPairKeyObjectResult,
  hash: string | null,
  options: crypto.SigningOptions = {},
): boolean {
  const signature = crypto.sign(hash, message, { key: pair.privateKey, ...options });
  return crypto.verify(hash, message, { key: pair.publicKey, ...options }, signature);
}

function agrees(make: () => crypto.KeyPairKeyObjectResult): boolean {
  const [ours, theirs] = [make(), make()];
  const secret = crypto.diffieHellman({ privateKey: ours.privateKey, publicKey: theirs.publicKey });
  return secret.equals(crypto.diffieHellman({ privateKey: theirs.privateKey, publicKey: ours.publicKey }));
}

function encapsulates(pair: crypto.KeyPairKeyObjectResult): boolean {
  const { sharedKey, ciphertext } = crypto.encapsulate(pair.publicKey);
  return crypto.decapsulate(pair.privateKey, ciphertext).equals(sharedKey);
}

function oaepRoundTrip({ publicKey, privateKey }: crypto.KeyPairKeyObjectResult): boolean {
  const sealed = crypto.publicEncrypt({ key: publicKey, oaepHash: 'sha256' }, message);
  return crypto.privateDecrypt({ key: privateKey, oaepHash: 'sha256' }, sealed).equals(message);
}

/** One block of PBKDF2 (SP 800-132, RFC 8018 section 5.2) built from HMAC, as an independent answer. */
function pbkdf2Agrees(iterations: number): boolean {
  const salt = Buffer.alloc(16, 0x73);
  let u = crypto
    .createHmac('sha256', key256)
    .update(salt)
    .update(Buffer.from([0, 0, 0, 1]))
    .digest();
  const block = Buffer.from(u);
  for (let round = 1; round < iterations; round++) {
    u = crypto.createHmac('sha256', key256).update(u).digest();
    u.forEach((byte, at) => block.writeUInt8(block.readUInt8(at) ^ byte, at));
  }
  return crypto.pbkdf2Sync(key256, salt, iterations, 32, 'sha256').equals(block);
}

const countUp = (first: number): Buffer => Buffer.from(Array.from({ length: 80 }, (_, at) => first + at));

/** RFC 5869 appendix A.2: a long salt, because it keys an HMAC and pedantic modules refuse short keys. */
const hkdfVector = {
  ikm: countUp(0x00),
  salt: countUp(0x60),
  info: countUp(0xb0),
  okmStart: Buffer.from('b11e398dc80327a1c8e7f78c596a4934', 'hex'),
};

/** HKDF-Expand's first block as our formats compute it: HMAC(PRK, info ‖ 0x01). */
function expandAgrees(): boolean {
  const { ikm, salt, info, okmStart } = hkdfVector;
  const prk = crypto.createHmac('sha256', salt).update(ikm).digest();
  const block = crypto.createHmac('sha256', prk).update(info).update(Buffer.of(1)).digest();
  return block.subarray(0, okmStart.length).equals(okmStart);
}

function hkdfAgrees(): boolean {
  const { ikm, salt, info, okmStart } = hkdfVector;
  return Buffer.from(crypto.hkdfSync('sha256', ikm, salt, info, okmStart.length)).equals(okmStart);
}

/** FIPS 180-4 and RFC 1321: the digest of "abc". */
const digestOf = (hash: string, expectedPrefixHex: string) => (): boolean =>
  crypto.createHash(hash).update('abc').digest('hex').startsWith(expectedPrefixHex);

/** RFC 4231 test case 1. */
const macOf = (hash: string, expectedPrefixHex: string) => (): boolean =>
  crypto
    .createHmac(hash, Buffer.alloc(20, 0x0b))
    .update('Hi There')
    .digest('hex')
    .startsWith(expectedPrefixHex);

const ec = (namedCurve: string) => crypto.generateKeyPairSync('ec', { namedCurve });
const rsa = (modulusLength: number) => crypto.generateKeyPairSync('rsa', { modulusLength });
const pss = {
  padding: crypto.constants.RSA_PKCS1_PSS_PADDING,
  saltLength: crypto.constants.RSA_PSS_SALTLEN_DIGEST,
};

function argon2idAgreesWithItself(): boolean {
  const parameters = {
    message,
    nonce: Buffer.alloc(16, 1),
    parallelism: 1,
    tagLength: 32,
    memory: 64,
    passes: 1,
  };
  const derive = (): Buffer => crypto.argon2Sync('argon2id', parameters);
  return derive().equals(derive());
}

const symmetric: readonly Probe[] = [
  {
    algorithm: 'AES-256-GCM, random nonce',
    approvedBy: 'SP 800-38D',
    run: () => aeadRoundTrip('aes-256-gcm', crypto.randomBytes(12)),
  },
  {
    algorithm: 'AES-256-GCM, zero nonce',
    approvedBy: 'SP 800-38D',
    run: () => aeadRoundTrip('aes-256-gcm', Buffer.alloc(12)),
  },
  {
    algorithm: 'AES-256-CCM',
    approvedBy: 'SP 800-38C',
    run: () => aeadRoundTrip('aes-256-ccm', Buffer.alloc(12)),
  },
  { algorithm: 'AES-256-CTR', approvedBy: 'SP 800-38A', run: ctrRoundTrip },
  { algorithm: 'AES-256-KWP', approvedBy: 'SP 800-38F', run: wrapRoundTrip },
  {
    algorithm: 'ChaCha20-Poly1305',
    approvedBy: null,
    run: () => aeadRoundTrip('chacha20-poly1305', Buffer.alloc(12)),
  },
  {
    algorithm: 'SHA-256',
    approvedBy: 'FIPS 180-4',
    run: digestOf('sha256', 'ba7816bf8f01cfea414140de5dae2223'),
  },
  { algorithm: 'MD5', approvedBy: null, run: digestOf('md5', '900150983cd24fb0d6963f7d28e17f72') },
  {
    algorithm: 'HMAC-SHA-256',
    approvedBy: 'FIPS 198-1',
    run: macOf('sha256', 'b0344c61d8db38535ca8afceaf0bf12b'),
  },
  {
    algorithm: 'HMAC-SHA-512',
    approvedBy: 'FIPS 198-1',
    run: macOf('sha512', '87aa7cdea5ef619d4ff0b4241a1d6cb0'),
  },
  { algorithm: 'HKDF-Expand by HMAC', approvedBy: 'SP 800-108r1', run: expandAgrees },
  { algorithm: 'HKDF (hkdfSync)', approvedBy: 'SP 800-56C r2', run: hkdfAgrees },
  { algorithm: 'PBKDF2-HMAC-SHA-256', approvedBy: 'SP 800-132', run: () => pbkdf2Agrees(1000) },
  {
    algorithm: 'scrypt',
    approvedBy: null,
    run: () => crypto.scryptSync(message, key256, 32).equals(crypto.scryptSync(message, key256, 32)),
  },
  { algorithm: 'Argon2id', approvedBy: null, run: argon2idAgreesWithItself },
  {
    algorithm: 'randomBytes',
    approvedBy: 'SP 800-90A',
    run: () => !crypto.randomBytes(32).equals(crypto.randomBytes(32)),
  },
];

const asymmetric: readonly Probe[] = [
  {
    algorithm: 'Ed25519',
    approvedBy: 'FIPS 186-5',
    run: () => signs(crypto.generateKeyPairSync('ed25519'), null),
  },
  { algorithm: 'ECDSA P-256', approvedBy: 'FIPS 186-5', run: () => signs(ec('P-256'), 'sha256') },
  { algorithm: 'ECDSA P-384', approvedBy: 'FIPS 186-5', run: () => signs(ec('P-384'), 'sha384') },
  {
    algorithm: 'ML-DSA-44',
    approvedBy: 'FIPS 204',
    run: () => signs(crypto.generateKeyPairSync('ml-dsa-44'), null),
  },
  {
    algorithm: 'ML-DSA-65',
    approvedBy: 'FIPS 204',
    run: () => signs(crypto.generateKeyPairSync('ml-dsa-65'), null),
  },
  { algorithm: 'RSA-3072 PSS', approvedBy: 'FIPS 186-5', run: () => signs(rsa(3072), 'sha256', pss) },
  { algorithm: 'RSA-3072 OAEP', approvedBy: 'SP 800-56B r2', run: () => oaepRoundTrip(rsa(3072)) },
  { algorithm: 'RSA-1024 PSS', approvedBy: null, run: () => signs(rsa(1024), 'sha256', pss) },
  { algorithm: 'ECDH P-256', approvedBy: 'SP 800-56A r3', run: () => agrees(() => ec('P-256')) },
  { algorithm: 'ECDH P-384', approvedBy: 'SP 800-56A r3', run: () => agrees(() => ec('P-384')) },
  {
    algorithm: 'X25519',
    approvedBy: null,
    run: () => agrees(() => crypto.generateKeyPairSync('x25519')),
  },
  {
    algorithm: 'ML-KEM-768',
    approvedBy: 'FIPS 203',
    run: () => encapsulates(crypto.generateKeyPairSync('ml-kem-768')),
  },
];

function attempt({ algorithm, approvedBy, run }: Probe): ProbeResult {
  try {
    if (!run()) return { algorithm, approvedBy, outcome: 'wrong' };
    return { algorithm, approvedBy, outcome: approvedBy === null ? 'works, not approved' : 'works' };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
    return { algorithm, approvedBy, outcome: 'refused', code };
  }
}

/**
 * The providers that were loaded from files. Node has no call that lists providers; its diagnostic report lists the
 * shared objects of the process. The digest is that of the file now, which is what was loaded unless it was replaced.
 */
function loadedModules(): LoadedModule[] {
  // Without this the report looks up the names of every open socket's peer.
  Object.assign(process.report, { excludeNetwork: true });
  const { sharedObjects } = process.report.getReport() as { sharedObjects: readonly string[] };
  return sharedObjects
    .filter((path) => /^(fips|.*provider.*)\.(so|dylib|dll)$/.test(basename(path)))
    .map((path) => {
      const bytes = readFileSync(path);
      const versions = bytes
        .toString('latin1')
        .matchAll(/\0([3-9]\.\d{1,2}\.\d{1,3}(?:[-+.][\w.+-]{1,40})?)\0/g);
      return {
        path,
        sha256: crypto.createHash('sha256').update(bytes).digest('hex'),
        versionStrings: [...new Set(Array.from(versions, ([, version]) => version ?? ''))],
      };
    });
}

function isForced(): boolean {
  const options = [...process.execArgv, ...(process.env['NODE_OPTIONS'] ?? '').split(/\s+/)];
  return options.includes('--force-fips');
}

function configurationPath(): string | null {
  const options = [...(process.env['NODE_OPTIONS'] ?? '').split(/\s+/), ...process.execArgv];
  const given = options.findLast((option) => option.startsWith('--openssl-config='));
  return given?.slice('--openssl-config='.length) ?? process.env['OPENSSL_CONF'] ?? null;
}

/** Tries everything; takes about two seconds, most of it RSA key generation. */
export function moduleReport(): ModuleReport {
  return {
    node: process.versions.node,
    openssl: process.versions.openssl ?? 'unknown',
    fips: crypto.getFips() === 1,
    forced: isForced(),
    configuration: configurationPath(),
    modules: loadedModules(),
    algorithms: [...symmetric, ...asymmetric].map(attempt),
  };
}

function printTable(report: ModuleReport): void {
  const { node, openssl, fips, forced, configuration, modules, algorithms } = report;
  console.log(
    `Node ${node}, OpenSSL core ${openssl}, FIPS mode ${fips ? 'on' : 'off'}${forced ? ', forced' : ''}`,
  );
  console.log(`Configuration: ${configuration ?? "OpenSSL's default file"}`);
  if (modules.length === 0)
    console.log('No provider was loaded from a file: the default provider, built into Node.');
  for (const { path, sha256, versionStrings } of modules)
    console.log(`Module: ${path}, version ${versionStrings.join(' or ') || 'unknown'}, SHA-256 ${sha256}`);
  console.log();
  for (const { algorithm, approvedBy, outcome, code } of algorithms)
    console.log(
      `${algorithm.padEnd(28)}${(approvedBy ?? '–').padEnd(16)}${outcome}${code ? ` (${code})` : ''}`,
    );
}

if (import.meta.main) {
  const report = moduleReport();
  if (process.argv.includes('--json')) console.log(JSON.stringify(report, null, 2));
  else printTable(report);
  if (report.algorithms.some(({ outcome }) => outcome === 'wrong')) process.exitCode = 1;
}
