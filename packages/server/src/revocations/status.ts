import type { Clock } from '../platform/clock.ts';
import type { Database } from '../platform/database.ts';
import { graceMs } from './drills.ts';
import * as store from './store.ts';

/** What the status page says of drills that should have been done. */
export async function overdueDrills(database: Database, clock: Clock): Promise<string[]> {
  const count = await database.read((snapshot) => store.countOverdue(snapshot, clock.now() - graceMs));
  if (count === 0) return [];
  return [`Drills of emergency revocation are overdue for ${count} of the tenants.`];
}
