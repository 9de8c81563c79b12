export {
  Epochs,
  epochBundle,
  epochFolder,
  sharedEpochFolder,
  standbyEpochFolder,
  type EpochKey,
} from './epochs.ts';
export {
  createRoot,
  describeRoot,
  makeRoot,
  openRoot,
  openRootForBackup,
  openRootOnly,
  readSettings,
} from './open.ts';
export type { DescribedRoot, OpenRoot } from './open.ts';
export { isApprovedDerivation, passphraseFile } from './passphrase.ts';
export { copyEpochs, dropEpochs, FollowedEpochs, isBehind } from './followed-epochs.ts';
export { readJson } from './read-json.ts';
export { rootKinds } from './root.ts';
export type { CryptographicModule, RootKind, RootOfTrust, RootSettings } from './root.ts';
