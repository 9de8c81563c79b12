export { JobRunner, JobTaken } from './runner.ts';
export type { Job, JobHandler, JobNotes, JobRunnerParts, JobTiming } from './runner.ts';
export { ensure, remove, schedule } from './store.ts';
export type { JobInput, NewJob } from './store.ts';
