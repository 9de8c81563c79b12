export { archiveLedger } from './archive.ts';
export type { ArchiveOptions, ArchiveResult } from './archive.ts';
export { folderStore } from './folder-store.ts';
export { parseBucketPlace, s3Store } from './s3-store.ts';
export type { BucketPlace } from './s3-store.ts';
export type { ArchiveStore } from './store.ts';
export { TrialkeepError } from '../errors.ts';
