import type { NewJob } from '../platform/jobs/index.ts';

/** The task of the job that looks for keys that have rotated. */
export const followTask = 'data-keys.follow';

/** The look, due at `dueAt`, ms; 0: at once. */
export const followJob = (dueAt: number): NewJob => ({
  name: followTask,
  task: followTask,
  input: {},
  dueAt,
});
