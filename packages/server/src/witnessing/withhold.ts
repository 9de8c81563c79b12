import type { OperationId } from '@trialkeep/contract';
import { changeOwn, sealDraft } from '../audit/index.ts';
import type { FactsCache } from '../platform/facts.ts';
import type { Context } from '../platform/implementation.ts';
import { OperationError } from '../platform/errors.ts';
import { currentIn, isWithheld } from './current.ts';
import type { Current, WitnessingParts } from './current.ts';
import * as store from './store.ts';

/**
 * Lets a use of keys pass only so long as the log is witnessed as its policy requires. The window is the authorisation's: the flush
 * compares it with the database's time in the transaction that writes the entry, so that it holds on every node.
 *
 * @throws OperationError `ledger.unwitnessed`
 */
export function holdBack({ now, validity }: Context<OperationId>, { setting, deadline }: Current): void {
  if (setting.mode !== 'required') return;
  if (now >= deadline) throw new OperationError('ledger.unwitnessed');
  validity.push({ from: 0, until: deadline, refusal: 'ledger.unwitnessed' });
}

/** Already gone by another node, or by now. */
class Overtaken extends Error {}

/** Writes down, once, that results of key use are withheld from now on, or no longer. */
export async function recordWithholding(
  parts: WitnessingParts & { readonly facts: FactsCache },
  current: Current,
): Promise<void> {
  if (isWithheld(current) === (current.progress.withheld_since !== null)) return;
  const { log, rowKey } = current;
  try {
    await changeOwn(parts.ledger, parts.facts, log.id, async (tx, time) => {
      const progress = await store.lockProgress(tx, rowKey, log.id);
      const now = await currentIn(tx, parts, log, rowKey, 1);
      if (progress === undefined || now === undefined) throw new Overtaken();
      const withheld = isWithheld(now);
      if (withheld === (progress.withheld_since !== null)) throw new Overtaken();
      await store.putProgress(tx, rowKey, { ...progress, withheld_since: withheld ? time : null });
      const draft = {
        operation: withheld ? 'witnessing.withhold' : 'witnessing.release',
        outcome: 'success',
        recorded: { policy: now.setting.hash, state: withheld ? 'withheld' : 'released' },
      } as const;
      const failing = [...now.cosigners.values()].filter(({ failure }) => failure !== null);
      const payload = {
        size: now.size,
        witnessedSize: progress.witnessed_size,
        boundSeconds: now.setting.boundSeconds,
        since: progress.withheld_since,
        failing: failing.map(({ cosigner, failure, failing_since: since }) => ({ cosigner, failure, since })),
      };
      return { result: undefined, draft: sealDraft(draft, log.origin, payload, log.payloadKey) };
    });
  } catch (error) {
    if (!(error instanceof Overtaken)) throw error;
  }
}
