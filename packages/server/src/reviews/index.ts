export { reviewHandlers } from './opening.ts';
export { reviewImplementations } from './operations.ts';
export type { ReviewOperationId } from './operations.ts';
export { listReviewStates, recordBytes as reviewRecord } from './store.ts';
export { recoverReviews } from './recover.ts';
export { closedReview } from './evidence.ts';
export { sealedTables as reviewTables } from './store.ts';
