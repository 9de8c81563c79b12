import { approvalOperations } from './approvals.ts';
import { batchOperations } from './batches.ts';
import { evidenceOperations } from './evidence.ts';
import { exitOperations } from './exit.ts';
import { holderOperations } from './holders.ts';
import { holdOperations } from './holds.ts';
import { instanceOperations } from './instance.ts';
import { keyExportOperations } from './key-export.ts';
import { keyImportOperations } from './key-import.ts';
import { keyIdentificationOperations } from './key-identification.ts';
import { keyInventoryOperations } from './key-inventory.ts';
import { keyOperations } from './keys.ts';
import { keyUseOperations } from './key-uses.ts';
import { ledgerUpkeepOperations } from './ledger-upkeep.ts';
import { ledgerOperations } from './ledger.ts';
import { payloadOperations } from './payloads.ts';
import { peopleOperations } from './people.ts';
import { questionOperations } from './questions.ts';
import { registeredDataKeyOperations } from './registered-data-keys.ts';
import { reviewOperations } from './reviews.ts';
import { revocationOperations } from './revocations.ts';
import { secondRecipientOperations } from './second-recipients.ts';
import { rootPermitOperations } from './root-permits.ts';
import { systemOperations } from './systems.ts';
import { tenantRootOperations } from './tenant-root.ts';
import { timestampOperations } from './timestamps.ts';
import { useOperations } from './uses.ts';
import { witnessingOperations } from './witnessing.ts';

/** Every operation of Trialkeep, by id. */
export const operations = {
  ...instanceOperations,
  ...rootPermitOperations,
  ...systemOperations,
  ...keyOperations,
  ...keyImportOperations,
  ...keyExportOperations,
  ...keyInventoryOperations,
  ...keyIdentificationOperations,
  ...keyUseOperations,
  ...batchOperations,
  ...registeredDataKeyOperations,
  ...holdOperations,
  ...holderOperations,
  ...exitOperations,
  ...ledgerOperations,
  ...ledgerUpkeepOperations,
  ...questionOperations,
  ...payloadOperations,
  ...evidenceOperations,
  ...peopleOperations,
  ...approvalOperations,
  ...reviewOperations,
  ...revocationOperations,
  ...secondRecipientOperations,
  ...tenantRootOperations,
  ...timestampOperations,
  ...useOperations,
  ...witnessingOperations,
} as const;
export type Operations = typeof operations;
export type OperationId = keyof Operations;
