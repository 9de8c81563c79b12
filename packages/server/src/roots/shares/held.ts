import type { KeyObject } from 'node:crypto';

/**
 * The root keys that people have opened in this process, by root. They live as long as it does: ending the process is how a root is
 * sealed again. One place for the whole process, because whatever opens a data directory then finds the key that was opened for it.
 */
const held = new Map<string, KeyObject>();

export function holdRootKey(root: string, key: KeyObject): void {
  held.set(root, key);
}

export function heldRootKey(root: string): KeyObject | undefined {
  return held.get(root);
}

/** Forgets the root key: roots that are opened from now on are sealed. */
export function releaseRootKey(root: string): void {
  held.delete(root);
}
