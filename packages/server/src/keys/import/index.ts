export { importKey, importVersion } from './import.ts';
export { importEndHandler, importEndTask, newKeyParameters, versionParameters } from './parameters.ts';
export type { ImportParts } from './parameters.ts';
export { recoverImports } from './recover.ts';
export { importTables, listIds as listImports, noteMaterial } from './store.ts';
