import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileDurably } from '../platform/files.ts';
import type { Going } from './follow-up.ts';
import * as store from './store.ts';
import type { ReplacementLogRow } from './store.ts';

/** What has to be assumed known of one owner's keys, and what people still have to do about it. */
export interface ReplacedOwner {
  readonly log: string;
  /** Absent of the instance itself. */
  readonly tenant?: string;
  /** The verifier keys that the log signs with from now on: to be given to those who verify it, by another way than the log. */
  readonly verifierKeys: readonly string[];
  /** Versions of keys that were made before: what was encrypted under them stays readable to whoever has them. */
  readonly versions: readonly { readonly key: string; readonly version: number; readonly purpose: string }[];
  /** Keys that people have to renew: imported ones, and those of a tenant with a root of its own. */
  readonly left: readonly string[];
  /** Whose generators of one-time codes were made before: enrol them anew. */
  readonly oneTimeCodes: readonly string[];
  /** Credentials that sign requests, whose secrets were stored: make new ones and revoke these. */
  readonly accessKeys: readonly string[];
}

/** What a replacement has come to, without the lists, which the file has. */
export interface ReplacementReport {
  readonly id: string;
  readonly root: string;
  readonly reason: string;
  /** ms since 1970: what was made before is to be taken for known. */
  readonly replacedAt: number;
  readonly tenants: number;
  readonly versions: number;
  readonly left: number;
  readonly oneTimeCodes: number;
  readonly accessKeys: number;
  /** Where the lists are. */
  readonly file: string;
}

/** Writes down what is to be assumed known; the same again writes the same. */
export async function writeReport(
  { instance, replacement }: Going,
  logs: readonly ReplacementLogRow[],
): Promise<ReplacementReport> {
  const { database, ledger, directory } = instance;
  const { id, root, reason, begun_at: replacedAt } = replacement;
  const owners: ReplacedOwner[] = [];
  for (const { log: logId } of logs) {
    const log = await ledger.open(logId);
    const { tenant, origin } = log;
    const found = await database.read(async (snapshot) => ({
      versions: tenant === null ? [] : await store.versionsBefore(snapshot, tenant, replacedAt),
      left: tenant === null ? [] : await store.keysLeft(snapshot, tenant, replacedAt),
      oneTimeCodes: await store.oneTimeCodes(snapshot, logId, replacedAt),
      accessKeys: await store.accessKeys(snapshot, logId, replacedAt),
      verifierKeys: await store.verifierKeys(snapshot, logId),
    }));
    owners.push({ log: origin, ...(tenant !== null && { tenant }), ...found });
  }
  const folder = join(directory.path, 'replacements');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, `${id}.json`);
  writeFileDurably(file, `${JSON.stringify({ format: 1, id, root, reason, replacedAt, owners }, null, 2)}\n`);
  const sum = (count: (owner: ReplacedOwner) => number): number =>
    owners.reduce((total, owner) => total + count(owner), 0);
  return {
    id,
    root,
    reason,
    replacedAt,
    tenants: owners.filter(({ tenant }) => tenant !== undefined).length,
    versions: sum(({ versions }) => versions.length),
    left: sum(({ left }) => left.length),
    oneTimeCodes: sum(({ oneTimeCodes }) => oneTimeCodes.length),
    accessKeys: sum(({ accessKeys }) => accessKeys.length),
    file,
  };
}
