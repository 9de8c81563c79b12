export type { TreeFinding } from './finding.ts';
export type { MissingReason } from './manifest.ts';
export { checkTree, openTree } from './open-tree.ts';
export type {
  CheckedTree,
  CheckTreeOptions,
  MissingFromTree,
  OpenedTree,
  OpenTreeOptions,
} from './open-tree.ts';
export { sealTree } from './seal-tree.ts';
export type { SealedTree, SealTreeOptions, TreeProgress } from './seal-tree.ts';
export { manifestName } from './layout.ts';
