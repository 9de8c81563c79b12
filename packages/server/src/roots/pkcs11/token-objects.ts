import { createPublicKey, randomBytes } from 'node:crypto';
import type { JsonWebKey, KeyObject } from 'node:crypto';
import type * as Pkcs11 from 'pkcs11js';
import {
  CryptoError,
  decodeOaep,
  encryptOaep,
  keyAlgorithm,
  parsePublicKey,
  signatureAlgorithmsOf,
  verifyWith,
} from '@trialkeep/crypto';
import { StartupError } from '../../platform/errors.ts';
import { QuestionError, isCiphertextToBlame, isDeviceLoss, isSessionLoss } from './error-codes.ts';
import type { HashName, ObjectName, SigningWay } from './protocol.ts';
import { signingInput } from './signing.ts';
import type { Connection, Handle, Token } from './token.ts';

/** EdDSA of PKCS #11 3.0 (sections 2.3.5 and 2.3.14), which the binding has no names for. */
const edwards = { generate: 0x1055, sign: 0x1057, keyType: 0x40 } as const;
/** Bytes of the secret that a key for encryption is: as many as HMAC-SHA-512 gives, which is all that it computes. */
const derivingBytes = 64;
/** Of every RSA key that is made here. */
const publicExponent = Buffer.of(1, 0, 1);
/** Room for a signature or a plaintext: RSA-4096 has 512 bytes. */
const maxOutputBytes = 1024;
/** Objects that one CKA_ID can have here: more is somebody's doing. */
const maxObjects = 16;

/** `AlgorithmIdentifier` parameters (RFC 5480 section 2.1.1.1, RFC 8410 section 3): the curve's object identifier, DER. */
const curves: Readonly<Record<string, { readonly params: string; readonly jwk: string }>> = {
  ECC_NIST_P256: { params: '06082a8648ce3d030107', jwk: 'P-256' },
  ECC_NIST_P384: { params: '06052b81040022', jwk: 'P-384' },
  ED25519: { params: '06032b6570', jwk: 'Ed25519' },
};

/** Keys of systems that were made in a token and never leave it, as the process that loads its module works with them. */
export class TokenObjects {
  readonly #token: Token;

  constructor(token: Token) {
    this.#token = token;
  }

  /**
   * Makes a key in the token, and keeps it only where the token says that it was made there and cannot be taken out, and where it does
   * its work.
   *
   * @returns the public key as SubjectPublicKeyInfo; null of a symmetric key
   * @throws StartupError `root.failed` where the token does not make or keep it so; those of every question
   */
  async make(object: ObjectName, algorithm: string, purpose: string): Promise<Uint8Array | null> {
    return this.#token.withSession(async (session, connection) => {
      const { form } = keyAlgorithm(algorithm).secret;
      if (form === 'symmetric') {
        await this.#makeSecret(session, object, algorithm);
        await this.#keepOrRemove(session, connection, object, async () => undefined);
        return null;
      }
      const publicKey = await this.#makePair(session, object, { algorithm, purpose });
      await this.#keepOrRemove(session, connection, object, async (key) => {
        const open = parsePublicKey(algorithm, publicKey);
        if (purpose === 'decrypt') await this.#assertOpens(session, key, open);
        else await this.#assertSigns(session, key, algorithm, open);
      });
      return publicKey;
    });
  }

  /** @returns HMAC: the MAC; ECDSA: r ‖ s; EdDSA and RSASSA-PSS: the signature */
  async sign(object: ObjectName, way: SigningWay, input: Uint8Array): Promise<Uint8Array> {
    return this.#token.withSession(async (session, connection) => {
      return this.#signWith(session, this.#find(session, connection, object), way, input);
    });
  }

  #signWith(session: Handle, key: Handle, way: SigningWay, input: Uint8Array): Promise<Buffer> {
    this.#token.module.C_SignInit(session, this.#mechanismOf(way), key);
    // Nothing to sign is something too, but libraries refuse a pointer to nowhere.
    const message = input.length === 0 ? Buffer.alloc(1).subarray(1) : Buffer.from(input);
    return this.#token.module.C_SignAsync(session, message, Buffer.alloc(maxOutputBytes));
  }

  /**
   * RSAES-OAEP with SHA-256. @param input as long as the modulus, and below it: then nothing is wrong with it that RSA itself would notice
   *
   * @throws StartupError `root.wrong`
   */
  async decrypt(object: ObjectName, input: Uint8Array): Promise<Uint8Array> {
    return this.#token.withSession(async (session, connection) => {
      const key = this.#find(session, connection, object);
      try {
        return await this.#open(session, key, input);
      } catch (error) {
        const p = this.#token.binding;
        if (error instanceof StartupError || isSessionLoss(p, error) || isDeviceLoss(p, error)) throw error;
        // Vendors answer a wrong ciphertext with all kinds of errors: where the key still does its work, it was the ciphertext.
        await this.#token.withSession((other) => this.#assertOpens(other, key, this.#publicOf(other, key)));
        throw new StartupError('root.wrong', undefined, error);
      }
    });
  }

  /** The public half of an RSA key that was made here. */
  #publicOf(session: Handle, key: Handle): KeyObject {
    const [modulus] = this.#token.module.C_GetAttributeValue(session, key, [
      { type: this.#token.binding.CKA_MODULUS },
    ]);
    const n = modulus?.value.toString('base64url') ?? '';
    return createPublicKey({
      key: { kty: 'RSA', n, e: publicExponent.toString('base64url') },
      format: 'jwk',
    });
  }

  /** Destroys every object of that id; how many there were. */
  async remove({ id, label, token }: ObjectName): Promise<number> {
    return this.#token.withSession(async (session, connection) => {
      assertToken(connection, token);
      connection.objects.delete(nameOf(id));
      const found = this.#look(session, id).filter((handle) => this.#labelOf(session, handle) === label);
      for (const handle of found) this.#token.module.C_DestroyObject(session, handle);
      return found.length;
    });
  }

  /** The places of those that cannot be used, for whatever reason that lies in the object itself. */
  async findMissing(objects: readonly ObjectName[]): Promise<number[]> {
    return this.#token.withSession(async (session, connection) =>
      objects.flatMap((object, place) => {
        connection.objects.delete(nameOf(object.id));
        try {
          this.#find(session, connection, object);
          return [];
        } catch (error) {
          if (error instanceof StartupError) return [place];
          throw error;
        }
      }),
    );
  }

  async #makeSecret(session: Handle, object: ObjectName, algorithm: string): Promise<void> {
    const p = this.#token.binding;
    const { secret } = keyAlgorithm(algorithm);
    if (secret.form !== 'symmetric') throw new StartupError('root.failed', algorithm);
    const bytes = algorithm === 'AES_256' ? derivingBytes : secret.bytes;
    await this.#token.module.C_GenerateKeyAsync(session, { mechanism: p.CKM_GENERIC_SECRET_KEY_GEN }, [
      { type: p.CKA_CLASS, value: p.CKO_SECRET_KEY },
      { type: p.CKA_KEY_TYPE, value: p.CKK_GENERIC_SECRET },
      { type: p.CKA_VALUE_LEN, value: bytes },
      ...this.#resident(object),
      { type: p.CKA_SIGN, value: true },
    ]);
  }

  /** The public half is of the session alone: it stands in the version's row. */
  async #makePair(
    session: Handle,
    object: ObjectName,
    { algorithm, purpose }: { readonly algorithm: string; readonly purpose: string },
  ): Promise<Uint8Array> {
    const p = this.#token.binding;
    const { mechanism, parameters } = this.#pairOf(algorithm);
    const [open, own] = purpose === 'sign' ? [p.CKA_VERIFY, p.CKA_SIGN] : [p.CKA_ENCRYPT, p.CKA_DECRYPT];
    const { publicKey } = await this.#token.module.C_GenerateKeyPairAsync(
      session,
      { mechanism },
      [{ type: p.CKA_TOKEN, value: false }, ...parameters, { type: open, value: true }],
      [...this.#resident(object), { type: own, value: true }],
    );
    const read = createPublicKey({ key: this.#jwkOf(session, publicKey, algorithm), format: 'jwk' });
    this.#token.module.C_DestroyObject(session, publicKey);
    return read.export({ format: 'der', type: 'spki' });
  }

  #pairOf(algorithm: string): { mechanism: number; parameters: Pkcs11.Template } {
    const p = this.#token.binding;
    const { secret } = keyAlgorithm(algorithm);
    if (secret.form === 'rsa') {
      const parameters = [
        { type: p.CKA_MODULUS_BITS, value: secret.bits },
        { type: p.CKA_PUBLIC_EXPONENT, value: publicExponent },
      ];
      return { mechanism: p.CKM_RSA_PKCS_KEY_PAIR_GEN, parameters };
    }
    const curve = curves[algorithm];
    if (curve === undefined) throw new StartupError('root.failed', `It does not make ${algorithm}.`);
    const mechanism = algorithm === 'ED25519' ? edwards.generate : p.CKM_EC_KEY_PAIR_GEN;
    return { mechanism, parameters: [{ type: p.CKA_EC_PARAMS, value: Buffer.from(curve.params, 'hex') }] };
  }

  #jwkOf(session: Handle, publicKey: Handle, algorithm: string): JsonWebKey {
    const p = this.#token.binding;
    const curve = curves[algorithm];
    const types = curve === undefined ? [p.CKA_MODULUS, p.CKA_PUBLIC_EXPONENT] : [p.CKA_EC_POINT];
    const [first = Buffer.alloc(0), second = Buffer.alloc(0)] = this.#token.module
      .C_GetAttributeValue(
        session,
        publicKey,
        types.map((type) => ({ type })),
      )
      .map(({ value }) => value);
    const text = (bytes: Buffer): string => bytes.toString('base64url');
    if (curve === undefined) return { kty: 'RSA', n: text(first), e: text(second) };
    // DER of an OCTET STRING, of less than 128 bytes (PKCS #11 2.40 mechanisms, section 2.3.3).
    const point = first.subarray(2);
    if (algorithm === 'ED25519') return { kty: 'OKP', crv: curve.jwk, x: text(point) };
    const half = (point.length - 1) / 2;
    const [x, y] = [point.subarray(1, 1 + half), point.subarray(1 + half)];
    return { kty: 'EC', crv: curve.jwk, x: text(x), y: text(y) };
  }

  /** What every object has that must stay where it is (PKCS #11 2.40 sections 4.4, 4.7, 4.9). */
  #resident({ id, label }: ObjectName): Pkcs11.Template {
    const p = this.#token.binding;
    return [
      { type: p.CKA_TOKEN, value: true },
      { type: p.CKA_PRIVATE, value: true },
      { type: p.CKA_SENSITIVE, value: true },
      { type: p.CKA_EXTRACTABLE, value: false },
      { type: p.CKA_ID, value: Buffer.from(id) },
      { type: p.CKA_LABEL, value: label },
    ];
  }

  /** An object that is not what it should be, or does not do its work, does not stay. */
  async #keepOrRemove(
    session: Handle,
    connection: Connection,
    object: ObjectName,
    works: (key: Handle) => Promise<void>,
  ): Promise<void> {
    try {
      await works(this.#find(session, connection, object));
    } catch (error) {
      connection.objects.delete(nameOf(object.id));
      for (const handle of this.#look(session, object.id))
        this.#token.module.C_DestroyObject(session, handle);
      throw error;
    }
  }

  #find(session: Handle, connection: Connection, { id, label, token }: ObjectName): Handle {
    assertToken(connection, token);
    const name = nameOf(id);
    const known = connection.objects.get(name);
    if (known !== undefined) return known;
    const found = this.#look(session, id);
    const [key] = found;
    if (key === undefined || found.length !== 1)
      throw new StartupError('root.key_gone', `${found.length} objects of the token have the id ${name}.`);
    if (this.#labelOf(session, key) !== label)
      throw new StartupError(
        'root.key_gone',
        `The object of the token with the id ${name} is of another key.`,
      );
    this.#assertResident(session, key);
    connection.objects.set(name, key);
    return key;
  }

  /** Every object of that id but public keys, which people may have put beside theirs. */
  #look(session: Handle, id: Uint8Array): Handle[] {
    const p = this.#token.binding;
    return [p.CKO_SECRET_KEY, p.CKO_PRIVATE_KEY].flatMap((type) => {
      this.#token.module.C_FindObjectsInit(session, [
        { type: p.CKA_CLASS, value: type },
        { type: p.CKA_ID, value: Buffer.from(id) },
      ]);
      const found = this.#token.module.C_FindObjects(session, maxObjects);
      this.#token.module.C_FindObjectsFinal(session);
      return found;
    });
  }

  #labelOf(session: Handle, handle: Handle): string {
    const [label] = this.#token.module.C_GetAttributeValue(session, handle, [
      { type: this.#token.binding.CKA_LABEL },
    ]);
    return label?.value.toString('utf8') ?? '';
  }

  /** Made in the token, sensitive and unextractable since then: whatever was asked for, this is what the token says of it. */
  #assertResident(session: Handle, key: Handle): void {
    const p = this.#token.binding;
    const yes = [p.CKA_TOKEN, p.CKA_SENSITIVE, p.CKA_ALWAYS_SENSITIVE, p.CKA_NEVER_EXTRACTABLE, p.CKA_LOCAL];
    const types = [...yes, p.CKA_EXTRACTABLE];
    const values = this.#token.module.C_GetAttributeValue(
      session,
      key,
      types.map((type) => ({ type })),
    );
    const isAs = values.every(({ value }, place) => value[0] === (place < yes.length ? 1 : 0));
    if (!isAs || values.length !== types.length)
      throw new StartupError(
        'root.failed',
        'The object is not one that was made in the token to stay there.',
      );
  }

  #mechanismOf(way: SigningWay): Pkcs11.Mechanism {
    const p = this.#token.binding;
    const hashes: Record<HashName, { hmac: number; hash: number; mgf: number; bytes: number }> = {
      sha256: { hmac: p.CKM_SHA256_HMAC, hash: p.CKM_SHA256, mgf: p.CKG_MGF1_SHA256, bytes: 32 },
      sha384: { hmac: p.CKM_SHA384_HMAC, hash: p.CKM_SHA384, mgf: p.CKG_MGF1_SHA384, bytes: 48 },
      sha512: { hmac: p.CKM_SHA512_HMAC, hash: p.CKM_SHA512, mgf: p.CKG_MGF1_SHA512, bytes: 64 },
    };
    switch (way.scheme) {
      case 'hmac':
        return { mechanism: hashes[way.hash].hmac };
      case 'ecdsa':
        return { mechanism: p.CKM_ECDSA };
      case 'eddsa':
        return { mechanism: edwards.sign };
      case 'pss': {
        const { hash: hashAlg, mgf, bytes: saltLen } = hashes[way.hash];
        const parameter: Pkcs11.RsaPSS = { type: p.CK_PARAMS_RSA_PSS, hashAlg, mgf, saltLen };
        return {
          mechanism: p.CKM_RSA_PKCS_PSS,
          parameter,
        };
      }
    }
  }

  async #open(session: Handle, key: Handle, input: Uint8Array): Promise<Uint8Array> {
    const isWhole = this.#beginDecryption(session, key);
    const opened = await this.#token.module
      .C_DecryptAsync(session, Buffer.from(input), Buffer.alloc(maxOutputBytes))
      .catch((error: unknown) => {
        if (isWhole && isCiphertextToBlame(this.#token.binding, error))
          throw new StartupError('root.wrong', undefined, error);
        throw error;
      });
    if (isWhole) return opened;
    try {
      // Some libraries leave leading zeros away.
      const encoded = Buffer.alloc(input.length);
      encoded.set(opened, input.length - opened.length);
      return decodeOaep(encoded);
    } catch (error) {
      if (error instanceof CryptoError) throw new StartupError('root.wrong', undefined, error);
      throw error;
    } finally {
      opened.fill(0);
    }
  }

  /** OAEP with SHA-256 in the token, where it does that; RSA alone where it does not. @returns whether the token does all of it */
  #beginDecryption(session: Handle, key: Handle): boolean {
    const p = this.#token.binding;
    const parameter = {
      type: p.CK_PARAMS_RSA_OAEP,
      hashAlg: p.CKM_SHA256,
      mgf: p.CKG_MGF1_SHA256,
      source: 1,
      sourceData: Buffer.alloc(0),
    };
    try {
      this.#token.module.C_DecryptInit(session, { mechanism: p.CKM_RSA_PKCS_OAEP, parameter }, key);
      return true;
    } catch (error) {
      const unknown = [p.CKR_ARGUMENTS_BAD, p.CKR_MECHANISM_PARAM_INVALID, p.CKR_MECHANISM_INVALID];
      if (isSessionLoss(p, error) || !unknown.includes((error as { code?: number }).code ?? -1)) throw error;
      this.#token.module.C_DecryptInit(session, { mechanism: p.CKM_RSA_X_509 }, key);
      return false;
    }
  }

  /** What the public key of a new pair seals, the private one opens (FIPS 140-3 IG 10.3.A: pair-wise consistency). */
  async #assertOpens(session: Handle, key: Handle, publicKey: KeyObject): Promise<void> {
    const sample = randomBytes(32);
    const opened = Buffer.from(await this.#open(session, key, encryptOaep(publicKey, sample)));
    if (!opened.equals(sample))
      throw new StartupError('root.failed', 'It does not open what was sealed to it.');
  }

  async #assertSigns(session: Handle, key: Handle, algorithm: string, publicKey: KeyObject): Promise<void> {
    const [signing] = signatureAlgorithmsOf(algorithm);
    if (signing === undefined) throw new StartupError('root.failed', `${algorithm} does not sign.`);
    const message = randomBytes(32);
    const { way, input } = signingInput(signing, { message });
    const signature = await this.#signWith(session, key, way, input);
    if (!verifyWith(signing, publicKey, { message }, signature, 'p1363'))
      throw new StartupError('root.failed', 'What it signed does not verify.');
  }
}

/** What is not in this token may well be in its own: nothing is said, or done, of it. */
function assertToken(connection: Connection, wanted: string | undefined): void {
  if (wanted === undefined || wanted === connection.token) return;
  throw new QuestionError('root.unreachable', `The object is in ${wanted}; this is ${connection.token}.`);
}

function nameOf(id: Uint8Array): string {
  return Buffer.from(id).toString('hex');
}
