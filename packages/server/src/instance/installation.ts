import { relative } from 'node:path';
import { operations } from '@trialkeep/contract';
import type { Operation } from '@trialkeep/contract';
import type { DataDirectory, Profile } from '../platform/config.ts';
import { StartupError } from '../platform/errors.ts';
import { profileRefusals } from '../platform/profile.ts';
import type { Installation, RootFacts } from '../platform/profile.ts';
import { describeRoot, isApprovedDerivation, passphraseFile } from '../roots/index.ts';
import type { RootSettings } from '../roots/index.ts';

/** The fewest people that any operation with approval asks for. */
const approvers = Math.min(
  ...Object.values<Operation>(operations).flatMap(({ approval }) => approval?.people ?? []),
);

function isBeside(directory: DataDirectory, rootFolder: string): boolean {
  const isFirst = rootFolder === directory.root;
  const file = passphraseFile({ secretsFolder: rootFolder, isFirst });
  return !relative(directory.path, file).startsWith('..');
}

/** What the regulated profile looks at in the root of a folder. */
export function factsOfFolder(directory: DataDirectory, rootFolder = directory.root): RootFacts {
  const { kind, certificate } = describeRoot(rootFolder);
  const isPassphrase = kind === 'passphrase';
  return {
    kind,
    certificate,
    besideData: isPassphrase && isBeside(directory, rootFolder),
    isApprovedDerivation: isPassphrase && isApprovedDerivation(rootFolder),
  };
}

/** The same of a root that is still to be made. */
export function factsOfSettings(
  directory: DataDirectory,
  settings: RootSettings,
  rootFolder = directory.root,
): RootFacts {
  const { kind, certificate, derivation } = settings;
  return {
    kind,
    certificate: typeof certificate === 'string' ? certificate : undefined,
    besideData: kind === 'passphrase' && isBeside(directory, rootFolder),
    isApprovedDerivation: derivation === 'pbkdf2-hmac-sha-512',
  };
}

/** A passphrase root under the regulated profile derives its key as FIPS approves it, unless its settings say otherwise. */
export function settingsUnder(profile: Profile, settings: RootSettings): RootSettings {
  const isOpen = settings.kind === 'passphrase' && settings['derivation'] === undefined;
  return profile === 'regulated' && isOpen ? { ...settings, derivation: 'pbkdf2-hmac-sha-512' } : settings;
}

/** @throws StartupError `profile.regulated` */
export function assertProfile(profile: Profile, rootOfTrust: RootFacts): void {
  const installation: Installation = { rootOfTrust, transport: 'http', approvers };
  const refusals = profileRefusals(profile, installation);
  if (refusals.length > 0) throw new StartupError('profile.regulated', `${refusals.join('; ')}.`);
}
