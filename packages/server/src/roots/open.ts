import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import { Value } from 'typebox/value';
import { StartupError } from '../platform/errors.ts';
import { assertNoEpochs } from './epoch-files.ts';
import { Epochs, sharedEpochFolder } from './epochs.ts';
import { readJson } from './read-json.ts';
import { rootHead, rootKinds } from './root.ts';
import type { RootKind, RootMaker, RootOfTrust, RootOpening, RootSettings } from './root.ts';

/** A root of trust with the epoch keys that it has wrapped. */
export interface OpenRoot {
  readonly root: RootOfTrust;
  readonly epochs: Epochs;
}

/** Loaded when a root of the kind is opened, and not before: each brings a library of its own. */
const makers: Readonly<Record<RootKind, () => Promise<RootMaker>>> = {
  passphrase: async () => (await import('./passphrase.ts')).passphraseRoot,
  pkcs11: async () => (await import('./pkcs11/index.ts')).pkcs11Root,
  'aws-kms': async () => (await import('./aws-kms/index.ts')).awsKmsRoot,
  'azure-key-vault': async () => (await import('./azure/index.ts')).azureKeyVaultRoot,
  shares: async () => (await import('./shares/index.ts')).sharesRoot,
};

/** The part of root.json that all kinds share. Without `kind` it is a passphrase: so it was written before there were others. */
const head = Type.Object({ ...rootHead, kind: Type.Optional(Type.Enum([...rootKinds])) });
const settingsHead = Type.Object({ kind: Type.Enum([...rootKinds]) });

/** What root.json says of a root before it is opened. */
export type DescribedRoot = Static<typeof head> & { readonly kind: RootKind };

/** Reads which root a folder describes. @throws StartupError `data.unreadable`, `config.invalid` */
export function describeRoot(folder: string): DescribedRoot {
  const read = readJson(join(folder, 'root.json'), head);
  return { ...read, kind: read.kind ?? 'passphrase' };
}

/** Reads what an operator says of a new root. @throws StartupError `data.unreadable`, `config.invalid` */
export function readSettings(file: string): RootSettings {
  return readJson(file, settingsHead);
}

/** Makes a root of trust in a folder, without epoch keys. @param opening beside another root, unless it says otherwise */
export async function makeRoot(
  folder: string,
  settings: RootSettings,
  opening: RootOpening = beside(folder),
): Promise<RootOfTrust> {
  if (!Value.Check(settingsHead, settings)) throw new StartupError('config.invalid', 'kind');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  chmodSync(folder, 0o700);
  return (await makers[settings.kind]()).create(folder, settings, opening);
}

/** Opens the root of trust that a folder describes, without epoch keys. @param opening beside another root, unless it says otherwise */
export async function openRootOnly(
  folder: string,
  opening: RootOpening = beside(folder),
): Promise<RootOfTrust> {
  return (await makers[describeRoot(folder).kind]()).open(folder, opening);
}

/**
 * Opens the root of trust to seal a backup to it. It has to be the right one, as for everything; but one that is held in shares stays
 * sealed, because backups are sealed to its public key, and none of its custodians has to come for one.
 */
export async function openRootForBackup(folder: string): Promise<RootOfTrust> {
  if (describeRoot(folder).kind === 'shares') return openRootOnly(folder);
  return (await openRoot(folder)).root;
}

/**
 * Makes the root of trust of a new installation, and the first epoch key last of all: nodes of another installation may share
 * the folder that the environment names.
 *
 * @param before what else may refuse the installation
 * @throws StartupError `root.epochs_present`, with nothing made
 */
export async function createRoot(
  folder: string,
  settings: RootSettings = { kind: 'passphrase' },
  before?: () => Promise<void>,
): Promise<OpenRoot> {
  const shared = sharedEpochFolder();
  if (shared !== undefined) assertNoEpochs(shared, true);
  const root = await makeRoot(folder, settings, first(folder));
  return orClose(root, async () => {
    const epochs = new Epochs(folder, root);
    await before?.();
    await epochs.createFirst();
    return { root, epochs };
  });
}

/**
 * Opens the root of trust that a folder describes, to start with it. The epoch key shows that it is the right one before anything is
 * wrapped.
 */
export async function openRoot(folder: string, secretsFolder = folder): Promise<OpenRoot> {
  const root = await openRootOnly(folder, first(secretsFolder));
  return orClose(root, async () => {
    const epochs = new Epochs(folder, root);
    await epochs.current();
    return { root, epochs };
  });
}

function first(secretsFolder: string): RootOpening {
  return { secretsFolder, isFirst: true };
}

function beside(secretsFolder: string): RootOpening {
  return { secretsFolder, isFirst: false };
}

async function orClose<T>(root: RootOfTrust, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    await root.close();
    throw error;
  }
}
