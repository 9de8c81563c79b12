import { randomInt } from 'node:crypto';
import { generateCredential } from '@trialkeep/crypto';
import type { OperationId } from '@trialkeep/contract';
import { createCredential } from '../access/index.ts';
import type { Ledger } from '../audit/index.ts';
import type { Hierarchy } from '../keys/index.ts';
import { deriveRowKey } from '../keys/index.ts';
import { newId } from '../platform/ids.ts';
import type { Apply, Context, Implementations } from '../platform/implementation.ts';
import * as store from './store.ts';

export type TenantOperationId = Extract<OperationId, `tenants.${'create' | 'list'}`>;

/** What making tenants needs. */
export interface TenantParts {
  readonly hierarchy: Hierarchy;
  readonly ledger: Ledger;
  /** What the origins of this instance's logs begin with. */
  readonly origin: string;
}

/** Binds the tenant operations of the contract to their behaviour. */
export function tenantImplementations(parts: TenantParts): Implementations<TenantOperationId> {
  return {
    'tenants.create': (context) => create(parts, context),
    'tenants.list': async ({ facts }) => {
      const rows = await facts.read((snapshot) => store.listTenants(snapshot));
      return { tenants: rows.map(({ verifier_key, ...row }) => ({ ...row, verifierKey: verifier_key })) };
    },
  };
}

/** Twelve digits, the first not zero, as account numbers of the AWS protocol have them. */
function newAccount(): string {
  return `${randomInt(1, 10)}${String(randomInt(0, 100_000_000_000)).padStart(11, '0')}`;
}

async function create(
  { hierarchy, ledger, origin: prefix }: TenantParts,
  context: Context<'tenants.create'>,
): Promise<Apply<'tenants.create'>> {
  const { input, caller, payload } = context;
  const id = newId();
  const account = newAccount();
  const origin = `${prefix}/${id}`;
  const tenantKey = hierarchy.newTenantKey(id);
  const log = ledger.newLog(origin, id, tenantKey.key);
  const rowKey = deriveRowKey(tenantKey.key);
  const secret = generateCredential();
  payload['tenant'] = id;
  return async (tx, time) => {
    await store.insertTenant(tx, {
      id,
      account,
      name: input.name,
      key_version: tenantKey.versionId,
      wrapped_key: tenantKey.wrapped,
      created_at: time,
    });
    await store.insertSeal(tx, rowKey, { tenant: id, state: 'open', changed_at: time });
    const genesis = {
      operation: 'tenants.create',
      actor: caller.actor,
      role: 'instance-administrator' as const,
      outcome: 'success' as const,
      recorded: {},
    };
    const stored = await log.store(tx, time, genesis, { name: input.name, account });
    const custodian = await createCredential(tx, rowKey, {
      log: stored.log,
      name: 'first custodian',
      role: 'custodian',
      secret,
      time,
    });
    context.afterCommit.push(stored.opened);
    return {
      tenant: { id, account, name: input.name, origin, verifierKey: log.verifierKey },
      custodian: { id: custodian, secret },
    };
  };
}
