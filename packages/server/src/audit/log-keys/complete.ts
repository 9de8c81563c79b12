import type { Hierarchy } from '../../keys/index.ts';
import type { Database } from '../../platform/database.ts';
import type { FactsCache } from '../../platform/facts.ts';
import { sealDraft } from '../entry.ts';
import type { Ledger } from '../ledger.ts';
import { changeOwn } from '../own-entries.ts';
import { logKeyAlgorithms, newLogKey } from './keys.ts';
import * as store from './store.ts';

export interface CompletionParts {
  readonly database: Database;
  readonly hierarchy: Hierarchy;
  readonly ledger: Ledger;
  readonly facts: FactsCache;
}

/** Another node was faster. */
class AlreadyThere extends Error {}

/**
 * Gives logs from before there were several keys the ones that they lack, at start. Each addition is an entry with the new
 * verifier key, under a checkpoint that the key it had signs too.
 */
export async function completeLogKeys({
  database,
  hierarchy,
  ledger,
  facts,
}: CompletionParts): Promise<void> {
  for (const algorithm of logKeyAlgorithms) {
    const lacking = await database.read((snapshot) => store.logsWithoutKey(snapshot, algorithm));
    for (const id of lacking) {
      const log = await ledger.open(id);
      const made = newLogKey(hierarchy, log, algorithm);
      const adding = changeOwn(ledger, facts, id, async (tx) => {
        const rows = await store.logKeys(tx, id);
        if (rows.some((row) => row.algorithm === algorithm && row.state === 'active'))
          throw new AlreadyThere();
        const from_size = await store.sizeOfLog(tx, id);
        await store.insertLogKeys(tx, [{ ...made, log: id, from_size }]);
        const recorded = { logKeys: { begins: [made.verifier_key], ends: [] } };
        const draft = { operation: 'ledger.add-key', outcome: 'success' as const, recorded };
        return { result: undefined, draft: sealDraft(draft, log.origin, {}, log.payloadKey) };
      });
      await adding.catch((error: unknown) => {
        if (!(error instanceof AlreadyThere)) throw error;
      });
      await ledger.anchorNow(id);
    }
  }
}
