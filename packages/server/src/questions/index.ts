export { boundOf, makeAnswer } from './answer.ts';
export type { AnswerParts, Asked, Bound } from './answer.ts';
export { followLogs } from './index-follower.ts';
export { questionImplementations } from './operations.ts';
export type { QuestionOperationId } from './operations.ts';
