import type { Finding, Source } from './source.ts';

/** Packages whose install script is known and wanted. A downloading one needs a decision page first. */
const mayRunScripts: readonly string[] = ['pkcs11js'];

interface LockedPackage {
  readonly resolved?: string;
  readonly link?: boolean;
  readonly integrity?: string;
  readonly hasInstallScript?: boolean;
  readonly optionalDependencies?: Record<string, string>;
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
  readonly libc?: readonly string[];
}

/** For a platform that Trialkeep is not run on; such a package need not be downloadable where the lock file is written. */
function isForeign({ os = ['linux'], cpu = ['x64'], libc = ['glibc'] }: LockedPackage): boolean {
  return (
    !os.includes('linux') ||
    !libc.includes('glibc') ||
    !cpu.some((each) => each === 'x64' || each === 'arm64')
  );
}

/**
 * The lock file names no host, has a digest for everything from outside, lets nothing run at installation, and is whole: npm
 * leaves out optional packages that it cannot find while it writes the file, and `npm ci` then refuses it.
 */
export function checkLockFile({ path, text }: Source): Finding[] {
  if (path !== 'package-lock.json') return [];
  const { packages } = JSON.parse(text) as { packages: Record<string, LockedPackage> };
  const findings: Finding[] = [];
  for (const [place, locked] of Object.entries(packages)) {
    const report = (message: string): number => findings.push({ path, message: `${place} ${message}` });
    const isOutside = place.includes('node_modules/') && locked.link !== true;
    if (isOutside && locked.resolved !== undefined)
      report('names a registry: set omit-lockfile-registry-resolved');
    if (isOutside && locked.integrity === undefined && !isForeign(locked)) report('has no integrity hash');
    for (const [optional, version] of Object.entries(locked.optionalDependencies ?? {})) {
      const isLocked =
        `node_modules/${optional}` in packages || `${place}/node_modules/${optional}` in packages;
      if (!isLocked)
        report(`misses its optional ${optional}@${version}: add it with version, optional, os, cpu and libc`);
    }
    const name = place.slice(place.lastIndexOf('node_modules/') + 'node_modules/'.length);
    if (locked.hasInstallScript === true && !mayRunScripts.includes(name))
      report('runs a script when installed');
  }
  return findings;
}
