import { isDeepStrictEqual } from 'node:util';
import { entriesSince, LedgerError, openNote, parseCheckpoint, progressAtStart } from '@trialkeep/ledger';
import type { Checkpoint, LogSource, Progress, Verifier } from '@trialkeep/ledger';
import type { Caller } from '../client/index.ts';
import { pause } from '../client/pause.ts';
import { sdkError, TrialkeepError } from '../errors.ts';
import { lockFile } from '../lock.ts';
import { sha256, verifierOf } from '../verify/primitives.ts';
import { keysBegunBy, maxLearnedKeys } from './log-keys.ts';
import { recordOf } from './record.ts';
import type { StreamRecord } from './record.ts';
import { ConnectionLost } from './sink.ts';
import type { Connection, Sink } from './sink.ts';
import { readState, writeState } from './state.ts';
import type { StreamState } from './state.ts';

export interface StreamOptions {
  readonly client: Caller;
  readonly sink: Sink;
  /** How far the stream has come is kept here; made at the first start. One process at a time has it. */
  readonly stateFile: string;
  /**
   * The log's keys as vkey lines, from a trusted place; otherwise those of the state file, or at the first start what the server says.
   * Others than at the last start take the place of all that the log named since.
   */
  readonly verifierKeys?: readonly string[];
  /** Where a new stream begins: with the first entry, or behind those that are there. */
  readonly from?: 'start' | 'end';
  /** Ends the stream in good order. */
  readonly signal: AbortSignal;
  /** How long to wait until looking for new entries again, ms. */
  readonly pollMs?: number;
  /** How long to wait until the first further try after a failure, ms; doubled each time, to a minute. */
  readonly retryMs?: number;
  /** Told how many entries were acknowledged, and how many the log has. */
  onProgress?(acknowledged: number, size: number): void;
  /** Told what does not work at the moment, and is tried again. */
  onTrouble?(sentence: string): void;
}

/** Waits between tries: doubled up to the longest. */
const defaultRetryMs = 500;
const longestPauseMs = 60_000;
/** How often what does not lead to the signed root is fetched again: the server may be catching up. */
const maxUnproven = 3;

/**
 * Follows a ledger and hands each entry, verified, to a collector, until the signal ends it (docs/formats/ledger-stream.md). None is left
 * out; those behind the last acknowledgement come again after a break.
 *
 * @returns how many entries are acknowledged in all
 * @throws TrialkeepError `stream.state_damaged`, `stream.state_foreign`, `stream.state_in_use`, `stream.forked`, `stream.unverified`,
 *   `stream.refused`, and refusals of the server
 */
export async function streamLedger(options: StreamOptions): Promise<number> {
  const lock = lockFile(`${options.stateFile}.lock`);
  if (lock === undefined) throw sdkError('stream.state_in_use', { detail: options.stateFile });
  try {
    const stream = await LedgerStream.open(options);
    return await stream.run();
  } finally {
    lock.release();
  }
}

class LedgerStream {
  readonly #options: StreamOptions;
  #verifiers: readonly Verifier[];
  readonly #source: LogSource;
  #state: StreamState;
  #size = 0;
  #failures = 0;
  #unproven = 0;

  private constructor(options: StreamOptions, state: StreamState) {
    this.#options = options;
    this.#state = state;
    this.#verifiers = verifiersOf(state);
    this.#source = sourceOf(options.client);
  }

  static async open(options: StreamOptions): Promise<LedgerStream> {
    const known = await readState(options.stateFile);
    if (known !== undefined) {
      const { verifierKeys = known.verifierKeys } = options;
      const learnedKeys = isDeepStrictEqual(verifierKeys, known.verifierKeys) ? known.learnedKeys : [];
      return new LedgerStream(options, { ...known, verifierKeys, learnedKeys });
    }
    const verifierKeys = options.verifierKeys ?? (await askForKeys(options.client));
    const checkpoint = await newestCheckpoint(options.client, verifierKeys.map(verifierOf));
    const { size, root } = options.from === 'end' ? checkpoint : progressAtStart(sha256);
    const state = { origin: checkpoint.origin, position: size, root, verifierKeys, learnedKeys: [] };
    await writeState(options.stateFile, state);
    return new LedgerStream(options, state);
  }

  async run(): Promise<number> {
    const { signal } = this.#options;
    while (!signal.aborted) {
      try {
        await this.#connected();
      } catch (error) {
        if (signal.aborted) break;
        const trouble = error instanceof Error ? error : new Error(String(error));
        await this.#afterTrouble(trouble);
      }
    }
    return this.#state.position;
  }

  /** Hands entries on over one connection until it is lost, or the stream ends. */
  async #connected(): Promise<void> {
    const { sink, signal, pollMs = 1000 } = this.#options;
    const connection = await sink.connect(signal);
    const sent = new Sent(connection);
    let progress: Progress = { size: this.#state.position, root: this.#state.root };
    try {
      for (;;) {
        progress = await this.#handOn(connection, sent, progress);
        await this.#keep(sent.acknowledged());
        this.#failures = 0;
        await pause(pollMs, signal);
      }
    } finally {
      await connection.close();
      await this.#keep(sent.acknowledged());
    }
  }

  async #handOn(connection: Connection, sent: Sent, since: Progress): Promise<Progress> {
    const { client, signal } = this.#options;
    const checkpoint = await newestCheckpoint(client, this.#verifiers);
    const { origin } = this.#state;
    if (checkpoint.origin !== origin) throw sdkError('stream.state_foreign', { detail: checkpoint.origin });
    this.#size = checkpoint.size;
    let progress = since;
    for await (const part of entriesSince(checkpoint, { sha256, source: this.#source }, since)) {
      signal.throwIfAborted();
      const records = part.entries.map((bytes, i) => recordOf(origin, part.first + i, bytes));
      await this.#learn(records);
      await connection.send(records);
      ({ progress } = part);
      sent.add(part.entries.length, progress);
      await this.#keep(sent.acknowledged());
    }
    this.#unproven = 0;
    return progress;
  }

  /** Trusts the keys that the log goes on under. They are kept at once: the old ones may be gone when the stream starts again. */
  async #learn(records: readonly StreamRecord[]): Promise<void> {
    const { verifierKeys, learnedKeys } = this.#state;
    const known = new Set([...verifierKeys, ...learnedKeys]);
    const begun = new Set(records.flatMap(keysBegunBy).filter((key) => !known.has(key)));
    if (begun.size === 0) return;
    this.#state = { ...this.#state, learnedKeys: [...learnedKeys, ...begun].slice(-maxLearnedKeys) };
    this.#verifiers = verifiersOf(this.#state);
    await writeState(this.#options.stateFile, this.#state);
  }

  async #keep(acknowledged: Progress | undefined): Promise<void> {
    if (acknowledged !== undefined) {
      this.#state = { ...this.#state, position: acknowledged.size, root: acknowledged.root };
      await writeState(this.#options.stateFile, this.#state);
    }
    this.#options.onProgress?.(this.#state.position, this.#size);
  }

  /** Waits where trying again may help; throws where it will not. */
  async #afterTrouble(error: Error): Promise<void> {
    const fatal = this.#fatalOf(error);
    if (fatal !== undefined) throw fatal;
    const { retryMs = defaultRetryMs, signal } = this.#options;
    this.#options.onTrouble?.(error.message);
    const waitMs = Math.min(longestPauseMs, retryMs * 2 ** this.#failures);
    this.#failures += 1;
    try {
      await pause(waitMs, signal);
    } catch {
      // The stream ends; its loop sees that.
    }
  }

  #fatalOf(error: Error): Error | undefined {
    if (error instanceof ConnectionLost) return undefined;
    if (error instanceof LedgerError) {
      if (error.code === 'ledger.continuation_forked') return sdkError('stream.forked', { cause: error });
      const again = error.code === 'ledger.continuation_unproven' && ++this.#unproven < maxUnproven;
      return again ? undefined : sdkError('stream.unverified', { detail: error.message, cause: error });
    }
    const passes =
      error instanceof TrialkeepError && /^(?:server\.|client\.(?:unreachable|timeout))/.test(error.code);
    return passes ? undefined : error;
  }
}

/** What was sent over a connection, and how far the log's tree had come with each part. */
class Sent {
  readonly #connection: Connection;
  readonly #parts: { readonly count: number; readonly progress: Progress }[] = [];
  #count = 0;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  add(records: number, progress: Progress): void {
    this.#count += records;
    this.#parts.push({ count: this.#count, progress });
  }

  /** How far the collector has taken the log, where that is farther than it was at the last call. */
  acknowledged(): Progress | undefined {
    const taken = this.#connection.taken();
    let progress: Progress | undefined;
    while (this.#parts[0] !== undefined && this.#parts[0].count <= taken)
      progress = this.#parts.shift()?.progress;
    return progress;
  }
}

function verifiersOf({ verifierKeys, learnedKeys }: StreamState): Verifier[] {
  return [...verifierKeys, ...learnedKeys].map(verifierOf);
}

async function askForKeys(client: Caller): Promise<string[]> {
  return (await client.call('ledger.verifier-key', {})).trim().split('\n');
}

/** @throws LedgerError where none of the keys has signed it */
async function newestCheckpoint(client: Caller, verifiers: readonly Verifier[]): Promise<Checkpoint> {
  const note = Buffer.from(await client.call('ledger.checkpoint', {}));
  const { text, signedBy } = await openNote(note, verifiers);
  const checkpoint = parseCheckpoint(text);
  // A key vouches for the log of its own name alone.
  if (!signedBy.some(({ name }) => name === checkpoint.origin))
    throw new LedgerError('ledger.origin_unknown');
  return checkpoint;
}

/** The tiles and bundles that a server gives. */
function sourceOf(client: Caller): LogSource {
  return {
    read: async (path, maxBytes) => {
      try {
        const bytes = await client.call('ledger.tile', { path: path.replace(/^tile\//, '') });
        return bytes.subarray(0, maxBytes);
      } catch (error) {
        if (error instanceof TrialkeepError && error.code === 'tile.unknown') return undefined;
        throw error;
      }
    },
  };
}
