import { CryptoError, compactKeyVersionId } from '@trialkeep/crypto';
import { LedgerError, encodeBundle, parseTilePath } from '@trialkeep/ledger';
import type { OperationId } from '@trialkeep/contract';
import type { Hierarchy } from '../keys/index.ts';
import type { Database, Tx } from '../platform/database.ts';
import { OperationError, StartupError } from '../platform/errors.ts';
import type { Context, Implementations } from '../platform/implementation.ts';
import { openPayload, parseEntry } from './entry.ts';
import type { Entry } from './entry.ts';
import type { Ledger } from './ledger.ts';
import * as store from './store.ts';
import type { Filter } from './store.ts';
import type { TransparencyLog } from './transparency-log.ts';

export type LedgerOperationId = Extract<OperationId, `ledger.${string}`>;

/** What reading the ledger needs. */
export interface LedgerParts {
  readonly database: Database;
  readonly hierarchy: Hierarchy;
  readonly ledger: Ledger;
}

const defaultPageSize = 100;
/** Positions that one page looks through at most: reads hold up the event loop. */
const positionsPerPage = 50_000;

/** Binds the ledger operations of the contract to their behaviour. */
export function ledgerImplementations(parts: LedgerParts): Implementations<LedgerOperationId> {
  return {
    'ledger.query': (context) => query(parts, context),
    'ledger.payload': (context) => payload(parts, context),
    'ledger.checkpoint': async ({ caller }) =>
      Buffer.from(await parts.ledger.anchorNow(caller.log.id)).toString('utf8'),
    'ledger.verifier-key': async ({ caller }) => parts.ledger.log(caller.log.id).verifierKey,
    'ledger.tile': (context) => tile(parts, context),
  };
}

async function query({ database, ledger }: LedgerParts, { input, caller, record }: Context<'ledger.query'>) {
  const log = ledger.log(caller.log.id);
  for (const name of ['subject', 'class', 'key', 'study', 'system'] as const) {
    const value = input[name];
    if (value !== undefined) record[name] = value;
  }
  await log.integrate();
  const limit = input.limit ?? defaultPageSize;
  const after = input.cursor === undefined ? -1 : positionOfCursor(input.cursor);
  const size = log.size;
  const to = Math.min(size - 1, after + positionsPerPage);
  const found = await database.read((snapshot) =>
    store.findEntries(snapshot, log.id, filterOf(input), { after, to }, limit),
  );
  // A full page ends at its last entry, another one where it stopped looking.
  const end = found.length === limit ? (found.at(-1)?.position ?? to) : to;
  return {
    entries: found.map(({ position, bytes }) => ({
      index: position,
      entry: Buffer.from(bytes).toString('utf8'),
    })),
    next: end < size - 1 ? end.toString(36) : null,
    size,
  };
}

function filterOf({ cursor: _cursor, limit: _limit, ...filter }: Context<'ledger.query'>['input']): Filter {
  return filter;
}

/** A cursor is the position up to which the page before looked, in base 36. */
function positionOfCursor(cursor: string): number {
  const position = parseInt(cursor, 36);
  if (!Number.isSafeInteger(position) || position < 0 || position.toString(36) !== cursor) {
    throw new OperationError('request.invalid', { field: '/cursor' });
  }
  return position;
}

async function payload(parts: LedgerParts, { input, caller }: Context<'ledger.payload'>) {
  const log = parts.ledger.log(caller.log.id);
  await log.integrate();
  const found = await parts.database.read(async (snapshot) => {
    const position = await store.positionOf(snapshot, log.id, input.entry);
    if (position === undefined) return undefined;
    const [bytes] = await store.readEntries(snapshot, log.id, position, 1);
    if (bytes === undefined) return undefined;
    const entry = parseEntry(bytes);
    const ciphertext = await store.readPayload(snapshot, log.id, position);
    return { position, entry, ciphertext, isErased: await isErased(snapshot, log, entry) };
  });
  if (found === undefined) throw new OperationError('entry.unknown', { field: '/entry' });
  const { position, entry, ciphertext } = found;
  const opened = ciphertext && (await open(parts, log, found, ciphertext));
  if (opened === undefined) {
    throw new OperationError(found.isErased ? 'payload.erased' : 'payload.withheld', { field: '/entry' });
  }
  return { index: position, payload: opened, commitment: entry.commitment };
}

/** What the entry committed to; undefined where that is not what lies there, or its key is gone. */
async function open(
  { hierarchy }: LedgerParts,
  log: TransparencyLog,
  { entry: { entry, commitment, subject }, isErased }: { entry: Entry; isErased: boolean },
  ciphertext: Uint8Array,
): Promise<unknown> {
  try {
    const isOwn = Buffer.compare(compactKeyVersionId(ciphertext), log.payloadKey.keyVersionId) === 0;
    // This process may still hold a key that another one has removed.
    if (isErased && !isOwn) return undefined;
    const key = isOwn ? log.payloadKey : await payloadKey(hierarchy, log, subject);
    const opened = openPayload({ origin: log.origin, entry, commitment, ciphertext }, key);
    return opened.committed ? opened.payload : undefined;
  } catch (error) {
    if (error instanceof CryptoError) return undefined;
    throw error;
  }
}

/** Whether the ledger itself says that the key of the entry's subject was destroyed. */
async function isErased(snapshot: Tx, log: TransparencyLog, { subject }: Entry): Promise<boolean> {
  if (subject === undefined) return false;
  const filter = { subject, operation: 'subjects.erase', outcome: 'success' };
  const found = await store.findEntries(snapshot, log.id, filter, { after: -1, to: log.size }, 1);
  return found.length > 0;
}

/** The key that a payload lies under: the subject's, where the entry names one that the tenant has; else the log's own. */
export async function payloadKey(hierarchy: Hierarchy, log: TransparencyLog, subject: Entry['subject']) {
  if (subject === undefined || log.tenant === null) return log.payloadKey;
  try {
    return (await hierarchy.shreddable(log.tenant, 'subject', subject)) ?? log.payloadKey;
  } catch (error) {
    // That nothing could be done because somebody altered the subject's key has to be recorded all the same.
    if (error instanceof StartupError && error.code === 'database.altered') return log.payloadKey;
    throw error;
  }
}

async function tile(
  { database, ledger }: LedgerParts,
  { input, caller }: Context<'ledger.tile'>,
): Promise<Uint8Array> {
  const log = ledger.log(caller.log.id);
  const unknown = new OperationError('tile.unknown', { field: '/path' });
  let address;
  try {
    address = parseTilePath(`tile/${input.path}`);
  } catch (error) {
    if (error instanceof LedgerError) throw unknown;
    throw error;
  }
  if (address.kind === 'entries') {
    const { index, width } = address.address;
    const end = index * 256 + width;
    // Another node may have signed the checkpoint that the caller goes by.
    if (end > log.size) await log.follow();
    if (end > log.size) throw unknown;
    const entries = await database.read((snapshot) =>
      store.readEntries(snapshot, log.id, index * 256, width),
    );
    if (entries.length !== width) throw unknown;
    return encodeBundle(entries);
  }
  const { level, index, width } = address.address;
  const hashes = await database.read((snapshot) => store.readTile(snapshot, log.id, level, index));
  if (hashes === undefined || hashes.length < width * 32) throw unknown;
  return hashes.subarray(0, width * 32);
}
