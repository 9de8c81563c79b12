import type { Bodies } from '@trialkeep/evidence';
import type { TransparencyLog } from '../audit/index.ts';
import { findErasure, registriesOf, remainingOf, wholeStudy } from '../erasure/index.ts';
import { findStudyErasure } from '../keys/index.ts';
import { OperationError } from '../platform/errors.ts';
import { tenantOf } from '../platform/implementation.ts';
import type { Context } from '../platform/implementation.ts';
import { listed, remainingCopies, sentence, settling } from './certificates.ts';
import type { Find } from './certificates.ts';
import type { ContentParts } from './content.ts';

/** The certificate of the erasure of a whole study. */
export async function studyErasure(
  parts: ContentParts,
  log: TransparencyLog,
  { input, caller, now, record }: Context<'evidence.make'>,
  find: Find,
): Promise<Bodies['study.erasure']> {
  const { study } = input;
  if (study === undefined) throw new OperationError('request.invalid', { field: '/study' });
  record.study = study;
  const tenant = tenantOf(caller);
  const [rowKey, registries] = await Promise.all([
    parts.hierarchy.rowKey(tenant),
    registriesOf(parts, tenant),
  ]);
  const known = await parts.database.read((tx) => findStudyErasure(tx, rowKey, tenant, study));
  if (known?.state !== 'erasing' && known?.state !== 'erased') {
    throw new OperationError('evidence.not_erased', { field: '/study' });
  }
  const { state } = known;
  const found = await listed(parts, log, find, { study }, ['studies.erase', 'studies.cancel-erasure']);
  if (state === 'erased') return { ...found, remaining: [], state, study };
  const places = await parts.database.read(async (tx) => {
    const row = await findErasure(tx, rowKey, study, wholeStudy);
    return row && remainingOf(tx, registries, row, now);
  });
  const remaining = places?.map(sentence) ?? [remainingCopies];
  return { ...found, remaining: remaining.length === 0 ? [settling] : remaining, state, study };
}
