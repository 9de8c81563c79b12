import { approvalOperations } from './approvals.ts';
import { evidenceOperations } from './evidence.ts';
import { instanceOperations } from './instance.ts';
import { keyInventoryOperations } from './key-inventory.ts';
import { keyOperations } from './keys.ts';
import { keyUseOperations } from './key-uses.ts';
import { ledgerUpkeepOperations } from './ledger-upkeep.ts';
import { ledgerOperations } from './ledger.ts';
import { payloadOperations } from './payloads.ts';
import { peopleOperations } from './people.ts';
import { questionOperations } from './questions.ts';
import { reviewOperations } from './reviews.ts';
import { systemOperations } from './systems.ts';
import { timestampOperations } from './timestamps.ts';
import { useOperations } from './uses.ts';
import { witnessingOperations } from './witnessing.ts';

/** Every operation of Trialkeep, by id. */
export const operations = {
  ...instanceOperations,
  ...systemOperations,
  ...keyOperations,
  ...keyInventoryOperations,
  ...keyUseOperations,
  ...ledgerOperations,
  ...ledgerUpkeepOperations,
  ...questionOperations,
  ...payloadOperations,
  ...evidenceOperations,
  ...peopleOperations,
  ...approvalOperations,
  ...reviewOperations,
  ...timestampOperations,
  ...useOperations,
  ...witnessingOperations,
} as const;
export type Operations = typeof operations;
export type OperationId = keyof Operations;
