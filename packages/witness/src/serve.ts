import { join } from 'node:path';
import { systemClock, type Clock } from './clock.ts';
import { WitnessError } from './errors.ts';
import { createHttpServer, listen, type Listening } from './http.ts';
import { openKeys, readIdentity, type Role } from './keys.ts';
import { takeLock } from './lock.ts';
import type { Logger } from './logger.ts';
import { LogBook } from './logs.ts';
import { Mirror, addMirrorRoutes } from './mirror/mirror.ts';
import type { Works } from './observe.ts';
import { State } from './state.ts';
import { Turns } from './turns.ts';
import { Witness, addWitnessRoutes } from './witness.ts';

export const stateFile = (folder: string): string => join(folder, 'state.sqlite');
export const lockFile = (folder: string): string => join(folder, 'lock');

/** A witness or a mirror that listens. */
export interface Serving {
  readonly url: string;
  readonly name: string;
  readonly logs: number;
  /** Answers what is under way, and gives the data directory back. */
  close(): Promise<void>;
}

export interface ServeOptions {
  readonly folder: string;
  readonly role: Role;
  readonly passphraseFile: string;
  /** Of a mirror. */
  readonly tokenFile: string;
  readonly listening: Listening;
  readonly logger: Logger;
  readonly clock?: Clock;
}

/** Takes the data directory for this process, opens keys and state, and listens. @throws WitnessError */
export async function serve(options: ServeOptions): Promise<Serving> {
  const { folder, role, logger, listening, clock = systemClock } = options;
  requireRole(folder, role);
  const lock = takeLock(lockFile(folder));
  let state: State | undefined;
  try {
    const identity = await openKeys(folder, options.passphraseFile);
    state = State.open(stateFile(folder));
    const works: Works = { state, logs: new LogBook(folder), clock, logger, turns: new Turns() };
    const server = createHttpServer(listening, clock, logger);
    if (role === 'witness') {
      addWitnessRoutes(server, new Witness(works, identity));
    } else {
      const mirror = new Mirror(folder, works, identity);
      await mirror.openCopies();
      addMirrorRoutes(server, mirror, options.tokenFile);
    }
    const url = await listen(server, listening);
    const opened = state;
    let closing: Promise<void> | undefined;
    const end = async (): Promise<void> => {
      await server.close();
      opened.close();
      lock.release();
    };
    const close = async (): Promise<void> => (closing ??= end());
    return { url, name: identity.name, logs: works.logs.all().length, close };
  } catch (error) {
    state?.close();
    lock.release();
    throw error;
  }
}

/** @throws WitnessError `witness.data_missing`, `witness.other_role` */
export function requireRole(folder: string, role: Role): void {
  if (readIdentity(folder).role !== role) throw new WitnessError('witness.other_role', folder);
}
