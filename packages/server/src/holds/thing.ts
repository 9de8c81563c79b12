import type { HoldAbout } from '@trialkeep/contract';
import { OperationError } from '../platform/errors.ts';
import type { Tx } from '../platform/database.ts';
import type { Recorded } from '../platform/implementation.ts';
import * as store from './store.ts';

/** What a hold, a holder or an attestation is about. */
export interface Thing {
  readonly about: HoldAbout;
  /** Id of the tenant, study or key, or alias of the subject. */
  readonly thing: string;
  /** Of a subject. */
  readonly study: string | null;
}

/** The thing that an input names, put on the record: one at most, a subject with its study; else the tenant. */
export function thingOf(
  input: { readonly study?: string; readonly subject?: string; readonly key?: string },
  tenant: string,
  record: Recorded,
): Thing {
  const { study, subject, key } = input;
  if (key !== undefined) {
    record.key = key;
    if (study !== undefined || subject !== undefined) {
      throw new OperationError('hold.several_things', { field: '/key' });
    }
    return { about: 'key', thing: key, study: null };
  }
  if (study === undefined) {
    if (subject !== undefined) throw new OperationError('hold.several_things', { field: '/subject' });
    return { about: 'tenant', thing: tenant, study: null };
  }
  record.study = study;
  if (subject === undefined) return { about: 'study', thing: study, study: null };
  record.subject = subject;
  return { about: 'subject', thing: subject, study };
}

const unknown = { study: 'study.unknown', subject: 'subject.unknown', key: 'key.unknown' } as const;

/** The state of the thing; refused where the tenant has no such thing. */
export async function requireThing(tx: Tx, tenant: string, thing: Thing): Promise<string> {
  const state = await store.stateOfThing(tx, tenant, thing);
  if (state !== undefined) return state;
  const about = thing.about === 'tenant' ? 'key' : thing.about;
  throw new OperationError(unknown[about], { field: `/${about}` });
}
