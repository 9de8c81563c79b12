import type { Entry } from '../../audit/index.ts';
import type { Tx } from '../../platform/database.ts';
import * as store from './store.ts';

/**
 * Ends every import of a database that was put back, whose tokens may have been used since, and notes the material that the ledger
 * says was brought or exported. Gives what is gone.
 */
export async function recoverImports(
  tx: Tx,
  tenant: string | null,
  entries: readonly Entry[],
): Promise<string[]> {
  for (const { outcome, material } of entries) {
    if (outcome === 'success' && material !== undefined) {
      await store.noteMaterial(tx, Buffer.from(material, 'hex'));
    }
  }
  const ended = tenant === null ? 0 : await store.removeAll(tx, tenant);
  return ended === 0 ? [] : [`Imports of keys: ${ended} that were open; ask for parameters anew.`];
}
