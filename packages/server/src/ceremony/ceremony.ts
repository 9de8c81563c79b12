import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { combineShares, CryptoError, parseShare, shareFingerprint } from '@trialkeep/crypto';
import type { Share } from '@trialkeep/crypto';
import { formatMinutes } from '@trialkeep/evidence';
import type { CeremonyMinutes } from '@trialkeep/evidence';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import { Value } from 'typebox/value';
import { systemClock } from '../platform/clock.ts';
import { dataDirectory, readConfiguration, withRoot } from '../platform/config.ts';
import { StartupError } from '../platform/errors.ts';
import { newId } from '../platform/ids.ts';
import {
  holdRootKey,
  readRootFile,
  resharedFile,
  rootKeyFrom,
  writeRootFile,
} from '../roots/shares/index.ts';
import type { RootFile, ShareSet } from '../roots/shares/index.ts';
import { MinutesFolder } from './minutes-folder.ts';
import { describeSoftware } from './software.ts';

const closed = { additionalProperties: false };
const line = Type.String({ minLength: 1, maxLength: 200 });
const texts = Type.Array(Type.String({ maxLength: 400 }), { minItems: 2, maxItems: 16 });
const record = {
  attended: Type.Array(Type.Object({ name: line, role: line }, closed), { minItems: 1, maxItems: 50 }),
  begun: Type.Integer({ minimum: 0 }),
  confirmed: Type.Array(
    Type.Object(
      {
        index: Type.Integer({ minimum: 1, maximum: 16 }),
        by: line,
        how: Type.Enum(['typed', 'file', 'sealed']),
      },
      closed,
    ),
    { minItems: 2, maxItems: 16 },
  ),
  /** Folders of sources of other programs that took part, by name: their digests go into the minutes. */
  programs: Type.Record(line, Type.String({ minLength: 1, maxLength: 4096 })),
};
/** All shares of a new set, as the custodians have given them back. */
const newSet = Type.Object({ shares: texts, commitment: Type.String({ pattern: '^[0-9a-f]{64}$' }) }, closed);
/** What a ceremony hands over on standard input: the shares travel in no argument and in no file. */
const requestSchema = Type.Union([
  Type.Object({ action: Type.Literal('new'), set: newSet, ...record }, closed),
  Type.Object({ action: Type.Literal('rekey'), shares: texts, set: newSet, ...record }, closed),
  Type.Object({ action: Type.Literal('test'), shares: texts, ...record }, closed),
]);
export type CeremonyRequest = Static<typeof requestSchema>;

/** What came of it. */
export interface CeremonyResult {
  readonly minutes: CeremonyMinutes;
  readonly file: string;
}

/** Makes an installation whose root of trust is held in these shares. */
type MakeInstance<Made> = (root: { readonly kind: 'shares'; readonly set: ShareSet }) => Promise<Made>;

/** @throws StartupError `usage.invalid`; the message says nothing of what was given */
export function readCeremonyRequest(text: string): CeremonyRequest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new StartupError('usage.invalid', 'A ceremony takes one JSON object on standard input.');
  }
  if (Value.Check(requestSchema, value)) return value;
  throw new StartupError('usage.invalid', 'The request of the ceremony does not have its form.');
}

/**
 * Ends a ceremony that custodians have been through: makes the root of an installation from their new set, or gives the root that is
 * there a new set, or tests that shares give the root; and writes the minutes, which the ledger takes up when the server runs. What
 * is put in place are the shares as the custodians have given them back. Nothing is made or changed for minutes that could not be written
 * in their form.
 *
 * @throws StartupError `root.shares_refused`, `root.wrong`, `usage.invalid`; those of making an installation; `ceremony.no_minutes`
 */
export async function endCeremony<Made>(
  path: string,
  request: CeremonyRequest,
  make: MakeInstance<Made>,
): Promise<CeremonyResult & { readonly made: Made | undefined }> {
  const software = await describeSoftware(request.programs);
  const minutesFor = (file: SetFile, replaced?: string): CeremonyMinutes => {
    const minutes = minutesOf(file, request, software, replaced);
    assertMinutes(minutes);
    return minutes;
  };
  if (request.action === 'new') {
    const set = readSet(request.set);
    // The root has no id yet; another one in its place has the same form.
    minutesFor(setFile(newId(), set.shares));
    const made = await make({ kind: 'shares', set });
    return { ...keep(path, () => minutesFor(readRootFile(rootFolder(path))), true), made };
  }
  const root = rootFolder(path);
  const before = readRootFile(root);
  const rootKey = rootKeyFrom(before, readShares(request.shares));
  if (request.action === 'test') return { ...keep(path, () => minutesFor(before), false), made: undefined };
  const after = resharedFile(before, rootKey, readSet(request.set));
  const minutes = minutesFor(after, before.set);
  writeRootFile(root, after);
  return { ...keep(path, () => minutes, true), made: undefined };
}

/** Writes minutes down, and says what has taken effect where that fails. @throws StartupError `ceremony.no_minutes` */
function keep(path: string, make: () => CeremonyMinutes, isInForce: boolean): CeremonyResult {
  try {
    const minutes = make();
    return { minutes, file: new MinutesFolder(path).write(minutes) };
  } catch (error) {
    if (!isInForce) throw error;
    throw new StartupError('ceremony.no_minutes', String(error), error);
  }
}

function assertMinutes(minutes: CeremonyMinutes): void {
  try {
    formatMinutes(minutes);
  } catch (error) {
    throw new StartupError(
      'usage.invalid',
      'What was said of the ceremony does not fit into its minutes.',
      error,
    );
  }
}

type SetFile = Pick<RootFile, 'id' | 'set' | 'threshold' | 'count' | 'fingerprints'>;

function setFile(id: string, shares: readonly Share[]): SetFile {
  const { set = '', threshold = 0, count = 0 } = shares[0] ?? {};
  return { id, set, threshold, count, fingerprints: shares.map(shareFingerprint) };
}

/** Where the root of trust of the data directory lies. */
function rootFolder(path: string): string {
  const directory = dataDirectory(path);
  return withRoot(directory, readConfiguration(directory)).root;
}

function minutesOf(
  { id: root, set, threshold, count, fingerprints }: SetFile,
  { action, attended, begun, confirmed }: CeremonyRequest,
  software: CeremonyMinutes['software'],
  replaced: string | undefined,
): CeremonyMinutes {
  return {
    action,
    attended,
    begun,
    confirmed: [...confirmed].sort((a, b) => a.index - b.index),
    count,
    ended: Math.max(begun, systemClock.now()),
    fingerprints,
    id: newId(),
    ...(replaced !== undefined && { replaced }),
    root,
    set,
    software,
    threshold,
    v: 1,
  };
}

function readSet({ shares, commitment }: Static<typeof newSet>): ShareSet {
  const read = readShares(shares);
  try {
    combineShares(read, commitment).fill(0);
  } catch (error) {
    throw refused(error);
  }
  return { shares: read, commitment };
}

function readShares(given: readonly string[]): Share[] {
  try {
    return given.map(parseShare);
  } catch (error) {
    throw refused(error);
  }
}

function refused(error: unknown): unknown {
  return error instanceof CryptoError ? new StartupError('root.shares_refused', error.message, error) : error;
}

/**
 * Opens the root of trust for a command that is no server: with shares, one a line, of the root of the data directory or, where it has
 * none yet, of the backup.
 *
 * @throws StartupError `root.shares_refused`, `root.wrong`, `data.unreadable`, `config.invalid`
 */
export function holdShares(path: string, backup: string | undefined, text: string): void {
  const isThere = existsSync(dataDirectory(path).configuration);
  const file = readRootFile(isThere || backup === undefined ? rootFolder(path) : join(backup, 'root'));
  const lines = text.split(/\r?\n/).filter((each) => each.trim() !== '');
  holdRootKey(file.id, rootKeyFrom(file, readShares(lines)));
}
