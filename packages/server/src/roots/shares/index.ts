export { heldRootKey, holdRootKey, releaseRootKey } from './held.ts';
export { isShareOf, readRootFile, resharedFile, rootKeyFrom, writeRootFile } from './root-file.ts';
export type { RootFile, ShareSet } from './root-file.ts';
export { sharesRoot } from './shares-root.ts';
export { Unsealing } from './unsealing.ts';
export type { GivenShare, UnsealProgress, UnsealRecord } from './unsealing.ts';
