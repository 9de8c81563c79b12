import { maxPayloadsRedacted } from '@trialkeep/contract';
import { CryptoError, compactKeyVersionId } from '@trialkeep/crypto';
import type { CompactKey } from '@trialkeep/crypto';
import type { Hierarchy } from '../keys/index.ts';
import type { Tx } from '../platform/database.ts';
import { OperationError, StartupError } from '../platform/errors.ts';
import { openSealed, parseEntry } from './entry.ts';
import type { Entry, OpenedPayload } from './entry.ts';
import { findEntries } from './find/entries.ts';
import { entriesAt } from './find/store.ts';
import * as store from './store.ts';
import type { TransparencyLog } from './transparency-log.ts';

/**
 * How a payload reads. `erased`: the ledger says that its subject's key was destroyed. `redacted`: the ledger says that people had it
 * removed. `withheld`: it is not what the entry committed to, or not there, and the ledger does not say why.
 */
export type Payload =
  ({ readonly state: 'open' } & OpenedPayload) | { readonly state: 'erased' | 'redacted' | 'withheld' };

/** An entry with what lies beside it, as one snapshot has it. */
export interface FoundPayload {
  readonly position: number;
  readonly entry: Entry;
  readonly ciphertext: Uint8Array | undefined;
  readonly isErased: boolean;
  readonly isRedacted: boolean;
}

/** The entry of that id with its payload; undefined where the log has none. The log has been integrated. */
export async function findPayload(
  snapshot: Tx,
  log: TransparencyLog,
  entry: string,
): Promise<FoundPayload | undefined> {
  const position = await store.positionOf(snapshot, log.id, entry);
  if (position === undefined) return undefined;
  const [found] = await findPayloads(snapshot, log, position, 1);
  return found;
}

/** Up to `count` entries from `first` on, with their payloads. The log has been integrated. */
export async function findPayloads(
  snapshot: Tx,
  log: TransparencyLog,
  first: number,
  count: number,
): Promise<FoundPayload[]> {
  const entries = await store.readEntries(snapshot, log.id, first, count);
  const ciphertexts = await store.readPayloads(snapshot, log.id, first, count);
  const placed = entries.map((bytes, i) => ({ position: first + i, bytes }));
  return withPayloads(snapshot, log, placed, ciphertexts);
}

/** The entries at these places, ascending, with their payloads. The log has been integrated. */
export async function payloadsAt(
  snapshot: Tx,
  log: TransparencyLog,
  positions: readonly number[],
): Promise<FoundPayload[]> {
  const placed = await entriesAt(snapshot, log.id, positions);
  const ciphertexts = await store.readPayloadsAt(snapshot, log.id, positions);
  return withPayloads(snapshot, log, placed, ciphertexts);
}

async function withPayloads(
  snapshot: Tx,
  log: TransparencyLog,
  placed: readonly { readonly position: number; readonly bytes: Uint8Array }[],
  ciphertexts: ReadonlyMap<number, Uint8Array>,
): Promise<FoundPayload[]> {
  const erased = new Map<string, boolean>();
  const found: FoundPayload[] = [];
  for (const { position, bytes } of placed) {
    const entry = parseEntry(bytes);
    const { subject } = entry;
    const ciphertext = ciphertexts.get(position);
    const isErased =
      subject !== undefined && (erased.get(subject) ?? (await isErasedSubject(snapshot, log, subject)));
    if (subject !== undefined) erased.set(subject, isErased);
    const isRedacted = ciphertext === undefined && (await wasRedacted(snapshot, log, position, entry.entry));
    found.push({ position, entry, ciphertext, isErased, isRedacted });
  }
  return found;
}

/** Opens a payload, or says why it does not open. */
export async function openPayload(
  hierarchy: Hierarchy,
  log: TransparencyLog,
  { entry: { entry, commitment, subject }, ciphertext, isErased, isRedacted }: FoundPayload,
): Promise<Payload> {
  if (ciphertext === undefined) return { state: isRedacted ? 'redacted' : isErased ? 'erased' : 'withheld' };
  const refused = { state: isErased ? ('erased' as const) : ('withheld' as const) };
  try {
    const isOwn = Buffer.compare(compactKeyVersionId(ciphertext), log.payloadKey.keyVersionId) === 0;
    // This process may still hold a key that another one has removed.
    if (isErased && !isOwn) return refused;
    const key = isOwn ? log.payloadKey : await presentKey(hierarchy, log, subject);
    const opened = openSealed({ origin: log.origin, entry, commitment, ciphertext }, key);
    return opened === undefined ? refused : { state: 'open', ...opened };
  } catch (error) {
    if (error instanceof CryptoError) return refused;
    throw error;
  }
}

/** The subject's key cannot be had at present. */
const rootFailures: ReadonlySet<string> = new Set([
  'tenant.root_refused',
  'tenant.root_unreachable',
  'server.busy',
]);

/** The key that a payload is to lie under: the subject's, where the entry names one that the tenant has; else the log's own. */
export async function payloadKey(
  hierarchy: Hierarchy,
  log: TransparencyLog,
  subject: Entry['subject'],
): Promise<CompactKey> {
  try {
    return await presentKey(hierarchy, log, subject);
  } catch (error) {
    // What the tenant's own root refuses has to be recorded all the same.
    if (error instanceof OperationError && rootFailures.has(error.code)) return log.payloadKey;
    throw error;
  }
}

/** The same of a payload that is there. @throws OperationError `tenant.root_refused`, `tenant.root_unreachable`: it is not lost */
async function presentKey(
  hierarchy: Hierarchy,
  log: TransparencyLog,
  subject: Entry['subject'],
): Promise<CompactKey> {
  if (subject === undefined || log.tenant === null) return log.payloadKey;
  try {
    return (await hierarchy.shreddable(log.tenant, 'subject', subject)) ?? log.payloadKey;
  } catch (error) {
    // That nothing could be done because somebody altered the subject's key has to be recorded all the same.
    if (error instanceof StartupError && error.code === 'database.altered') return log.payloadKey;
    throw error;
  }
}

/** Whether the ledger itself says that the key of the subject was destroyed. */
async function isErasedSubject(snapshot: Tx, log: TransparencyLog, subject: string): Promise<boolean> {
  const filter = { subject, operation: 'subjects.erase', outcome: 'success' as const };
  const found = await findEntries(snapshot, log.id, filter, { after: -1, to: log.size }, 1);
  return found.length > 0;
}

/** Whether the ledger itself says that the payload was redacted; the row only says where to look. */
async function wasRedacted(
  snapshot: Tx,
  log: TransparencyLog,
  position: number,
  entry: string,
): Promise<boolean> {
  const redactedAt = await store.redactionTime(snapshot, log.id, position);
  if (redactedAt === undefined) return false;
  // Those of one request have one time.
  const filter = {
    operation: 'payloads.redact',
    outcome: 'success' as const,
    from: redactedAt,
    to: redactedAt + 1,
  };
  const range = { after: position, to: log.size };
  const found = await findEntries(snapshot, log.id, filter, range, maxPayloadsRedacted);
  return found.some(({ bytes }) => parseEntry(bytes).redacted === entry);
}
