export { Epochs, type EpochKey } from './epochs.ts';
export { createRoot, openRoot, type OpenRoot } from './open.ts';
export { passphraseFile } from './passphrase.ts';
export type { RootOfTrust } from './root.ts';
