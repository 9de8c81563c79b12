import { setTimeout as pause } from 'node:timers/promises';
import type { CryptographyClient, KeyClient, KeyClientOptions, KeyVaultKey } from '@azure/keyvault-keys';
import type { TokenCredential } from '@azure/identity';
import { StartupError } from '../../platform/errors.ts';
import type { StartupErrorCode } from '../../platform/errors.ts';
import { LruMap } from '../../platform/lru.ts';
import { isLoopback, maxAnswerBytes, patienceOf, rootError, withDeadline } from '../cloud/service.ts';
import type { Patience } from '../cloud/service.ts';
import type { VaultSettings } from './index.ts';

type Library = typeof import('@azure/keyvault-keys');

/** RSA with at least 128 bits of security, or the nearest that vaults offer (NIST SP 800-57 part 1, table 2). */
const minModulusBytes = 384;
export const maxModulusBytes = 512;
const algorithm = 'RSA-OAEP-256';
/** Pause before the first repetition, ms; it doubles up to the second. */
const retryPause = { retryDelayInMs: 100, maxRetryDelayInMs: 1000 };

const throttledPauseMs = 500;

/** What the vault says of the newest version of the key. */
export interface VaultKeyFacts {
  readonly keyType: string;
  /** 32 hexadecimal digits. */
  readonly version: string;
  readonly id: string;
}

/**
 * One RSA key of a vault, asked through Microsoft's library. Every call ends within its deadline with an answer that was checked, or with
 * StartupError `root.unreachable`, `root.refused`, `root.key_gone`, `root.wrong`, `root.failed`.
 */
export class VaultKey {
  readonly #library: Library;
  readonly #name: string;
  readonly #vaultUrl: URL;
  readonly #credential: TokenCredential;
  readonly #options: KeyClientOptions;
  readonly #patience: Patience;
  readonly #client: KeyClient;
  /** By version. */
  readonly #cryptography = new LruMap<string, CryptographyClient>(8);

  private constructor(library: Library, credential: TokenCredential, settings: VaultSettings) {
    this.#library = library;
    this.#credential = credential;
    this.#name = settings.keyName;
    this.#vaultUrl = new URL(settings.vaultUrl);
    this.#patience = patienceOf(settings);
    this.#options = {
      // A vault's own challenge must name its domain, except on this machine, where emulators are.
      disableChallengeResourceVerification: isLoopback(this.#vaultUrl),
      retryOptions: { maxRetries: this.#patience.attempts - 1, ...retryPause },
      redirectOptions: { maxRetries: 0 },
      additionalPolicies: [{ position: 'perRetry', policy: boundedAnswers(this.#patience.timeoutMs) }],
    };
    this.#client = new library.KeyClient(this.#vaultUrl.origin, credential, this.#options);
  }

  static async connect(settings: VaultSettings): Promise<VaultKey> {
    const [library, { DefaultAzureCredential }] = await Promise.all([
      import('@azure/keyvault-keys'),
      import('@azure/identity'),
    ]);
    return new VaultKey(library, new DefaultAzureCredential(), settings);
  }

  /** Asks for the newest version, and whether it can be a root. */
  async describe(): Promise<VaultKeyFacts> {
    const key = await this.#ask((abortSignal) => this.#client.getKey(this.#name, { abortSignal }));
    return this.#suitable(key);
  }

  /** Whether the vault has a version, disabled or not. */
  async hasVersion(version: string): Promise<boolean> {
    try {
      await this.#ask((abortSignal) => this.#client.getKey(this.#name, { version, abortSignal }));
      return true;
    } catch (error) {
      if (error instanceof StartupError && error.code === 'root.key_gone') return false;
      throw error;
    }
  }

  /** @returns `contentKey` under RSA-OAEP-256 with the given version */
  async wrap(version: string, contentKey: Uint8Array): Promise<Uint8Array> {
    const client = this.#cryptographyOf(version);
    const { result } = await this.#ask((abortSignal) =>
      client.wrapKey(algorithm, contentKey, { abortSignal }),
    );
    if (!(result instanceof Uint8Array) || result.length < minModulusBytes || result.length > maxModulusBytes)
      throw new StartupError('root.failed', 'wrapKey answered without a wrapped key.');
    return result;
  }

  /** @returns secret bytes, owned by the caller, who zeroes them */
  async unwrap(version: string, wrapped: Uint8Array): Promise<Uint8Array> {
    const client = this.#cryptographyOf(version);
    const { result } = await this.#ask((abortSignal) =>
      client.unwrapKey(algorithm, wrapped, { abortSignal }),
    );
    if (!(result instanceof Uint8Array))
      throw new StartupError('root.failed', 'unwrapKey answered without a key.');
    return result;
  }

  #suitable(key: KeyVaultKey): VaultKeyFacts {
    const { properties, keyType, keyOperations = [] } = key;
    const { id = '', version = '' } = properties;
    if (!/^[0-9a-f]{32}$/.test(version) || properties.name !== this.#name)
      throw new StartupError('root.failed', `The vault answered for another key than ${this.#name}.`);
    if (properties.enabled !== true) throw new StartupError('root.key_gone', `${id} is disabled.`);
    const bytes = key.key?.n?.length ?? 0;
    if (!['RSA', 'RSA-HSM'].includes(keyType ?? '') || bytes < minModulusBytes || bytes > maxModulusBytes)
      throw new StartupError(
        'root.unsuitable',
        `${id} is ${keyType} of ${8 * bytes} bits; RSA of 3072 or 4096 is wanted.`,
      );
    for (const operation of ['wrapKey', 'unwrapKey'])
      if (!keyOperations.includes(operation))
        throw new StartupError('root.unsuitable', `${id} must not ${operation}.`);
    if (properties.recoveryLevel === 'Purgeable')
      throw new StartupError(
        'root.unsuitable',
        `${id} lies in a vault without soft deletion: it would be lost at once.`,
      );
    return { keyType: keyType ?? '', version, id };
  }

  #cryptographyOf(version: string): CryptographyClient {
    const known = this.#cryptography.get(version);
    if (known !== undefined) return known;
    const id = `${this.#vaultUrl.origin}/keys/${this.#name}/${version}`;
    const client = new this.#library.CryptographyClient(id, this.#credential, this.#options);
    this.#cryptography.set(version, client);
    return client;
  }

  async #ask<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return withDeadline(this.#patience.deadlineMs, async (signal) => {
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await work(signal);
        } catch (error) {
          // The library repeats what is throttled only when the vault says after how long.
          const isThrottled = (error as { statusCode?: number }).statusCode === 429;
          if (!isThrottled || attempt >= this.#patience.attempts) throw mapError(error);
          await pause(throttledPauseMs);
        }
      }
    });
  }
}

type Policy = NonNullable<KeyClientOptions['additionalPolicies']>[number]['policy'];

/** Gives each attempt its time, and gives up an answer that is longer than answers are. */
function boundedAnswers(timeoutMs: number): Policy {
  return {
    name: 'boundedAnswers',
    sendRequest: async (request, next) => {
      const tooLong = new AbortController();
      request.timeout = timeoutMs;
      request.abortSignal = AbortSignal.any([
        tooLong.signal,
        AbortSignal.timeout(timeoutMs),
        ...(request.abortSignal instanceof AbortSignal ? [request.abortSignal] : []),
      ]);
      request.onDownloadProgress = ({ loadedBytes }) => {
        if (loadedBytes > maxAnswerBytes) tooLong.abort();
      };
      try {
        return await next(request);
      } catch (error) {
        if (!tooLong.signal.aborted) throw error;
        throw new StartupError(
          'root.failed',
          `The answer is longer than ${maxAnswerBytes} bytes.`,
          undefined,
        );
      }
    },
  };
}

/** Errors of the vault: Key Vault REST API, "Authentication, requests and responses", and the inner codes of its 403. */
function mapError(error: unknown): StartupError {
  if (error instanceof StartupError) return error;
  const {
    name = 'Error',
    message = '',
    code = '',
    statusCode = 0,
    details,
  } = error as {
    name?: string;
    message?: string;
    code?: string;
    statusCode?: number;
    details?: { error?: { innerError?: { code?: string } } };
  };
  const said = [code || name, message] as const;
  if (/^(Authentication|AggregateAuthentication|CredentialUnavailable)/.test(name))
    return rootError('root.refused', ...said);
  if (statusCode === 403 && details?.error?.innerError?.code === 'KeyDisabled')
    return rootError('root.key_gone', ...said);
  const byStatus: Readonly<Record<number, StartupErrorCode>> = {
    400: 'root.wrong',
    401: 'root.refused',
    403: 'root.refused',
    404: 'root.key_gone',
    409: 'root.key_gone',
    408: 'root.unreachable',
    429: 'root.unreachable',
  };
  const known = byStatus[statusCode] ?? (statusCode >= 500 ? 'root.unreachable' : undefined);
  if (known !== undefined) return rootError(known, ...said);
  // Without a status there was no answer, unless there was one that could not be read.
  const isUnread = name === 'SyntaxError' || code === 'PARSE_ERROR' || statusCode !== 0;
  const isLost = name === 'AbortError' || (name === 'RestError' && !isUnread);
  return rootError(isLost ? 'root.unreachable' : 'root.failed', ...said);
}
