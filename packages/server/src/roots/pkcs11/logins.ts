import { statSync } from 'node:fs';
import { StartupError } from '../../platform/errors.ts';
import type { TokenAddress } from './protocol.ts';

/** What this process knows of logins to a token with the PIN of one file. Tokens lock after a few that were refused. */
export class Logins {
  readonly #pinFile: string;
  #refused: { readonly error: StartupError; readonly state: string } | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(pinFile: string) {
    this.#pinFile = pinFile;
  }

  /** Tells one content of the PIN file from another without reading it. */
  state(): string {
    const found = statSync(this.#pinFile, { throwIfNoEntry: false });
    return found === undefined ? '' : `${found.ino} ${found.mtimeMs} ${found.size}`;
  }

  /** Whether the PIN file was refused as it is. */
  get isRefused(): boolean {
    return this.#refused !== undefined && this.#refused.state === this.state();
  }

  /** @throws StartupError `root.refused`: the PIN is not tried again until somebody has written another */
  assertNotRefused(): void {
    if (this.#refused === undefined || !this.isRefused) return;
    throw new StartupError(this.#refused.error.code, this.#refused.error.detail);
  }

  /** @param state that of the file before it was read */
  refuse(error: StartupError, state: string): void {
    this.#refused = { error, state };
  }

  /** One after the other, so that a refusal is known before the next one tries. */
  async inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work, work);
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}

const known = new Map<string, Logins>();

/** The same for every root of this process that logs in to the token with that file. */
export function loginsOf({ module, token, pinFile }: TokenAddress): Logins {
  const name = JSON.stringify([module, token.label, token.serial, pinFile]);
  let logins = known.get(name);
  if (logins === undefined) known.set(name, (logins = new Logins(pinFile)));
  return logins;
}
