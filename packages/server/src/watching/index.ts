export { beginWatching } from './watching.ts';
export type { Watching } from './watching.ts';
