import { execFileSync } from 'node:child_process';

/** Mounts a file system of 1 MiB in memory on the folder, or says why that is not possible here. */
export function mountSmall(folder: string): string | undefined {
  if (process.getuid?.() !== 0) return 'mounting a small file system needs the superuser';
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m,mode=0700', 'tmpfs', folder], { stdio: 'pipe' });
    return undefined;
  } catch (error) {
    return `a small file system cannot be mounted: ${String(error).split('\n')[1] ?? ''}`;
  }
}
