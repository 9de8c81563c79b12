/** The names of a sealed tree on disk (docs/formats/sealed-tree.md). */

export const manifestName = 'manifest.sealed';

/** The context pairs that say what a message is, their value being the tree's id. */
export const objectPair = 'sealed-tree';
export const manifestPair = 'sealed-tree-manifest';

const treeIdPattern = /^[0-9a-f]{32}$/;

/** 16 bytes in hexadecimal: the value of both pairs, and the name of the objects' folder. */
export function isTreeId(text: string | undefined): text is string {
  return text !== undefined && treeIdPattern.test(text);
}

/** What a manifest, or any other file, is called while it is written (`createTargetFile`). */
export function isPartName(name: string): boolean {
  return /^\.trialkeep-[0-9a-f]{16}\.part$/.test(name);
}

/** @param objects the folder of a tree's objects; @param id hexadecimal */
export function objectPath(objects: string, id: string): string {
  return `${objects}/${id.slice(0, 2)}/${id.slice(2)}`;
}

export function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}

/** The id of the object in a file, as hexadecimal digits; undefined where no object has that name. */
export function objectIdOf(folder: string, name: string): string | undefined {
  return /^[0-9a-f]{2}$/.test(folder) && /^[0-9a-f]{62}$/.test(name) ? folder + name : undefined;
}
