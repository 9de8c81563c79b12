import { operations } from '@trialkeep/contract';
import type { Input, Operation, OperationId, Operations, Output } from '@trialkeep/contract';
import { sdkError, TrialkeepError } from '../errors.ts';
import { isPrivateUrl } from '../private-url.ts';
import { badAnswer, readAnswer } from './answer.ts';
import { pendingOf } from './pending.ts';
import type { Pending } from './pending.ts';
import { pause } from './pause.ts';
import { layOut } from './request.ts';
import type { HttpRequest } from './request.ts';

export interface ClientOptions {
  /** Where the server listens, such as `https://keys.example.org`; a path is kept as a prefix. */
  readonly url: string;
  /**
   * The secret of a credential, session or invitation; left out for operations that need none. Sent over https, or to this
   * machine, and nowhere else.
   */
  readonly credential?: string;
  /** What sends requests; the platform's `fetch` by default. */
  readonly fetch?: typeof fetch;
  /** How long one attempt may take, ms, until the whole answer is there; 30,000 by default. */
  readonly timeoutMs?: number;
}

export interface CallOptions {
  /** Ends the call early; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** What performs operations: a `Client`, or what stands before one. */
export interface Caller {
  /**
   * Performs an operation of the contract.
   *
   * A busy server is asked again, up to four times within about two seconds, where the operation changes nothing.
   * @throws TrialkeepError with a code of the contract (the server refused) or `client.…` (no usable answer came)
   */
  call<Id extends OperationId>(
    id: Id,
    input: Input<Operations[Id]>,
    options?: CallOptions,
  ): Promise<Output<Operations[Id]>>;
}

/** How an operation ended that can end in a state with a next step. */
export type Attempt<Out> = { readonly state: 'done'; readonly output: Out } | Pending;

export interface Client extends Caller {
  /**
   * Performs an operation as `call` does, and gives a state with a next step as a value.
   *
   * @throws TrialkeepError as `call`, for everything that is a fault
   */
  attempt<Id extends OperationId>(
    id: Id,
    input: Input<Operations[Id]>,
    options?: CallOptions,
  ): Promise<Attempt<Output<Operations[Id]>>>;
}

/** The platform's words for a certificate, or a conversation, that is not TLS as it should be. */
const untrusted = /CERT|TLS|SSL|^(?:EPROTO|HOSTNAME_MISMATCH|UNABLE_TO_VERIFY_LEAF_SIGNATURE)$/;
const maxRetries = 4;
const firstRetryDelayMs = 125;

/**
 * A client of one server under one credential. Uses nothing but `fetch`, so that it runs in browsers as well.
 *
 * @throws TrialkeepError `client.bad_url`, `client.insecure_url`, `client.bad_credential`
 */
export function createClient(options: ClientOptions): Client {
  const { base, isPrivate } = checkedBase(options);
  const send = options.fetch ?? fetch;
  const timeoutMs = options.timeoutMs ?? 30_000;

  const exchange = async (operation: Operation, request: HttpRequest, signal: AbortSignal | undefined) => {
    const headers: Record<string, string> = {};
    if (request.body !== undefined) headers['content-type'] = 'application/json';
    if (options.credential !== undefined && needsCredential(operation)) {
      headers['authorization'] = `Bearer ${options.credential}`;
    }
    const timeout = AbortSignal.timeout(timeoutMs);
    try {
      const response = await send(base + request.target, {
        method: request.method,
        headers,
        body: request.body ?? null,
        // A credential goes where it was meant to go, or nowhere.
        redirect: 'manual',
        credentials: 'omit',
        cache: 'no-store',
        signal: signal === undefined ? timeout : AbortSignal.any([timeout, signal]),
      });
      if (response.status < 200 || (response.status >= 300 && response.status < 400)) {
        throw badAnswer(response.status, 'it redirects elsewhere');
      }
      return await readAnswer(operation, response);
    } catch (error) {
      if (error instanceof TrialkeepError) throw error;
      signal?.throwIfAborted();
      if (timeout.aborted) throw sdkError('client.timeout', { detail: `${timeoutMs} ms` });
      const reason = networkReason(error);
      const code = untrusted.test(reason) ? 'client.untrusted' : 'client.unreachable';
      throw sdkError(code, { detail: `${base}: ${reason}` });
    }
  };

  const call = async (id: OperationId, input: object, { signal }: CallOptions = {}): Promise<unknown> => {
    const operation: Operation = operations[id];
    const request = layOut(operation, input as Readonly<Record<string, unknown>>);
    // Its inputs are the proofs themselves.
    if (operation.permission === 'sign-in' && !isPrivate) throw sdkError('client.insecure_url');
    for (let retries = 0; ; retries++) {
      signal?.throwIfAborted();
      try {
        return await exchange(operation, request, signal);
      } catch (error) {
        const busy = error instanceof TrialkeepError && error.code === 'server.busy';
        if (!busy || operation.effect === 'change' || retries === maxRetries) throw error;
        // Full jitter, so that clients refused together do not come back together.
        await pause(randomFraction() * firstRetryDelayMs * 2 ** retries, signal);
      }
    }
  };
  const attempt = async (id: OperationId, input: object, more?: CallOptions): Promise<Attempt<unknown>> => {
    try {
      return { state: 'done', output: await call(id, input, more) };
    } catch (error) {
      const pending = pendingOf(error);
      if (pending === undefined) throw error;
      return pending;
    }
  };
  return { call: call as Client['call'], attempt: attempt as Client['attempt'] };
}

function needsCredential({ permission }: Operation): boolean {
  return permission !== 'public' && permission !== 'sign-in';
}

/** The server's URL to put paths behind, and whether what is sent there can be read by nobody on the way. */
function checkedBase({ url, credential }: ClientOptions): { base: string; isPrivate: boolean } {
  const parsed = URL.parse(url);
  // The URL may hold a password where it should not, so it is not repeated in the error.
  if (parsed === null || !/^https?:$/.test(parsed.protocol)) throw sdkError('client.bad_url');
  if (parsed.username + parsed.password + parsed.search + parsed.hash !== '')
    throw sdkError('client.bad_url');
  const isPrivate = isPrivateUrl(parsed);
  if (credential !== undefined) {
    if (!/^[\x21-\x7e]{1,1000}$/.test(credential)) throw sdkError('client.bad_credential');
    if (!isPrivate) throw sdkError('client.insecure_url', { detail: parsed.origin });
  }
  return { base: parsed.origin + parsed.pathname.replace(/\/+$/, ''), isPrivate };
}

/** Why no answer came, in the platform's word for it (`ECONNREFUSED`); never its sentence, which may quote headers. */
function networkReason(error: unknown): string {
  const cause: unknown = error instanceof Error ? error.cause : undefined;
  const code: unknown = (cause as { code?: unknown } | undefined | null)?.code;
  return typeof code === 'string' && /^[A-Z0-9_]{1,64}$/.test(code) ? code : 'no connection';
}

/** A random number from 0 to 1. */
function randomFraction(): number {
  const [value = 0] = crypto.getRandomValues(new Uint32Array(1));
  return value / 2 ** 32;
}
