export { replaceRoot } from './replace.ts';
export type { ReplacementRequest } from './replace.ts';
export type { ReplacedOwner, ReplacementReport } from './report.ts';
