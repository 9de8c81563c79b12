import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { LedgerError, noteTypes, verifierOf, type KeyVerifier } from '@trialkeep/ledger';
import { WitnessError } from './errors.ts';
import { FreshFile, writeFileDurably } from './files.ts';
import { asArray, asObject, asText, readJsonObject } from './json-file.ts';
import { signaturePrimitives } from './keys.ts';
import { takeLock } from './lock.ts';
import { originHash, sha256 } from './primitives.ts';

/** A log that is witnessed or mirrored: one of its keys has to have signed a checkpoint. */
export interface ConfiguredLog {
  readonly origin: string;
  readonly verifiers: readonly KeyVerifier[];
}

interface LogEntry {
  readonly origin: string;
  /** Verifier key lines. Several while the log goes from one key to the next, and for keys of two kinds. */
  readonly keys: readonly string[];
}

const maxLogFileBytes = 16 * 1024 * 1024;
const maxOriginBytes = 255;
const maxKeysOfLog = 16;
/** How long a command waits for another one that changes the same file. */
const changeWaitMs = 5000;

export const logFilePath = (folder: string): string => join(folder, 'logs.json');

/** Makes the file of a new data directory. */
export function createLogFile(folder: string): void {
  write(folder, []);
}

/**
 * The logs of a data directory. A running process notices when a command has changed the file, and goes by it from the next request
 * on.
 */
export class LogBook {
  readonly #file: FreshFile<readonly ConfiguredLog[]>;
  #indexed: readonly ConfiguredLog[] = [];
  #byName: ReadonlyMap<string, ConfiguredLog> = new Map();

  constructor(folder: string) {
    this.#file = new FreshFile(logFilePath(folder), (path) => read(path).map(configured));
    this.all();
  }

  find(origin: string): ConfiguredLog | undefined {
    this.all();
    return this.#byName.get(`origin ${origin}`);
  }

  /** By what `originHash` gives. */
  findByHash(hash: string): ConfiguredLog | undefined {
    this.all();
    return this.#byName.get(`hash ${hash}`);
  }

  all(): readonly ConfiguredLog[] {
    const logs = this.#file.content();
    if (logs !== this.#indexed) {
      this.#byName = new Map(
        logs.flatMap((log) => [
          [`origin ${log.origin}`, log],
          [`hash ${originHash(log.origin)}`, log],
        ]),
      );
      this.#indexed = logs;
    }
    return logs;
  }
}

/**
 * Configures a log, or adds keys to one that is there: under rotation both the old and the new key count.
 *
 * @param origin the name on the first key unless it is given
 * @returns all keys of the log
 * @throws WitnessError `witness.log_key`, `witness.data_missing`, `witness.file_malformed`
 */
export function addLog(folder: string, keys: readonly string[], origin?: string): LogEntry {
  const named = keys.map((key) => logVerifier(key).name);
  const log = origin ?? named[0] ?? '';
  const isOrigin = /^[^\u0000-\u001f]+$/.test(log) && log.isWellFormed();
  if (!isOrigin || Buffer.byteLength(log) > maxOriginBytes)
    throw new WitnessError('witness.log_key', 'origin');
  return change(folder, (entries) => {
    const present = entries.find((entry) => entry.origin === log);
    const all = [...new Set([...(present?.keys ?? []), ...keys])];
    if (all.length > maxKeysOfLog)
      throw new WitnessError('witness.log_key', `more than ${maxKeysOfLog} keys`);
    const next = { origin: log, keys: all };
    return { entries: [...entries.filter((entry) => entry !== present), next], result: next };
  });
}

/**
 * Takes a log, or one key of it, out of the configuration. What was seen of the log stays on record, so that it cannot begin anew
 * when it is configured again.
 *
 * @returns the keys that are left
 * @throws WitnessError `witness.log_unknown`, and for the last key of a log `witness.log_key`
 */
export function removeLog(folder: string, origin: string, key?: string): LogEntry {
  return change(folder, (entries) => {
    const present = entries.find((entry) => entry.origin === origin);
    if (present === undefined || (key !== undefined && !present.keys.includes(key))) {
      throw new WitnessError('witness.log_unknown', origin);
    }
    const keys = key === undefined ? [] : present.keys.filter((one) => one !== key);
    const rest = entries.filter((entry) => entry !== present);
    const left = { origin, keys };
    return { entries: keys.length === 0 ? rest : [...rest, left], result: left };
  });
}

export function listLogs(folder: string): readonly LogEntry[] {
  if (!existsSync(logFilePath(folder))) throw new WitnessError('witness.data_missing', folder);
  return read(logFilePath(folder));
}

function change<T>(
  folder: string,
  edit: (entries: readonly LogEntry[]) => { entries: readonly LogEntry[]; result: T },
): T {
  const path = logFilePath(folder);
  if (!existsSync(path)) throw new WitnessError('witness.data_missing', folder);
  const lock = takeLock(`${path}.lock`, changeWaitMs);
  try {
    const { entries, result } = edit(read(path));
    write(folder, entries);
    return result;
  } finally {
    lock.release();
  }
}

function read(path: string): LogEntry[] {
  const file = readJsonObject(path, maxLogFileBytes);
  return asArray(file['logs'], `${path}: logs`).map((item) => {
    const entry = asObject(item, `${path}: logs`);
    const keys = asArray(entry['keys'], `${path}: keys`).map((key) => asText(key, `${path}: keys`));
    if (keys.length === 0) throw new WitnessError('witness.file_malformed', `${path}: keys`);
    return { origin: asText(entry['origin'], `${path}: origin`), keys };
  });
}

function write(folder: string, entries: readonly LogEntry[]): void {
  const sorted = [...entries].sort((a, b) => (a.origin < b.origin ? -1 : 1));
  writeFileDurably(logFilePath(folder), `${JSON.stringify({ format: 1, logs: sorted }, null, 2)}\n`);
}

function configured({ origin, keys }: LogEntry): ConfiguredLog {
  return { origin, verifiers: keys.map(logVerifier) };
}

/** A key that a log signs with: type 0x01 or 0x06. Type 0x04 is a witness's (C2SP tlog-policy, public key representation). */
function logVerifier(verifierKey: string): KeyVerifier {
  try {
    const verifier = verifierOf(sha256, signaturePrimitives, verifierKey);
    if (verifier.type !== noteTypes.ed25519Cosignature) return verifier;
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error;
    throw new WitnessError('witness.log_key', error.code, error);
  }
  throw new WitnessError('witness.log_key', 'the key of a witness, not of a log');
}
