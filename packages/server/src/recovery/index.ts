export { bringInLine } from './bring-in-line.ts';
export { catchUp } from './catch-up.ts';
export type { CaughtUp, CaughtUpLog } from './catch-up.ts';
export { pendingLogs } from './store.ts';
export { mirrorAddress } from './mirror-source.ts';
