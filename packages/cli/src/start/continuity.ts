import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createClient } from '@trialkeep/sdk/client';
import type { Installation } from './installation.ts';
import type { Registered } from './register.ts';
import { send } from './revocation.ts';
import { openAll, systemClients } from './seal-all.ts';
import type { SealedEntry } from './seal-all.ts';

/** What came back after the server's state was lost. */
export interface Continuity {
  readonly identical: number;
  readonly opened: number;
  readonly stillRevoked: boolean;
  readonly rollbackNoticed: boolean;
  /** What the server said about the older copy. */
  readonly reasons: readonly string[];
}

/**
 * Backs the state up, deletes it, restores it, and looks; then restores `olderBackup` in its place, which the server has to
 * notice, and puts the present state back. The server runs again at the end.
 */
export async function loseAndRestore(
  installation: Installation,
  registered: Registered,
  sealed: readonly SealedEntry[],
  olderBackup: string,
): Promise<Continuity> {
  const state = join(installation.dataDirectory, 'state');
  await installation.stop();
  const backup = await installation.backup('newest');
  await rm(state, { recursive: true });
  await rm(join(installation.dataDirectory, 'shred'), { recursive: true });
  await installation.restore(backup);
  const { url } = await installation.start();
  const readable = sealed.filter(({ system }) => system !== 'wearable');
  const identical = await openAll(systemClients(url, registered), readable, () => undefined);
  const revoked = await wearableRefusal(url, registered);
  await installation.stop();

  const aside = join(installation.runFolder, 'state-set-aside');
  await rename(state, aside);
  await installation.restore(olderBackup);
  const recovering = await installation.start();
  const inRecovery = await wearableRefusal(recovering.url, registered);
  await installation.stop();
  await rm(state, { recursive: true });
  await rename(aside, state);
  await installation.start();
  return {
    identical,
    opened: readable.length,
    stillRevoked: revoked === 'key.revoked',
    rollbackNoticed: recovering.state === 'recovery' && inRecovery === 'server.in_recovery',
    reasons: recovering.reasons,
  };
}

/** The code with which the wearable gateway's next request is refused; undefined when it is answered. */
async function wearableRefusal(url: string, registered: Registered): Promise<string | undefined> {
  const { key, credential } = registered.systems.wearable;
  return send(createClient({ url, credential }), key, registered.study, 0);
}
