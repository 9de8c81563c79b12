export { createPassphraseRoot, openPassphraseRoot, passphraseFile } from './passphrase.ts';
export type { EpochKey, RootOfTrust } from './root.ts';
