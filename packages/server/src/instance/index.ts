export { backupInstance } from './backup.ts';
export { createInstance } from './create.ts';
export { openInstance } from './open.ts';
export type { OpenInstance } from './open.ts';
export { restoreInstance } from './restore.ts';
