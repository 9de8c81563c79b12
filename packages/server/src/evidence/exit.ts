import type { Bodies } from '@trialkeep/evidence';
import type { TransparencyLog } from '../audit/index.ts';
import { openErasures, registriesOf } from '../erasure/index.ts';
import { findExit } from '../exit/index.ts';
import { remainingHolders } from '../holders/index.ts';
import { OperationError } from '../platform/errors.ts';
import { tenantOf } from '../platform/implementation.ts';
import type { Context } from '../platform/implementation.ts';
import { listed, remainingCopies, sentence } from './certificates.ts';
import type { Find } from './certificates.ts';
import type { ContentParts } from './content.ts';

const operations = [
  'tenants.exit',
  'tenants.copy-exit',
  'tenants.confirm-exit',
  'tenants.shred',
  'tenants.cancel-exit',
] as const;

/** The certificate of the copy that a tenant takes along, and of the end of its keys. */
export async function exitCertificate(
  parts: ContentParts,
  log: TransparencyLog,
  { caller, now }: Context<'evidence.make'>,
  find: Find,
): Promise<Bodies['tenant.exit']> {
  const tenant = tenantOf(caller);
  const { database, hierarchy } = parts;
  const [rowKey, registries] = await Promise.all([hierarchy.rowKey(tenant), registriesOf(parts, tenant)]);
  const exit = await database.read((tx) => findExit(tx, rowKey, tenant));
  if (exit === undefined || exit.state === 'copying' || exit.manifest === null) {
    throw new OperationError('evidence.not_copied');
  }
  const { id, state, manifest, changed_at: destroyedAt } = exit;
  const found = await listed(parts, log, find, {}, operations);
  // Each page has an entry; what they add up to is the one of the manifest.
  const entries = found.entries.filter(
    ({ entry }) => entry.operation !== 'tenants.copy-exit' || entry['state'] === 'copied',
  );
  const isOver = state === 'shredding' || state === 'shredded';
  const remaining = !isOver
    ? []
    : await database.read(async (tx) => {
        const destroyed = { about: 'tenant', thing: tenant, study: null, destroyedAt } as const;
        const places = await remainingHolders(tx, registries, destroyed, now);
        const erasures = await openErasures(tx, tenant);
        const copies = erasures.some(({ renewed_at }) => renewed_at === null) ? [remainingCopies] : [];
        return [...copies, ...places.map(sentence)];
      });
  return { ...found, entries, exit: id, manifest, remaining, state, tenant };
}
