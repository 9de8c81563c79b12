import { spawnSync } from 'node:child_process';

/** A program of somebody else's that ours is measured against; the first line of what it says about its version. */
export function peerVersion(command: string, versionOption = '--version'): string | undefined {
  const { status, stdout } = spawnSync(command, [versionOption], { encoding: 'utf8' });
  return status === 0 ? (stdout.split('\n', 1)[0] ?? '').trim() : undefined;
}
