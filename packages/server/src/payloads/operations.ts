import type { OperationId } from '@trialkeep/contract';
import { findPayloads, openPayload } from '../audit/index.ts';
import type { Ledger } from '../audit/index.ts';
import type { Hierarchy } from '../keys/index.ts';
import type { Database } from '../platform/database.ts';
import type { Context, Implementations } from '../platform/implementation.ts';
import { redact } from './redact.ts';

export type PayloadOperationId = Extract<OperationId, `payloads.${string}`>;

export interface PayloadParts {
  readonly database: Database;
  readonly hierarchy: Hierarchy;
  readonly ledger: Ledger;
}

/** Binds the operations on payloads to their behaviour. */
export function payloadImplementations(parts: PayloadParts): Implementations<PayloadOperationId> {
  return {
    'payloads.open': (context) => open(parts, context),
    'payloads.redact': (context) => redact(parts, context),
  };
}

async function open(parts: PayloadParts, { input: { first, count }, caller }: Context<'payloads.open'>) {
  const log = parts.ledger.log(caller.log.id);
  await log.integrate();
  const found = await parts.database.read((snapshot) => findPayloads(snapshot, log, first, count));
  const payloads = [];
  for (const each of found) {
    const opened = await openPayload(parts.hierarchy, log, each);
    const isOpen = opened.state === 'open';
    payloads.push({
      index: each.position,
      entry: each.entry.entry,
      state: opened.state,
      content: isOpen ? opened.content : null,
      blinding: isOpen ? Buffer.from(opened.blinding).toString('base64') : null,
    });
  }
  return { payloads };
}
