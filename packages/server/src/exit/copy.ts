import { firstOpened, maximumExitPages, nextOpened, parseEscrowRecipient } from '@trialkeep/crypto';
import { canonicalBytes, sha256Hex } from '../platform/canonical.ts';
import { OperationError } from '../platform/errors.ts';
import { tenantOf } from '../platform/implementation.ts';
import type { Apply, Context } from '../platform/implementation.ts';
import { idBytes } from '../platform/ids.ts';
import { exitIn } from './exit-in.ts';
import type { ExitParts } from './operations.ts';
import { atStart, nextPage, sealPage } from './pages.ts';
import type { ClearPage, Progress } from './pages.ts';
import * as store from './store.ts';
import type { Exit, PageRow } from './store.ts';

const maxManifestBytes = 8 * 1024 * 1024;

/**
 * Makes the next page of the copy, or, behind the last, the manifest. Page 0 begins anew, whatever was copied before: nothing of a copy
 * that was interrupted is gone on with.
 */
export async function copyPage(
  { hierarchy, ledger }: ExitParts,
  context: Context<'tenants.copy-exit'>,
): Promise<Apply<'tenants.copy-exit'>> {
  const { input, caller, facts, record } = context;
  const tenant = tenantOf(caller);
  const rowKey = await hierarchy.rowKey(tenant);
  const admit = (row: Exit): Exit => {
    if (input.page === 0) return anew(row);
    if (row.state !== 'copying') throw new OperationError('exit.state', { detail: `It is ${row.state}.` });
    if (row.pages !== input.page) throw new OperationError('exit.page', { field: '/page' });
    return row;
  };
  const known = admit(await facts.read((tx) => exitIn(tx, rowKey, context, ['copying', 'copied'])));
  const progress = JSON.parse(known.progress) as Progress;
  const log = ledger.log(caller.log.id);
  const page = await nextPage({ hierarchy, log, tenant, exit: known.id, facts }, progress);
  if (page !== undefined && input.page >= maximumExitPages) throw new OperationError('exit.too_large');
  const made = page === undefined ? undefined : await sealed(known, page, input.page);
  const manifest = page === undefined ? await manifestOf(known, log.origin, facts) : undefined;
  return async (tx, time) => {
    const row = admit(await exitIn(tx, rowKey, context, ['copying', 'copied']));
    if (input.page === 0) await store.deletePages(tx, tenant);
    if (made === undefined || page === undefined) {
      if (manifest === undefined) throw new Error('There is neither page nor manifest.');
      const hash = sha256Hex(manifest);
      await store.put(tx, rowKey, { ...row, state: 'copied', manifest: hash, changed_at: time });
      Object.assign(record, { state: 'copied', hash });
      return { page: null, manifest: Buffer.from(manifest).toString('utf8') };
    }
    await store.insertPage(tx, { ...made.row, tenant });
    const next = { ...row, pages: input.page + 1, opened: made.opened, changed_at: time };
    await store.put(tx, rowKey, { ...next, progress: JSON.stringify(page.next) });
    Object.assign(record, { state: row.state, hash: made.row.hash });
    return { page: Buffer.from(made.bytes).toString('base64'), manifest: null };
  };
}

function anew(row: Exit): Exit {
  const opened = firstOpened(idBytes(row.id)).toString('hex');
  return { ...row, state: 'copying', pages: 0, progress: JSON.stringify(atStart), opened, manifest: null };
}

/** The page as it leaves, its row, and the opened hash after it. What it holds in clear is zeroed. */
async function sealed({ id: exit, recipient, opened }: Exit, page: ClearPage, number: number) {
  const { clear, part, records } = page;
  try {
    const next = nextOpened(Buffer.from(opened, 'hex'), clear).toString('hex');
    const bytes = await sealPage(recipient, { exit, page: number, part }, clear);
    const row = { page: number, part, bytes: bytes.length, records, hash: sha256Hex(bytes) };
    return { bytes, row: row satisfies Omit<PageRow, 'tenant'>, opened: next };
  } finally {
    clear.fill(0);
  }
}

/** What the package has to hold (docs/formats/tenant-exit.md). @throws OperationError `exit.too_large` */
async function manifestOf(
  { tenant, id: exit, recipient, progress }: Exit,
  origin: string,
  facts: Context<'tenants.copy-exit'>['facts'],
): Promise<Uint8Array> {
  const { rows, keys, unexportable } = JSON.parse(progress) as Progress;
  const pages = await facts.read((tx) => store.listPages(tx, tenant));
  const { id } = await parseEscrowRecipient(recipient);
  const manifest = canonicalBytes({
    exit,
    keys,
    origin,
    pages: pages.map(({ part, bytes, records, hash }) => ({ bytes, part, records, sha256: hash })),
    recipient: id,
    rows,
    tenant,
    type: 'trialkeep-tenant-exit',
    unexportable,
    v: 1,
  });
  if (manifest.length > maxManifestBytes) throw new OperationError('exit.too_large');
  return manifest;
}
