import { formatDocument, kinds, listedEntries, makeEntriesProof, parseDocument } from '@trialkeep/evidence';
import type { EvidenceFiles } from '@trialkeep/evidence';
import { openCompact, sealCompact } from '@trialkeep/crypto';
import type { OperationId } from '@trialkeep/contract';
import { formatProof, parseCheckpoint, parseNote, stampedNote } from '@trialkeep/ledger';
import { entriesAt, findPlaces, progress, rangeOf, readTile, sha256 } from '../audit/index.ts';
import type { Ledger, TransparencyLog } from '../audit/index.ts';
import type { Hierarchy } from '../keys/index.ts';
import { sha256Hex } from '../platform/canonical.ts';
import type { Configuration } from '../platform/config.ts';
import type { Database } from '../platform/database.ts';
import { OperationError, StartupError } from '../platform/errors.ts';
import { newId } from '../platform/ids.ts';
import type { Apply, Context } from '../platform/implementation.ts';
import { contentOf } from './content.ts';
import { makeInThread } from './maker.ts';
import * as store from './store.ts';
import type { EvidenceRow } from './store.ts';

export interface EvidenceParts {
  readonly configuration: Configuration;
  readonly database: Database;
  readonly hierarchy: Hierarchy;
  readonly ledger: Ledger;
}

/** What one piece of a content holds, bytes: less than the compact form does. */
const partBytes = 60_000;

/** Makes the content, and keeps it with the ledger's entry that has its hash. */
export async function makeDocument(
  parts: EvidenceParts,
  context: Context<'evidence.make'>,
): Promise<Apply<'evidence.make'>> {
  const { input, caller, record, now } = context;
  const { log } = caller;
  const { kind } = input;
  const id = newId();
  // The key of a subject that was erased is gone.
  if (kind === 'subject.erasure') context.payloadUnder = 'log';
  const said = await contentOf(parts, context);
  const content = formatDocument({
    ...said,
    id,
    made: { actor: caller.actor, time: now },
    origin: log.origin,
    title: input.title ?? kinds[kind].title,
    v: 1,
  });
  const hash = sha256Hex(content);
  record.hash = hash;
  const { payloadKey } = parts.ledger.log(log.id);
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < content.length; at += partBytes) {
    const plaintext = content.subarray(at, at + partBytes);
    pieces.push(
      sealCompact({ ...payloadKey, context: partContext(log.origin, id, pieces.length), plaintext }),
    );
  }
  const rowKey = await parts.hierarchy.rowKey(log.tenant);
  return async (tx, time) => {
    const row = { id, log: log.id, kind, hash, actor: caller.actor, parts: pieces.length, made_at: time };
    await store.insertEvidence(tx, rowKey, row, pieces);
    return { id, kind, hash, actor: caller.actor, madeAt: time };
  };
}

/** The document as PDF/A-3, under the newest checkpoint that covers its entry. */
export async function fetchDocument(
  parts: EvidenceParts,
  { input, caller, facts }: Context<'evidence.fetch'>,
): Promise<Uint8Array> {
  const rowKey = await parts.hierarchy.rowKey(caller.log.tenant);
  const found = await facts.read(async (snapshot) => {
    const row = await store.findEvidence(snapshot, rowKey, caller.log.id, input.evidence);
    return row && { row, sealed: await store.partsOf(snapshot, row.id) };
  });
  if (found === undefined) throw new OperationError('evidence.unknown', { field: '/evidence' });
  const log = parts.ledger.log(caller.log.id);
  const content = openContent(log, found.row, found.sealed);
  return makeInThread(await filesOf(parts, log, found.row, content));
}

/** Everything that the document carries. */
async function filesOf(
  parts: EvidenceParts,
  log: TransparencyLog,
  row: EvidenceRow,
  content: Uint8Array,
): Promise<EvidenceFiles> {
  const { index, entry } = await entryOf(parts, log, row);
  const checkpoint = await parts.ledger.present(log.id, index);
  const { size } = parseCheckpoint(parseNote(checkpoint).text);
  if (index >= size) throw new OperationError('evidence.not_covered');
  const hashes = await log.inclusionProof(index, size);
  const listed = listedEntries(parseDocument(content)).map((each) => each.index);
  const stamped = Buffer.from(stampedNote(checkpoint)).toString('utf8');
  const timestamp = await parts.database.read((snapshot) => store.timestampOf(snapshot, log.id, size));
  return {
    'evidence.json': content,
    'entry.json': entry,
    'evidence.tlog-proof': formatProof({ index, hashes, checkpoint }),
    ...(listed.length > 0 && { 'entries.proof': await proofOf(parts, log, listed, size) }),
    ...(timestamp?.note === stamped && { 'checkpoint.tsr': timestamp.token }),
  };
}

/** The entry with which the ledger took up the content, and its place. */
async function entryOf(
  { database }: EvidenceParts,
  log: TransparencyLog,
  { hash, made_at }: EvidenceRow,
): Promise<{ index: number; entry: Uint8Array }> {
  await log.integrate();
  const bound = await database.read((snapshot) => progress(snapshot, log.id));
  const operation = 'evidence.make' satisfies OperationId;
  const conditions = { operation, outcome: 'success', from: made_at, to: made_at + 1 } as const;
  const read: Database['read'] = (work) => database.read(work);
  const range = await rangeOf(read, log.id, conditions, bound);
  const places = await findPlaces(read, log.id, conditions, range, 1000);
  const rows = await database.read((snapshot) => entriesAt(snapshot, log.id, places));
  const found = rows.find(({ bytes }) => {
    const entry = JSON.parse(Buffer.from(bytes).toString('utf8')) as { hash?: string };
    return entry.hash === hash;
  });
  if (found === undefined) throw new OperationError('evidence.not_covered');
  return { index: found.position, entry: found.bytes };
}

function proofOf(
  { database }: EvidenceParts,
  log: TransparencyLog,
  indexes: readonly number[],
  size: number,
): Promise<Uint8Array> {
  return makeEntriesProof(sha256, indexes, size, async ({ level, index, width }) => {
    const hashes = await database.read((snapshot) => readTile(snapshot, log.id, level, index));
    if (hashes === undefined || hashes.length < width * 32) {
      throw new StartupError('database.altered', `Tile ${level}/${index} of log ${log.origin} is missing.`);
    }
    return hashes.subarray(0, width * 32);
  });
}

function openContent(log: TransparencyLog, row: EvidenceRow, sealed: readonly Uint8Array[]): Uint8Array {
  const pieces = sealed.map((ciphertext, part) =>
    openCompact({ ...log.payloadKey, context: partContext(log.origin, row.id, part), ciphertext }),
  );
  const content = Buffer.concat(pieces);
  if (sealed.length !== row.parts || sha256Hex(content) !== row.hash) {
    throw new OperationError('server.data_altered');
  }
  return content;
}

function partContext(origin: string, evidence: string, part: number): Record<string, string> {
  return {
    'trialkeep:evidence': evidence,
    'trialkeep:origin': origin,
    'trialkeep:part': String(part),
  };
}
