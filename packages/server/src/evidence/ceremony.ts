import { parseMinutes } from '@trialkeep/evidence';
import type { Bodies } from '@trialkeep/evidence';
import { entriesAt, findPayload, openPayload } from '../audit/index.ts';
import type { Ledger, TransparencyLog } from '../audit/index.ts';
import { ceremonyOperation } from '../ceremony/index.ts';
import type { Hierarchy } from '../keys/index.ts';
import type { Database } from '../platform/database.ts';
import { OperationError } from '../platform/errors.ts';
import type { Context } from '../platform/implementation.ts';

export interface CeremonyParts {
  readonly database: Database;
  readonly hierarchy: Hierarchy;
  readonly ledger: Ledger;
}

/** The minutes of the key ceremony whose entry is named: they are its payload. */
export async function ceremony(
  { database, hierarchy }: CeremonyParts,
  log: TransparencyLog,
  { input }: Context<'evidence.make'>,
): Promise<Bodies['root.ceremony']> {
  const { ceremony: id } = input;
  if (id === undefined) throw new OperationError('request.invalid', { field: '/ceremony' });
  await log.integrate();
  const found = await database.read((snapshot) => findPayload(snapshot, log, id));
  if (found === undefined || found.entry.operation !== ceremonyOperation) {
    throw new OperationError('entry.unknown', { field: '/ceremony' });
  }
  const payload = await openPayload(hierarchy, log, found);
  if (payload.state !== 'open') throw new OperationError('payload.withheld', { field: '/ceremony' });
  const { minutes } = JSON.parse(payload.content) as { minutes: string };
  if (parseMinutes(minutes) === undefined) throw new OperationError('server.data_altered');
  const rows = await database.read((snapshot) => entriesAt(snapshot, log.id, [found.position]));
  const entries = rows.map(({ position, bytes }) => ({
    index: position,
    entry: JSON.parse(
      Buffer.from(bytes).toString('utf8'),
    ) as Bodies['root.ceremony']['entries'][number]['entry'],
  }));
  return { entries, minutes, size: log.size };
}
