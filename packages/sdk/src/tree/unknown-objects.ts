import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { KeySource } from '../seal/keys.ts';
import { manifestName, objectIdOf } from './layout.ts';
import { readManifest } from './manifest-file.ts';
import type { ManifestFileOptions } from './manifest-file.ts';

/**
 * What lies in a sealed tree and is not named by its manifest, as paths within it. Objects are counted first; only where there are more
 * than entries are their names compared, which needs memory for all of them.
 *
 * @param files how many objects the manifest names
 */
export async function unknownObjects(
  keys: KeySource,
  options: ManifestFileOptions,
  before: NonNullable<ManifestFileOptions['before']>,
  files: number,
): Promise<string[]> {
  const { source } = options;
  const { facts } = before;
  const unknown: string[] = [];
  for (const entry of await readdir(source, { withFileTypes: true })) {
    const known = entry.isDirectory() ? entry.name === facts.tree : entry.name === manifestName;
    if (!known) unknown.push(entry.name);
  }
  let objects = 0;
  await forEachObject(source, facts.tree, (id, path) => {
    if (id === undefined) unknown.push(path);
    else objects += 1;
  });
  if (objects <= files) return unknown;
  const named = new Set<string>();
  await readManifest(keys, { ...options, before }, (entry) => {
    if (entry.kind === 'file') named.add(entry.id);
  });
  await forEachObject(source, facts.tree, (id, path) => {
    if (id !== undefined && !named.has(id)) unknown.push(path);
  });
  return unknown;
}

/** @param look is given an object's id as hexadecimal digits, or undefined for what cannot be an object */
async function forEachObject(
  source: string,
  tree: string,
  look: (id: string | undefined, path: string) => void,
): Promise<void> {
  const inners = await readdir(join(source, tree), { withFileTypes: true }).catch(() => []);
  for (const inner of inners) {
    const path = join(tree, inner.name);
    if (!inner.isDirectory()) look(undefined, path);
    else
      for (const name of await readdir(join(source, path)))
        look(objectIdOf(inner.name, name), join(path, name));
  }
}
