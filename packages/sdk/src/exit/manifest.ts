import { maximumExitPages } from '@trialkeep/crypto';
import type { ExitPart } from '@trialkeep/crypto';
import { decodeUtf8, hasShape, isIndex, isJsonObject, isUuid, parseCanonicalObject } from '@trialkeep/ledger';
import { sdkError } from '../errors.ts';

/** The manifest of an exit package (docs/formats/tenant-exit.md). */
export interface ExitManifest {
  readonly exit: string;
  readonly keys: number;
  readonly origin: string;
  readonly pages: readonly ExitManifestPage[];
  /** Id of the escrow key. */
  readonly recipient: string;
  readonly rows: Readonly<Record<string, number>>;
  readonly tenant: string;
  readonly type: 'trialkeep-tenant-exit';
  readonly unexportable: number;
  readonly v: 1;
}

export interface ExitManifestPage {
  readonly bytes: number;
  readonly part: ExitPart;
  readonly records: number;
  readonly sha256: string;
}

export const maxManifestBytes = 8 * 1024 * 1024;
/** Most bytes of a sealed page: what it holds in clear, its header and the tags of its frames. */
const maxPageBytes = 3 * 1024 * 1024;

/** @throws TrialkeepError `exit.package_invalid` */
export function parseExitManifest(bytes: Uint8Array): ExitManifest {
  const text = bytes.length > maxManifestBytes ? undefined : decodeUtf8(bytes);
  const value = text === undefined ? undefined : parseCanonicalObject(text);
  const isManifest =
    value !== undefined &&
    hasShape(value, {
      exit: isUuid,
      keys: isIndex,
      origin: (origin) => typeof origin === 'string' && origin.length > 0 && origin.length <= 300,
      pages: (pages) => Array.isArray(pages) && pages.length <= maximumExitPages && pages.every(isPage),
      recipient: isHash,
      rows: (rows) =>
        isJsonObject(rows) &&
        Object.entries(rows).every(([table, count]) => /^[a-z_]{1,64}$/.test(table) && isIndex(count)),
      tenant: isUuid,
      type: (type) => type === 'trialkeep-tenant-exit',
      unexportable: isIndex,
      v: (v) => v === 1,
    });
  if (!isManifest) throw sdkError('exit.package_invalid', { detail: 'manifest.json' });
  return value as unknown as ExitManifest;
}

function isPage(value: unknown): boolean {
  return hasShape(value, {
    bytes: (bytes) => isIndex(bytes) && (bytes as number) <= maxPageBytes,
    part: (part) => part === 'rows' || part === 'keys',
    records: isIndex,
    sha256: isHash,
  });
}

function isHash(value: unknown): boolean {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
}

/** Where a page lies in the folder. */
export function pagePath(page: number): string {
  return `pages/${String(page).padStart(6, '0')}.sealed`;
}
