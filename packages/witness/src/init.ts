import { chmodSync, mkdirSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { WitnessError } from './errors.ts';
import { syncDirectory } from './files.ts';
import { createKeys, defaultPassphraseFile, type DerivationCost, type Role } from './keys.ts';
import { createLogFile } from './logs.ts';
import { createTokens, defaultTokenFile } from './mirror/tokens.ts';
import { stateFile } from './serve.ts';
import { State } from './state.ts';

/** What was made; nothing of it is secret. */
export interface Initialised {
  readonly dataDirectory: string;
  readonly name: string;
  /** Ed25519, then ML-DSA-44. */
  readonly verifierKeys: readonly string[];
  readonly passphraseFile: string;
  /** Of a mirror. */
  readonly tokenFile?: string;
}

export interface InitOptions {
  readonly role: Role;
  readonly name: string;
  readonly passphraseFile: string;
  /** Of a mirror. */
  readonly tokenFile: string;
  /** Of deriving a key from the passphrase; the usual one unless it is given. */
  readonly cost?: DerivationCost;
}

/**
 * Makes the data directory of a witness or a mirror. The keys come last: without them there is no witness, whatever else a crash
 * has left.
 *
 * @throws WitnessError `witness.data_not_empty`, `witness.data_unusable`; those of `createKeys`
 */
export async function init(
  folder: string,
  { role, name, passphraseFile, tokenFile, cost }: InitOptions,
): Promise<Initialised> {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    // Secrets that the operator has put there already are used as they are.
    const ownSecrets = [defaultPassphraseFile(folder), defaultTokenFile(folder)];
    const isTaken = readdirSync(folder).some((file) => !ownSecrets.includes(join(folder, file)));
    if (isTaken) throw new WitnessError('witness.data_not_empty', folder);
    chmodSync(folder, 0o700);
    State.create(stateFile(folder));
    createLogFile(folder);
    if (role === 'mirror') createTokens(tokenFile);
  } catch (error) {
    if (error instanceof WitnessError) throw error;
    throw new WitnessError('witness.data_unusable', folder, error);
  }
  const { keys } = await createKeys(folder, { role, name }, passphraseFile, cost);
  syncDirectory(dirname(folder));
  return {
    dataDirectory: folder,
    name,
    verifierKeys: keys.map(({ verifierKey }) => verifierKey),
    passphraseFile,
    ...(role === 'mirror' && { tokenFile }),
  };
}
