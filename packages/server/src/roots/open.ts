import { Epochs } from './epochs.ts';
import { createPassphraseRoot, openPassphraseRoot, passphraseFile } from './passphrase.ts';
import type { RootOfTrust } from './root.ts';

/** A root of trust with the epoch keys that it has wrapped. */
export interface OpenRoot {
  readonly root: RootOfTrust;
  readonly epochs: Epochs;
}

/** Makes the root of trust of a new installation, and the first epoch key. */
export async function createRoot(folder: string): Promise<OpenRoot> {
  const root = createPassphraseRoot(folder);
  const epochs = new Epochs(folder, root);
  await epochs.createFirst();
  return { root, epochs };
}

/**
 * Opens the root of trust that a folder describes. The epoch key shows that it is the right one before anything is wrapped.
 *
 * @param passphrase the file of the passphrase, where it is not that of the folder
 */
export async function openRoot(folder: string, passphrase = passphraseFile(folder)): Promise<OpenRoot> {
  const root = openPassphraseRoot(folder, passphrase);
  const epochs = new Epochs(folder, root);
  await epochs.current();
  return { root, epochs };
}
