import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { Readable } from 'node:stream';
import type { KMSClient } from '@aws-sdk/client-kms';
import { StartupError } from '../../platform/errors.ts';
import type { StartupErrorCode } from '../../platform/errors.ts';
import type { RootContext } from '../cloud/context.ts';
import { boundedBody, patienceOf, rootError, withDeadline } from '../cloud/service.ts';
import type { Patience } from '../cloud/service.ts';
import type { KmsSettings } from './index.ts';

type Library = typeof import('@aws-sdk/client-kms');

/** What `DescribeKey` says that this root depends on. */
export interface KmsKeyFacts {
  readonly origin: string;
  readonly manager: string;
}

/** Longest blob of `Encrypt`, as the service's interface has it. */
export const maxCiphertextBytes = 6144;
/** Requests to the service at the same time. */
const maxSockets = 16;

/**
 * One symmetric key of AWS KMS, asked through Amazon's library. Every call ends within its deadline with an answer that was checked, or
 * with StartupError `root.unreachable`, `root.refused`, `root.key_gone`, `root.wrong`, `root.failed`.
 */
export class KmsKey {
  readonly arn: string;
  readonly #library: Library;
  readonly #client: KMSClient;
  readonly #patience: Patience;

  private constructor(library: Library, settings: KmsSettings) {
    this.#library = library;
    this.arn = settings.keyArn;
    this.#patience = patienceOf(settings);
    this.#client = makeClient(library, settings, this.#patience);
  }

  static async connect(settings: KmsSettings): Promise<KmsKey> {
    return new KmsKey(await import('@aws-sdk/client-kms'), settings);
  }

  /** Asks for the key, and whether it can be a root: symmetric, for encryption, enabled, and without an end of its own. */
  async describe(): Promise<KmsKeyFacts> {
    const { DescribeKeyCommand } = this.#library;
    const { KeyMetadata: key } = await this.#ask((signal) =>
      this.#client.send(new DescribeKeyCommand({ KeyId: this.arn }), { abortSignal: signal }),
    );
    if (key === undefined || key.Arn !== this.arn)
      throw new StartupError('root.failed', `DescribeKey answered for another key than ${this.arn}.`);
    if (key.KeyState !== 'Enabled')
      throw new StartupError('root.key_gone', `${this.arn} is ${key.KeyState ?? 'in no known state'}.`);
    if (key.KeySpec !== 'SYMMETRIC_DEFAULT' || key.KeyUsage !== 'ENCRYPT_DECRYPT') {
      const is = `${key.KeySpec ?? 'of no known kind'} for ${key.KeyUsage ?? 'nothing'}`;
      throw new StartupError(
        'root.unsuitable',
        `${this.arn} is ${is}; a symmetric key for encryption is wanted.`,
      );
    }
    if (key.ExpirationModel === 'KEY_MATERIAL_EXPIRES')
      throw new StartupError('root.unsuitable', `The imported key material of ${this.arn} expires.`);
    return { origin: key.Origin ?? 'unknown', manager: key.KeyManager ?? 'unknown' };
  }

  async encrypt(plaintext: Uint8Array, context: RootContext): Promise<Uint8Array> {
    const { EncryptCommand } = this.#library;
    const answer = await this.#ask((signal) =>
      this.#client.send(
        new EncryptCommand({ KeyId: this.arn, Plaintext: plaintext, EncryptionContext: { ...context } }),
        { abortSignal: signal },
      ),
    );
    this.#expectKey(answer.KeyId);
    const blob = answer.CiphertextBlob;
    if (!(blob instanceof Uint8Array) || blob.length === 0 || blob.length > maxCiphertextBytes)
      throw new StartupError('root.failed', 'Encrypt answered without a ciphertext.');
    return blob;
  }

  /** @returns secret bytes, owned by the caller, who zeroes them */
  async decrypt(blob: Uint8Array, context: RootContext): Promise<Uint8Array> {
    const { DecryptCommand } = this.#library;
    const answer = await this.#ask((signal) =>
      this.#client.send(
        new DecryptCommand({ KeyId: this.arn, CiphertextBlob: blob, EncryptionContext: { ...context } }),
        { abortSignal: signal },
      ),
    );
    this.#expectKey(answer.KeyId);
    if (!(answer.Plaintext instanceof Uint8Array))
      throw new StartupError('root.failed', 'Decrypt answered without a plaintext.');
    return answer.Plaintext;
  }

  close(): void {
    this.#client.destroy();
  }

  #expectKey(answered: string | undefined): void {
    if (answered !== this.arn)
      throw new StartupError('root.failed', `The service answered for another key than ${this.arn}.`);
  }

  async #ask<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return withDeadline(this.#patience.deadlineMs, async (signal) => {
      try {
        return await work(signal);
      } catch (error) {
        throw mapError(error);
      }
    });
  }
}

function makeClient({ KMSClient }: Library, settings: KmsSettings, patience: Patience): KMSClient {
  const { endpoint, fipsEndpoint } = settings;
  const region = settings.keyArn.split(':')[3] ?? '';
  const client = new KMSClient({
    region,
    ...(endpoint !== undefined && { endpoint }),
    // What the environment says of endpoints is for other programs: root.json decides where this key is asked for.
    ignoreConfiguredEndpointUrls: true,
    useFipsEndpoint: fipsEndpoint ?? false,
    maxAttempts: patience.attempts,
    retryMode: 'standard',
    requestHandler: {
      connectionTimeout: patience.timeoutMs,
      requestTimeout: patience.timeoutMs,
      throwOnRequestTimeout: true,
      httpAgent: new HttpAgent({ keepAlive: true, maxSockets }),
      httpsAgent: new HttpsAgent({ keepAlive: true, maxSockets }),
    },
  });
  client.middlewareStack.add(
    (next) => async (args) => {
      const answered = await next(args);
      const response = answered.response as { body?: unknown };
      if (response.body instanceof Readable) response.body = boundedBody(response.body);
      return answered;
    },
    // The innermost of its step: it sees the answer before the library reads it.
    { step: 'deserialize', priority: 'low', name: 'boundedAnswer' },
  );
  return client;
}

const codes: Readonly<Record<string, StartupErrorCode>> = {
  AccessDenied: 'root.refused',
  AccessDeniedException: 'root.refused',
  CredentialsProviderError: 'root.refused',
  ExpiredTokenException: 'root.refused',
  IncompleteSignature: 'root.refused',
  InvalidClientTokenId: 'root.refused',
  InvalidSignatureException: 'root.refused',
  MissingAuthenticationTokenException: 'root.refused',
  NotAuthorized: 'root.refused',
  OptInRequired: 'root.refused',
  SignatureDoesNotMatch: 'root.refused',
  TokenProviderError: 'root.refused',
  UnrecognizedClientException: 'root.refused',
  DisabledException: 'root.key_gone',
  KMSInvalidStateException: 'root.key_gone',
  NotFoundException: 'root.key_gone',
  IncorrectKeyException: 'root.wrong',
  InvalidCiphertextException: 'root.wrong',
  AbortError: 'root.unreachable',
  DependencyTimeoutException: 'root.unreachable',
  KMSInternalException: 'root.unreachable',
  KeyUnavailableException: 'root.unreachable',
  LimitExceededException: 'root.unreachable',
  RequestLimitExceeded: 'root.unreachable',
  ServiceUnavailable: 'root.unreachable',
  ThrottlingException: 'root.unreachable',
  TimeoutError: 'root.unreachable',
  TooManyRequestsException: 'root.unreachable',
};

/** Common errors of AWS and those of KMS: API reference of AWS KMS, "Common Errors" and the errors of each action. */
function mapError(error: unknown): StartupError {
  const { name, message, code, $metadata, $response } = error as {
    name?: string;
    message?: string;
    /** Of the system, where the connection failed. */
    code?: string;
    $metadata?: { httpStatusCode?: number };
    /** Where what was answered is not of the protocol: a page of a proxy. */
    $response?: { statusCode?: number };
  };
  const status = $metadata?.httpStatusCode ?? $response?.statusCode ?? 0;
  const said = message ?? '';
  if (name !== undefined && Object.hasOwn(codes, name))
    return rootError(codes[name] ?? 'root.failed', name, said);
  if (status >= 500 || status === 429) return rootError('root.unreachable', name ?? `HTTP ${status}`, said);
  if (status === 401 || status === 403) return rootError('root.refused', name ?? `HTTP ${status}`, said);
  if (typeof code === 'string') return rootError('root.unreachable', code, said);
  return rootError('root.failed', name ?? 'Error', said);
}
