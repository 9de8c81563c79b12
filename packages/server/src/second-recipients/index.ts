export { SecondRecipients } from './covering.ts';
export { secondRecipientImplementations } from './operations.ts';
export type { SecondRecipientOperationId } from './operations.ts';
export { compareSecondRecipients } from './reconcile.ts';
export { recoverSecondRecipients } from './recover.ts';
export { secondRecipientTables } from './store.ts';
