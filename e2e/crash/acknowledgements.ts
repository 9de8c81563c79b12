import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import type { OperationId } from '@trialkeep/contract';

/** What a request is about, as far as it is known before it is answered. */
export interface About {
  readonly key?: string;
  /** The unique name, description or number of what is to be made. */
  readonly name?: string;
  readonly credential?: string;
  /** The keys that a new credential names. */
  readonly keys?: readonly string[];
  readonly study?: string;
  readonly subject?: string;
  /** The unique record class of the ciphertext that is made or opened; the ledger's entry shows it. */
  readonly class?: string;
}

/** Written before a request leaves. */
export interface Asked {
  readonly n: number;
  readonly operation: OperationId;
  /** undefined for operations of the instance. */
  readonly tenant?: string;
  /** The credential that asks. */
  readonly actor: string;
  readonly about: About;
}

/** What an answer said, as far as it has to hold from then on. */
export interface Facts {
  /** Of what was made: key, credential, study, system or tenant. */
  readonly id?: string;
  readonly alias?: string;
  readonly secret?: string;
  readonly state?: string;
  readonly version?: number;
  readonly ciphertext?: string;
  /** What the ciphertext holds, base64. */
  readonly plaintext?: string;
  readonly verifierKey?: string;
  /** The credential whose secret this is, where `id` names something else. */
  readonly actor?: string;
}

/** Written when an answer has come, before anything follows from it. A request without one has an unknown outcome. */
export interface Answered {
  readonly n: number;
  /** The code of the refusal; undefined on success. */
  readonly refusal?: string;
  readonly facts: Facts;
}
export type Line = Asked | Answered;

/** The load's own record of what the server acknowledged: append-only, one JSON object a line. */
export class AcknowledgementLog {
  readonly #file: number;

  constructor(path: string) {
    this.#file = openSync(path, 'a', 0o600);
  }

  /** The line is in the file when this returns. */
  write(line: Line): void {
    writeSync(this.#file, `${JSON.stringify(line)}\n`);
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** Reads the log while it grows. */
export class AcknowledgementReader {
  readonly #path: string;
  #read = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** The lines since the last call; nobody writes meanwhile. */
  next(): Line[] {
    const bytes = readFileSync(this.#path);
    const text = bytes.toString('utf8', this.#read);
    this.#read = bytes.length;
    return text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Line);
  }
}
