export { completionHandler, completionTask, lookAgain, registriesOf, remainingOf } from './completion.ts';
export { recoverErasures } from './recover.ts';
export { recoverStudyErasures } from './recover-studies.ts';
export { shredRemoval, studyRemoval } from './removal.ts';
export type { ShredRemovalInput } from './removal.ts';
export { renewEpoch, renewalHandler, renewalTask } from './renewal.ts';
export { find as findErasure, open as openErasures, wholeStudy } from './store.ts';
export {
  beginStudyErasure,
  studyErasureHandler,
  studyErasureImplementations,
  studyErasureTask,
} from './study.ts';
export { sealedTables as erasureTables } from './store.ts';
