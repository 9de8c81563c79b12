import {
  encodeExitKey,
  exitPageContext,
  generateDataKey,
  maximumExitPageBytes,
  parseEscrowRecipient,
  sealBytes,
} from '@trialkeep/crypto';
import type { ExitPart, KeyPlace } from '@trialkeep/crypto';
import type { KeyObject } from 'node:crypto';
import type { TransparencyLog } from '../audit/index.ts';
import { payloadPlace, shreddablePlace, systemPlace } from '../keys/index.ts';
import type { Hierarchy } from '../keys/index.ts';
import type { Facts } from '../platform/facts.ts';
import { idBytes, idOfBytes } from '../platform/ids.ts';
import * as store from './store.ts';
import type { Column } from './store.ts';
import { exitTables } from './tables.ts';

/** How far a copy is, as its row keeps it. */
export interface Progress {
  readonly part: ExitPart | 'end';
  /** Of `rows`: the table that is under way; of `keys`: the kind. */
  readonly at: number;
  readonly after: readonly (string | number | { readonly base64: string })[] | undefined;
  readonly rows: Readonly<Record<string, number>>;
  readonly keys: number;
  readonly unexportable: number;
}

export const atStart: Progress = {
  part: 'rows',
  at: 0,
  after: undefined,
  rows: {},
  keys: 0,
  unexportable: 0,
};

/** What a page holds in clear; the caller zeroes it. */
export interface ClearPage {
  readonly part: ExitPart;
  readonly clear: Buffer;
  readonly records: number;
  readonly next: Progress;
}

export interface PageParts {
  readonly hierarchy: Hierarchy;
  readonly log: TransparencyLog;
  readonly tenant: string;
  readonly exit: string;
  readonly facts: Facts;
}

/** Rows and keys that are read at a time; fewer rows go into a page where they are long. */
const recordsPerRead = 100;
/** Where a page ends: the last row, or the last keys that were read, fit the bound of the format beyond it. */
const fullPageBytes = maximumExitPageBytes / 2;
/** Each key is unwrapped and tried: so many take some seconds at most. */
const mostKeysPerPage = 2000;
const keyKinds = ['system', 'study', 'subject', 'payload'] as const;

/** The page behind `from`; undefined behind the last. What has become empty on the way is passed over. */
export async function nextPage(parts: PageParts, from: Progress): Promise<ClearPage | undefined> {
  const pieces: Buffer[] = [];
  let [progress, records, size] = [from, 0, 0];
  let part: ExitPart | undefined;
  try {
    while (progress.part !== 'end' && size < fullPageBytes) {
      if (records > 0 && progress.part !== part) break;
      part = progress.part;
      if (part === 'keys' && records >= mostKeysPerPage) break;
      const left = fullPageBytes - size;
      const more = part === 'rows' ? await rowsPage(parts, progress, left) : await keysPage(parts, progress);
      pieces.push(more.clear);
      records += more.records;
      size += more.clear.length;
      progress = more.next;
    }
    if (part === undefined || records === 0) return undefined;
    return { part, clear: Buffer.concat(pieces), records, next: progress };
  } finally {
    for (const piece of pieces) piece.fill(0);
  }
}

/** Seals a page for the recipient, bound to its place. */
export async function sealPage(
  recipientFile: string,
  place: { readonly exit: string; readonly page: number; readonly part: ExitPart },
  clear: Uint8Array,
): Promise<Uint8Array> {
  const { recipient } = await parseEscrowRecipient(recipientFile);
  const context = exitPageContext(place);
  const dataKey = generateDataKey();
  try {
    const encryptedDataKeys = [await recipient.wrap(dataKey, context)];
    return await sealBytes(clear, { dataKey, encryptedDataKeys, context });
  } finally {
    dataKey.fill(0);
  }
}

/** @param left bytes until the page is full */
async function rowsPage({ facts, tenant, log }: PageParts, from: Progress, left: number): Promise<ClearPage> {
  const table = exitTables[from.at];
  const lines: Buffer[] = [];
  if (table === undefined) return pageOf('rows', lines, { ...from, part: 'keys', at: 0, after: undefined });
  const after = from.after?.map((value) => (typeof value === 'object' ? bytesOf(value) : value));
  const rows = await facts.read((tx) =>
    store.rowsOf(tx, table, { tenant, log: log.id }, { after, limit: recordsPerRead }),
  );
  let last: Record<string, Column> | undefined;
  let size = 0;
  for (const row of rows) {
    if (size >= left) break;
    const columns = Object.entries(row).filter(([name]) => !table.without.includes(name));
    const said = Object.fromEntries(columns.map(([name, value]) => [name, jsonOf(value)]));
    const line = Buffer.from(`${JSON.stringify({ table: table.table, row: said })}\n`);
    lines.push(line);
    size += line.length;
    last = row;
  }
  const counted = { ...from.rows, [table.table]: (from.rows[table.table] ?? 0) + lines.length };
  const isDone = lines.length === rows.length && rows.length < recordsPerRead;
  const behind = last && table.key.map((name) => jsonOf(last[name] ?? null) as string | number);
  const next = isDone
    ? { ...from, rows: counted, at: from.at + 1, after: undefined }
    : { ...from, rows: counted, after: behind };
  return pageOf('rows', lines, next);
}

function bytesOf({ base64 }: { readonly base64: string }): Uint8Array {
  return Buffer.from(base64, 'base64');
}

function jsonOf(value: Column): string | number | null | { readonly base64: string } {
  if (value instanceof Uint8Array) return { base64: Buffer.from(value).toString('base64') };
  return typeof value === 'bigint' ? Number(value) : value;
}

function pageOf(part: ExitPart, pieces: readonly Buffer[], next: Progress): ClearPage {
  const clear = Buffer.concat(pieces);
  return { part, clear, records: pieces.length, next };
}

async function keysPage(parts: PageParts, from: Progress): Promise<ClearPage> {
  const kind = keyKinds[from.at];
  if (kind === undefined) return pageOf('keys', [], { ...from, part: 'end' });
  const [after = ''] = (from.after ?? []) as string[];
  const found = await keysOf(parts, kind, after);
  try {
    const isDone = found.read < recordsPerRead;
    const counted = {
      ...from,
      keys: from.keys + found.records.length,
      unexportable: from.unexportable + found.unexportable,
    };
    const next = isDone
      ? { ...counted, at: from.at + 1, after: undefined }
      : { ...counted, after: [found.last] };
    return pageOf('keys', found.records, next);
  } finally {
    for (const record of found.records) record.fill(0);
  }
}

interface FoundKeys {
  readonly records: Buffer[];
  /** How many were looked at, and the last of them. */
  readonly read: number;
  readonly last: string;
  readonly unexportable: number;
}

async function keysOf(parts: PageParts, kind: (typeof keyKinds)[number], after: string): Promise<FoundKeys> {
  if (kind === 'system') return systemKeys(parts, after);
  const { hierarchy, facts, tenant, log } = parts;
  if (kind === 'payload') {
    const versionId = idOfBytes(log.payloadKey.keyVersionId);
    const records = [recordOf(parts, payloadPlace(tenant, versionId), log.payloadKey.key)];
    return { records, read: 1, last: versionId, unexportable: 0 };
  }
  const ids = await facts.read((tx) =>
    store.shreddablesAfter(tx, tenant, kind, { after, limit: recordsPerRead }),
  );
  const records: Buffer[] = [];
  for (const id of ids) {
    // What was erased has none.
    const key = await hierarchy.shreddable(tenant, kind, id);
    if (key === undefined) continue;
    records.push(recordOf(parts, shreddablePlace(kind, tenant, id, idOfBytes(key.keyVersionId)), key.key));
  }
  return { records, read: ids.length, last: ids.at(-1) ?? after, unexportable: 0 };
}

async function systemKeys(parts: PageParts, after: string): Promise<FoundKeys> {
  const { hierarchy, facts, tenant } = parts;
  const versions = await facts.read((tx) => store.versionsAfter(tx, tenant, after, recordsPerRead));
  const records: Buffer[] = [];
  let unexportable = 0;
  for (const { id, key, algorithm, purpose, public_key: publicKey, held, destroyed } of versions) {
    const kind = { algorithm, purpose };
    const secret = held ? await hierarchy.systemSecret(tenant, { id: key, ...kind }, id) : undefined;
    if (secret !== undefined) {
      records.push(recordOf(parts, systemPlace(tenant, key, id, kind), secret, publicKey ?? undefined));
    } else if (!destroyed) unexportable++;
  }
  return { records, read: versions.length, last: versions.at(-1)?.id ?? after, unexportable };
}

function recordOf({ exit }: PageParts, place: KeyPlace, key: KeyObject, publicKey?: Uint8Array): Buffer {
  return encodeExitKey(idBytes(exit), { place, key }, publicKey);
}
