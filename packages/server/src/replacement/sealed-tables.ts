import { credentialTables, peopleTables, sessionTables } from '../access/index.ts';
import { approvalTables } from '../approvals/index.ts';
import { effectTables } from '../effects/index.ts';
import { erasureTables } from '../erasure/index.ts';
import { evidenceTables } from '../evidence/index.ts';
import { exportTables } from '../exports/index.ts';
import { tenantExitTables } from '../exit/index.ts';
import { holderTables } from '../holders/index.ts';
import { holdTables } from '../holds/index.ts';
import {
  closureTables,
  importTables,
  keyTables,
  policyTables,
  studyErasureTables,
  tenantRootTables,
} from '../keys/index.ts';
import type { SealedTable } from '../keys/index.ts';
import { reviewTables } from '../reviews/index.ts';
import { drillTables } from '../revocations/index.ts';
import { rootPermitTables } from '../root-permits/index.ts';
import { secondRecipientTables } from '../second-recipients/index.ts';
import { signatureTables } from '../signatures/index.ts';
import { tenantSealTables } from '../systems/index.ts';
import { useTables } from '../uses/index.ts';
import { witnessingTables } from '../witnessing/index.ts';
import { replacementTables } from './store.ts';

/** Every table with sealed rows but that of the roots of trust themselves. A test holds this list against the migrations. */
export const sealedTables: readonly SealedTable[] = [
  ...credentialTables,
  ...peopleTables,
  ...sessionTables,
  ...approvalTables,
  ...effectTables,
  ...erasureTables,
  ...evidenceTables,
  ...holderTables,
  ...holdTables,
  ...keyTables,
  ...closureTables,
  ...policyTables,
  ...importTables,
  ...exportTables,
  ...tenantExitTables,
  ...studyErasureTables,
  ...tenantRootTables,
  ...reviewTables,
  ...rootPermitTables,
  ...drillTables,
  ...secondRecipientTables,
  ...signatureTables,
  ...tenantSealTables,
  ...useTables,
  ...witnessingTables,
  ...replacementTables,
];

/**
 * The columns that hold keys under the instance key or a tenant's, each of which `swap.ts` wraps anew; and those that hold what is under
 * another key, and stays as it is.
 */
export const wrappedColumns: readonly string[] = [
  'authenticator.secret',
  'credential.wrapped_secret',
  'instance.wrapped_key',
  'instance_root.wrapped_key',
  'key_version.wrapped_secret',
  'log.wrapped_payload_key',
  'log_key.wrapped_key',
  'root_replacement_log.old_key',
  'tenant.wrapped_key',
  'tenant.wrapped_row_key',
  'tenant_root.wrapped_row_key',
  // Under the tenant's own root of trust.
  'tenant_root.wrapped_key',
  // Under a version of a system's key, which stays what it is.
  'data_key.wrapped',
  // Under a recipient's public key.
  'key_export.wrapped',
  // Of imports that are waiting, which end with the replacement.
  'key_import.wrapped_key',
];
