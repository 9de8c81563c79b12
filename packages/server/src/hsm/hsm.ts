import type { SignatureAlgorithm, Signed } from '@trialkeep/crypto';
import type { KeyKind, ResidentVersion, TokenKeys } from '../keys/index.ts';
import { OperationError, StartupError } from '../platform/errors.ts';
import { FairLimiter } from '../platform/fair-limiter.ts';
import { idBytes } from '../platform/ids.ts';
import { ModuleProcess, signingInput } from '../roots/pkcs11/index.ts';
import type { Answers, ObjectName, Question } from '../roots/pkcs11/index.ts';
import type { CryptographicModule } from '../roots/index.ts';
import type { HsmSettings } from './settings.ts';

const defaults = { processes: 1, sessions: 4, timeoutSeconds: 10 };
/** Questions that may wait for a session: of all tenants, and of one. */
const waiting = { maxWaiting: 512, maxWaitingOfOwner: 256 };
/** Whose turn it is where no tenant asks. */
const own = '';

/** What the HSM tells the server's own log. */
export interface HsmNotes {
  warn(details: object, message: string): void;
}

/**
 * The HSM that keys of systems stay in: processes that hold its module, each with a pool of sessions, behind one line in which tenants
 * take turns (decision 0009). What fails is told once in the server's own log, until it works again.
 */
export class Hsm implements TokenKeys {
  readonly #processes: readonly { readonly process: ModuleProcess; busy: number }[];
  readonly #line: FairLimiter;
  readonly #notes: HsmNotes;
  readonly #sameAs: ReadonlySet<string>;
  #isFailing = false;

  constructor(settings: HsmSettings, notes: HsmNotes) {
    const { module, token, pinFile, environment = {} } = settings;
    const { processes, sessions, timeoutSeconds } = { ...defaults, ...settings };
    const options = {
      address: { module, token, pinFile },
      sessions,
      timeoutMs: timeoutSeconds * 1000,
      environment,
    };
    this.#processes = Array.from({ length: processes }, () => ({
      process: new ModuleProcess(options),
      busy: 0,
    }));
    const maxRunning = sessions * processes;
    const maxRunningOfOwner = Math.max(1, Math.ceil((maxRunning * 3) / 4));
    this.#line = new FairLimiter({ maxRunning, maxRunningOfOwner, ...waiting });
    this.#notes = notes;
    this.#sameAs = new Set(settings.sameAs);
  }

  /** The ids of the processes that run. */
  get processIds(): number[] {
    return this.#processes.flatMap(({ process }) => process.processId ?? []);
  }

  describe(): Promise<CryptographicModule> {
    return this.#ask(own, { ask: 'describe' });
  }

  async make(version: ResidentVersion, { algorithm, purpose }: KeyKind) {
    const { key: token = '' } = await this.describe();
    const object = this.#objectOf(version);
    const publicKey = await this.#ask(version.tenant, { ask: 'make', object, algorithm, purpose }, (code) =>
      code === 'root.failed' ? new OperationError('key.hsm_unsupported', { field: '/algorithm' }) : undefined,
    );
    return { token, ...(publicKey !== null && { publicKey }) };
  }

  async mac(version: ResidentVersion, hash: 'sha256' | 'sha384' | 'sha512', message: Uint8Array) {
    const question = {
      object: this.#objectOf(version),
      way: { scheme: 'hmac', hash },
      input: message,
    } as const;
    return Buffer.from(await this.#ask(version.tenant, { ask: 'sign', ...question }));
  }

  async sign(version: ResidentVersion, algorithm: SignatureAlgorithm, signed: Signed): Promise<Buffer> {
    const question = { object: this.#objectOf(version), ...signingInput(algorithm, signed) };
    return Buffer.from(await this.#ask(version.tenant, { ask: 'sign', ...question }));
  }

  async decrypt(version: ResidentVersion, ciphertext: Uint8Array): Promise<Buffer> {
    const question = { ask: 'decrypt', object: this.#objectOf(version), input: ciphertext } as const;
    const plaintext = await this.#ask(version.tenant, question, (code) =>
      code === 'root.wrong' ? new OperationError('ciphertext.invalid', { field: '/ciphertext' }) : undefined,
    );
    return Buffer.from(plaintext);
  }

  remove(version: ResidentVersion): Promise<number> {
    return this.#ask(version.tenant, { ask: 'remove', object: this.#objectOf(version) });
  }

  findMissing(versions: readonly ResidentVersion[]): Promise<readonly number[]> {
    return this.#ask(own, {
      ask: 'find-missing',
      objects: versions.map((version) => this.#objectOf(version)),
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.#processes.map(({ process }) => process.close()));
  }

  /** @param meaning what the question itself has of a failure of the module */
  async #ask<Q extends Question>(
    owner: string,
    question: Q,
    meaning: (code: string) => OperationError | undefined = () => undefined,
  ): Promise<Answers[Q['ask']]> {
    return this.#line.run(owner, async () => {
      const chosen = this.#processes.reduce((least, one) => (one.busy < least.busy ? one : least));
      chosen.busy += 1;
      try {
        const answer = await chosen.process.ask(question);
        this.#isFailing = false;
        return answer;
      } catch (error) {
        if (!(error instanceof StartupError)) throw error;
        throw meaning(error.code) ?? this.#known(error);
      } finally {
        chosen.busy -= 1;
      }
    });
  }

  /** The error in the words of the API, which says nothing of the module; its own words are for whoever runs the server. */
  #known(error: StartupError): OperationError {
    const isGone = error.code === 'root.key_gone';
    if (isGone || !this.#isFailing)
      this.#notes.warn({ code: error.code, detail: error.detail }, 'The HSM that keys stay in fails.');
    if (!isGone) this.#isFailing = true;
    const code = isGone ? 'key.module_gone' : 'key.module_unreachable';
    return new OperationError(code, { field: '/key', cause: error });
  }

  /** The id of the version, and the name of its key: an object with another label is of another key. */
  #objectOf({ key, version, token }: ResidentVersion): ObjectName {
    const isBound = token !== undefined && !this.#sameAs.has(token);
    return { id: idBytes(version), label: `trialkeep ${key}`, ...(isBound && { token }) };
  }
}
