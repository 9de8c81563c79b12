import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { undoAtEnd } from './harness.ts';

/** Mounts a disk of that many MiB, in memory, on a new folder; or says why that is not possible here. */
export function mountSmallDisk(folder: string, mebibytes: number): string | undefined {
  if (process.getuid?.() !== 0) return 'mounting a small disk needs the superuser';
  mkdirSync(folder);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m,mode=0700`, 'tmpfs', folder], {
      stdio: 'pipe',
    });
  } catch (error) {
    return `a small disk cannot be mounted here: ${String(error).split('\n')[1] ?? ''}`;
  }
  // Lazily, so that it also succeeds while a process is being ended.
  undoAtEnd(() => execFileSync('umount', ['--lazy', folder], { stdio: 'pipe' }));
  return undefined;
}
