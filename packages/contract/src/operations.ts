import { approvalOperations } from './approvals.ts';
import { instanceOperations } from './instance.ts';
import { keyOperations } from './keys.ts';
import { ledgerOperations } from './ledger.ts';
import { peopleOperations } from './people.ts';
import { systemOperations } from './systems.ts';
import { useOperations } from './uses.ts';

/** Every operation of Trialkeep, by id. */
export const operations = {
  ...instanceOperations,
  ...systemOperations,
  ...keyOperations,
  ...ledgerOperations,
  ...peopleOperations,
  ...approvalOperations,
  ...useOperations,
} as const;
export type Operations = typeof operations;
export type OperationId = keyof Operations;
