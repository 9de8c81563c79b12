import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import type * as Pkcs11 from 'pkcs11js';
import { StartupError } from '../../platform/errors.ts';
import { LruMap } from '../../platform/lru.ts';
import type { CryptographicModule } from '../root.ts';
import { readSecretFile } from '../secret-file.ts';
import { QuestionError, isDeviceLoss, isSessionLoss, tokenError } from './error-codes.ts';
import { loginsOf } from './logins.ts';
import type { Logins } from './logins.ts';
import type { TokenAddress } from './protocol.ts';
import type { Mechanism } from './settings.ts';

export type Handle = Pkcs11.Handle;

/** One login, with what was found in it. */
export interface Connection {
  readonly slot: Handle;
  /** Sessions that do nothing at present. The one that logged in is not among them: the login lasts as long as it does. */
  readonly free: Handle[];
  key: Handle | undefined;
  /** The token's label and serial number. */
  readonly token: string;
  /** Objects that keys of systems are, by their CKA_ID in hexadecimal. */
  readonly objects: LruMap<string, Handle>;
}

const ivBytes = 12;
const tagBytes = 16;
/** Room for the answer to anything that a root wraps. */
const maxOutputBytes = 4096;
/** Handles of objects that are kept; the others are looked for again. */
const maxKnownObjects = 10_000;

/** Loads the binding. @throws StartupError `root.software_missing` */
function loadBinding(): typeof Pkcs11 {
  try {
    return createRequire(import.meta.url)('pkcs11js') as typeof Pkcs11;
  } catch (error) {
    throw new StartupError('root.software_missing', 'pkcs11js', error);
  }
}

/**
 * One token, as the process that loads its module sees it (OASIS PKCS#11 2.40). Calls may block for as long as the module
 * pleases. A lost session is opened anew once, with a new login; a refused PIN is never tried again here.
 */
export class Token {
  readonly #p11 = loadBinding();
  readonly #module = new this.#p11.PKCS11();
  readonly #address: TokenAddress;
  readonly #logins: Logins;
  #isInitialized = false;
  #connection: Connection | undefined;

  constructor(address: TokenAddress) {
    this.#address = address;
    this.#logins = loginsOf(address);
  }

  /** The constants of the interface. */
  get binding(): typeof Pkcs11 {
    return this.#p11;
  }

  /** The functions of the library; to be called with what `withSession` lends. */
  get module(): Pkcs11.PKCS11 {
    return this.#module;
  }

  /** Whether the token has refused what is in the PIN file. */
  get isPinRefused(): boolean {
    return this.#logins.isRefused;
  }

  /** Names the module and the token: C_GetInfo, C_GetTokenInfo. */
  async describe(): Promise<CryptographicModule> {
    return this.withSession(async (_session, { slot }) => {
      const library = this.#module.C_GetInfo();
      const token = this.#module.C_GetTokenInfo(slot);
      const dotted = ({ major, minor }: Pkcs11.Version): string => `${major}.${minor}`;
      return {
        manufacturer: token.manufacturerID.trim(),
        model: token.model.trim(),
        version: `firmware ${dotted(token.firmwareVersion)}, library ${dotted(library.libraryVersion)}`,
        key: nameOf(token),
      };
    });
  }

  /** Makes the key inside the token: sensitive, never to be taken out. @returns how it will wrap */
  async generate(label: string, wanted: Mechanism | undefined): Promise<Mechanism> {
    const p = this.#p11;
    return this.withSession(async (session, connection) => {
      const offered = this.#module.C_GetMechanismList(connection.slot);
      const mechanism = wanted ?? (offered.includes(p.CKM_AES_GCM) ? 'aes-gcm' : 'aes-kwp');
      if (!offered.includes(mechanism === 'aes-gcm' ? p.CKM_AES_GCM : p.CKM_AES_KEY_WRAP_PAD))
        throw new StartupError('root.failed', `The token does not offer ${mechanism}.`);
      const usage = mechanism === 'aes-gcm' ? [p.CKA_ENCRYPT, p.CKA_DECRYPT] : [p.CKA_WRAP, p.CKA_UNWRAP];
      this.#module.C_GenerateKey(session, { mechanism: p.CKM_AES_KEY_GEN }, [
        { type: p.CKA_CLASS, value: p.CKO_SECRET_KEY },
        { type: p.CKA_KEY_TYPE, value: p.CKK_AES },
        { type: p.CKA_VALUE_LEN, value: 32 },
        { type: p.CKA_TOKEN, value: true },
        { type: p.CKA_PRIVATE, value: true },
        { type: p.CKA_SENSITIVE, value: true },
        { type: p.CKA_EXTRACTABLE, value: false },
        ...usage.map((type) => ({ type, value: true })),
        { type: p.CKA_LABEL, value: label },
        { type: p.CKA_ID, value: this.#keyId() },
      ]);
      return mechanism;
    });
  }

  /** @returns AES-GCM: `iv[12] ‖ ciphertext ‖ tag[16]`; AES-KWP: what RFC 5649 gives */
  async wrap(mechanism: Mechanism, input: Uint8Array, aad: Uint8Array): Promise<Buffer> {
    return this.withSession(async (session, connection) => {
      const key = this.#key(session, connection);
      if (mechanism === 'aes-gcm') return this.#encrypt(session, key, input, aad);
      const secret = this.#module.C_CreateObject(session, [
        ...this.#sessionSecret(),
        { type: this.#p11.CKA_VALUE, value: Buffer.from(input) },
      ]);
      try {
        return await this.#module.C_WrapKeyAsync(session, this.#kwp(), key, secret, output());
      } finally {
        this.#module.C_DestroyObject(session, secret);
      }
    });
  }

  /**
   * Opens what `wrap` gave. Vendors answer a wrong ciphertext with all kinds of errors: where the token still does its work, it
   * was the ciphertext.
   */
  async unwrap(mechanism: Mechanism, input: Uint8Array, aad: Uint8Array): Promise<Buffer> {
    return this.withSession(async (session, connection) => {
      const key = this.#key(session, connection);
      try {
        return mechanism === 'aes-gcm'
          ? await this.#decrypt(session, key, input, aad)
          : await this.#unwrapKwp(session, key, input);
      } catch (error) {
        if (isSessionLoss(this.#p11, error)) throw error;
        await this.check(mechanism);
        throw new StartupError('root.wrong', undefined, error);
      }
    });
  }

  /** Has the key do its work once. */
  async check(mechanism: Mechanism): Promise<true> {
    const sample = randomBytes(32);
    const wrapped = await this.wrap(mechanism, sample, sample);
    const opened = await this.withSession(async (session, connection) => {
      const key = this.#key(session, connection);
      return mechanism === 'aes-gcm'
        ? this.#decrypt(session, key, wrapped, sample)
        : this.#unwrapKwp(session, key, wrapped);
    });
    if (!opened.subarray(0, sample.length).equals(sample))
      throw new StartupError('root.failed', `It does not open what it wrapped (${mechanism}).`);
    return true;
  }

  #gcm(iv: Buffer, aad: Uint8Array): Pkcs11.Mechanism {
    const parameter = {
      type: this.#p11.CK_PARAMS_AES_GCM,
      iv,
      aad: Buffer.from(aad),
      ivBits: ivBytes * 8,
      tagBits: tagBytes * 8,
    };
    return { mechanism: this.#p11.CKM_AES_GCM, parameter };
  }

  #kwp(): Pkcs11.Mechanism {
    return { mechanism: this.#p11.CKM_AES_KEY_WRAP_PAD };
  }

  /** AES-KWP wraps objects only: the secret becomes one of the session, which ends with it. */
  #sessionSecret(): Pkcs11.Template {
    const p = this.#p11;
    return [
      { type: p.CKA_CLASS, value: p.CKO_SECRET_KEY },
      { type: p.CKA_KEY_TYPE, value: p.CKK_GENERIC_SECRET },
      { type: p.CKA_TOKEN, value: false },
      { type: p.CKA_PRIVATE, value: true },
      { type: p.CKA_SENSITIVE, value: false },
      { type: p.CKA_EXTRACTABLE, value: true },
    ];
  }

  async #encrypt(session: Handle, key: Handle, input: Uint8Array, aad: Uint8Array): Promise<Buffer> {
    const iv = randomBytes(ivBytes);
    this.#module.C_EncryptInit(session, this.#gcm(iv, aad), key);
    return Buffer.concat([iv, await this.#module.C_EncryptAsync(session, Buffer.from(input), output())]);
  }

  async #decrypt(session: Handle, key: Handle, input: Uint8Array, aad: Uint8Array): Promise<Buffer> {
    const bytes = Buffer.from(input);
    this.#module.C_DecryptInit(session, this.#gcm(bytes.subarray(0, ivBytes), aad), key);
    return this.#module.C_DecryptAsync(session, bytes.subarray(ivBytes), output());
  }

  async #unwrapKwp(session: Handle, key: Handle, input: Uint8Array): Promise<Buffer> {
    const wrapped = Buffer.from(input);
    const template = this.#sessionSecret();
    const secret = await this.#module.C_UnwrapKeyAsync(session, this.#kwp(), key, wrapped, template);
    try {
      const [found] = this.#module.C_GetAttributeValue(session, secret, [{ type: this.#p11.CKA_VALUE }]);
      return found?.value ?? Buffer.alloc(0);
    } finally {
      this.#module.C_DestroyObject(session, secret);
    }
  }

  #key(session: Handle, connection: Connection): Handle {
    connection.key ??= this.#findKey(session);
    return connection.key;
  }

  #keyId(): Buffer {
    const { keyId } = this.#address;
    if (keyId === undefined) throw new StartupError('root.failed', 'It holds no root.');
    return Buffer.from(keyId);
  }

  #findKey(session: Handle): Handle {
    const p = this.#p11;
    this.#module.C_FindObjectsInit(session, [
      { type: p.CKA_CLASS, value: p.CKO_SECRET_KEY },
      { type: p.CKA_ID, value: this.#keyId() },
    ]);
    const found = this.#module.C_FindObjects(session, 2);
    this.#module.C_FindObjectsFinal(session);
    const [key] = found;
    if (key === undefined || found.length !== 1)
      throw new StartupError('root.key_gone', `${found.length} keys of the token have its id.`);
    const attributes = this.#module.C_GetAttributeValue(session, key, [
      { type: p.CKA_SENSITIVE },
      { type: p.CKA_EXTRACTABLE },
    ]);
    const [isSensitive, isExtractable] = attributes.map(({ value }) => value[0] === 1);
    if (isSensitive !== true || isExtractable !== false)
      throw new StartupError('root.failed', 'The key is not one that must stay in the token.');
    return key;
  }

  /** Lends a session to the work, and takes it back where the work went well. */
  async withSession<T>(work: (session: Handle, connection: Connection) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      let connection: Connection | undefined;
      let session: Handle | undefined;
      try {
        connection = this.#connection ??= this.#connect();
        session = connection.free.pop() ?? this.#openSession(connection.slot);
        const result = await work(session, connection);
        connection.free.push(session);
        return result;
      } catch (error) {
        this.#closeSession(session);
        if (error instanceof StartupError) throw error;
        const isLoss = isSessionLoss(this.#p11, error);
        if (!isLoss || attempt === 2) throw this.#meaningOf(error, isLoss ? undefined : connection);
        this.#disconnect(connection);
      }
    }
  }

  /**
   * What a failed call means, and for whom: libraries have many words for what one question got wrong, and the others are not to bear
   * it while the token answers.
   */
  #meaningOf(error: unknown, connection: Connection | undefined): StartupError {
    const known = tokenError(this.#p11, error);
    const mayBeAlone = connection !== undefined && !isDeviceLoss(this.#p11, error);
    if (known.code !== 'root.unreachable' || !mayBeAlone) return known;
    try {
      this.#module.C_GetTokenInfo(connection.slot);
      const session = this.#openSession(connection.slot);
      // Work of the device itself: clients of one over a network may know the rest by heart.
      this.#module.C_GenerateRandom(session, Buffer.alloc(16));
      this.#module.C_CloseSession(session);
    } catch {
      return known;
    }
    return new QuestionError(known.code, known.detail, error);
  }

  #openSession(slot: Handle): Handle {
    return this.#module.C_OpenSession(slot, this.#p11.CKF_SERIAL_SESSION | this.#p11.CKF_RW_SESSION);
  }

  /** A session in which something failed may still be in the middle of it. */
  #closeSession(session: Handle | undefined): void {
    try {
      if (session !== undefined) this.#module.C_CloseSession(session);
    } catch {
      // It is lost already.
    }
  }

  /** Another request may have connected anew meanwhile: only what was lost is given up. */
  #disconnect(connection: Connection | undefined): void {
    if (connection === undefined || this.#connection !== connection) return;
    this.#connection = undefined;
    try {
      this.#module.C_CloseAllSessions(connection.slot);
    } catch {
      // They are lost already.
    }
  }

  /** Nothing else runs between the look at what was refused and the login. */
  #connect(): Connection {
    this.#logins.assertNotRefused();
    const p = this.#p11;
    if (!this.#isInitialized) {
      this.#module.load(this.#address.module);
      this.#module.C_Initialize({ flags: p.CKF_OS_LOCKING_OK });
      this.#isInitialized = true;
    }
    const slot = this.#findSlot();
    // The last attempt before a token locks is for a person with the vendor's own tool.
    if ((this.#module.C_GetTokenInfo(slot).flags & p.CKF_USER_PIN_FINAL_TRY) !== 0)
      throw new StartupError('root.refused', 'The token has one attempt left, which is not made here.');
    const session = this.#openSession(slot);
    try {
      this.#login(session);
    } catch (error) {
      this.#closeSession(session);
      throw error;
    }
    const token = nameOf(this.#module.C_GetTokenInfo(slot));
    return { slot, token, free: [], key: undefined, objects: new LruMap(maxKnownObjects) };
  }

  #login(session: Handle): void {
    const p = this.#p11;
    const state = this.#logins.state();
    const pin = readSecretFile(this.#address.pinFile, {
      missing: 'root.pin_missing',
      exposed: 'root.pin_exposed',
    });
    try {
      this.#module.C_Login(session, p.CKU_USER, pin.toString('utf8'));
    } catch (error) {
      if ((error as { code?: number }).code === p.CKR_USER_ALREADY_LOGGED_IN) return;
      const known = tokenError(p, error);
      if (known.code === 'root.refused') this.#logins.refuse(known, state);
      throw isSessionLoss(p, error) ? error : known;
    } finally {
      pin.fill(0);
    }
  }

  #findSlot(): Handle {
    const { label, serial } = this.#address.token;
    const found = this.#module.C_GetSlotList(true).filter((slot) => {
      const info = this.#module.C_GetTokenInfo(slot);
      const fits = label === undefined || info.label.trim() === label;
      return fits && (serial === undefined || info.serialNumber.trim() === serial);
    });
    const [slot] = found;
    if (slot === undefined || found.length > 1)
      throw new StartupError('root.unreachable', `${found.length} tokens have that label or serial number.`);
    return slot;
  }
}

/** What a token is known by. */
function nameOf({ label, serialNumber }: Pkcs11.TokenInfo): string {
  return `token ${label.trim()}, serial ${serialNumber.trim()}`;
}

function output(): Buffer {
  return Buffer.alloc(maxOutputBytes);
}
