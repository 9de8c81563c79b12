import type { Tx } from '../platform/database.ts';
import { remove, schedule } from '../platform/jobs/index.ts';

/** The task of the jobs that destroy all keys of tenants that have left. */
export const shreddingTask = 'tenants.shred';

function jobName(tenant: string): string {
  return `${shreddingTask}/${tenant}`;
}

/** Makes the shredding the only one of the tenant that is waiting, in the transaction that writes its exit. */
export async function scheduleShredding(tx: Tx, tenant: string, dueAt: number): Promise<void> {
  await schedule(tx, { name: jobName(tenant), task: shreddingTask, input: { tenant, dueAt }, dueAt });
}

export async function cancelShredding(tx: Tx, tenant: string): Promise<void> {
  await remove(tx, jobName(tenant));
}
