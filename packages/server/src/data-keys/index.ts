export { dataKeyImplementations } from './operations.ts';
export { Rewraps } from './runner.ts';
