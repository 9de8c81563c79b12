import { changeOwn, sealDraft } from '../audit/index.ts';
import type { Ledger, SealedDraft } from '../audit/index.ts';
import { withReserve } from '../commit.ts';
import type { Hierarchy } from '../keys/index.ts';
import type { Database } from '../platform/database.ts';
import { OperationError } from '../platform/errors.ts';
import { StaleFacts } from '../platform/facts.ts';
import type { FactsCache } from '../platform/facts.ts';
import { tenantOf } from '../platform/implementation.ts';
import type { Apply, Context } from '../platform/implementation.ts';
import type { Reserve } from '../platform/reserve.ts';
import { grantingRole } from '../access/index.ts';
import { endAll, itemOf } from './end.ts';
import { countsOf, hashOf, planOf } from './plan.ts';
import type { Counts, Ending, Place } from './plan.ts';

export interface RevocationParts {
  readonly database: Database;
  readonly hierarchy: Hierarchy;
  readonly ledger: Ledger;
  readonly facts: FactsCache;
  /** What a revocation in parts may use on a full disk. */
  readonly reserve: Reserve;
  /** How long clients go on using data keys that they have, s. */
  readonly dataKeySeconds: number;
  /** Has due jobs looked for at once. */
  wake(): void;
}

/**
 * Things that end in one transaction. Of more, the first so many end before the rest: the head of the log is held, and a change that
 * takes long keeps everybody from recording anything.
 */
export const maxTogether = 2000;

/** Where the caller asks, and what its rows are sealed with. */
export async function placeOf(
  { hierarchy }: Pick<RevocationParts, 'hierarchy'>,
  { caller }: Pick<Context<'revocations.revoke'>, 'caller'>,
): Promise<Place> {
  const tenant = tenantOf(caller);
  return { rowKey: await hierarchy.rowKey(tenant), log: caller.log, tenant, actor: caller.actor };
}

/**
 * Ends everything that is bound to the scope. The plan is made under the epoch that the transaction compares, so that nothing
 * which was bound to it meanwhile escapes: then it is planned anew.
 */
export async function revoke(
  parts: RevocationParts,
  context: Context<'revocations.revoke'>,
): Promise<Apply<'revocations.revoke'>> {
  const { input, record, facts, now, payload, items } = context;
  const { scope, cause } = input;
  record.reason = cause;
  nameScope(context);
  const place = await placeOf(parts, context);
  const plan = await facts.read((snapshot) => planOf(snapshot, place, scope, { cause, time: now }));
  const hash = hashOf(scope, plan);
  const { endings } = plan;
  // What this call itself has ended in parts is nothing that the preview did not know.
  const begun = await context.once(async (): Promise<{ first?: { hash: string; ended: Counts } }> => ({}));
  if (begun.first === undefined && input.preview !== undefined && input.preview !== hash) {
    throw new OperationError('revocation.preview_outdated', { field: '/preview' });
  }
  if (endings.length > maxTogether) {
    begun.first ??= { hash, ended: countsOf(endings) };
    await endInParts(parts, context, place);
    throw new StaleFacts(place.log.id);
  }
  const { hash: named, ended } = begun.first ?? { hash, ended: countsOf(endings) };
  record.hash = named;
  Object.assign(payload, { ended });
  if (endings.length > 0) {
    items.push(...endings.map((ending) => itemOf(ending, cause)), {
      record: { ...record },
      payload: { input: { scope, cause, reason: input.reason }, ended },
    });
  }
  return async (tx, time) => {
    await endAll(tx, endings, { ...place, cause, time });
    return { ended, revokedAt: time };
  };
}

/** The summary's entry is found by what was revoked, as far as entries know it; a vendor is named in its payload. */
function nameScope({ input, record }: Context<'revocations.revoke'>): void {
  const { system, study, person, credential, key } = input.scope;
  const named = { system, study, person, credential, key };
  for (const [name, id] of Object.entries(named)) if (id !== undefined) Object.assign(record, { [name]: id });
}

/**
 * Ends what is more than one transaction takes, each part with its entries, until the rest fits into the last. It was permitted when
 * it began: a caller whose own rights end meanwhile has still given the order.
 */
async function endInParts(
  { database, ledger, facts, reserve }: RevocationParts,
  { input, caller, now }: Context<'revocations.revoke'>,
  place: Place,
): Promise<void> {
  const { scope, cause, reason } = input;
  const { log } = place;
  const { origin, payloadKey } = ledger.log(log.id);
  const role = grantingRole(caller, 'revocations:do');
  const drafts = (endings: readonly Ending[]): SealedDraft[] =>
    endings.map((ending) => {
      const { record, payload } = itemOf(ending, cause);
      const operation = 'revocations.revoke';
      const draft = { operation, actor: caller.actor, outcome: 'success', recorded: record } as const;
      return sealDraft({ ...draft, ...(role && { role }) }, origin, { ...payload, reason }, payloadKey);
    });
  for (;;) {
    const most = maxTogether + 1;
    const left = await database.read((snapshot) =>
      planOf(snapshot, place, scope, { cause, time: now, most }),
    );
    if (left.endings.length <= maxTogether) return;
    const part = () =>
      changeOwn(ledger, facts, log.id, async (tx, time) => {
        // Whatever it was planned by may have changed since.
        const { endings } = await planOf(tx, place, scope, { cause, time, most: maxTogether });
        await endAll(tx, endings, { ...place, cause, time });
        const [draft, ...further] = drafts(endings);
        if (draft === undefined) throw new Error('Nothing is left to end.');
        return { result: undefined, draft, further };
      });
    await withReserve(reserve, part);
  }
}
