export { timestampImplementations } from './operations.ts';
export { makeTimestamps, timestampTask } from './timestamps.ts';
export type { Timestamps } from './timestamps.ts';
