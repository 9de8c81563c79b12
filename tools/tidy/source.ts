import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parsers } from 'prettier/plugins/babel';

/** A node of the Babel syntax tree: what all nodes have, and whatever its type adds. */
export interface Node {
  readonly type: string;
  readonly loc: { readonly start: { readonly line: number }; readonly end: { readonly line: number } };
  readonly [property: string]: unknown;
}

export interface Source {
  /** From the root of the repository, with forward slashes. */
  readonly path: string;
  readonly text: string;
  /** Where it is TypeScript or JavaScript. */
  readonly tree?: Node;
}

/** A breach of a rule: where, and what to do instead. */
export interface Finding {
  readonly path: string;
  /** From 1; absent where it is about the file as a whole. */
  readonly line?: number;
  readonly message: string;
}

/** Reads one file's worth of text as the rules want it. */
export async function readSource(path: string, text: string): Promise<Source> {
  if (!/\.[cm]?[jt]s$/.test(path)) return { path, text };
  const parser = parsers[path.endsWith('ts') ? 'babel-ts' : 'babel'];
  // The parser takes Prettier's options and looks at none of them.
  return { path, text, tree: (await parser.parse(text, {} as never)) as Node };
}

/** Built from sources that the rules see; `node tools/verify-page.ts --check` holds it to them. */
const built = 'packages/evidence/page/verify.html';

/** All text files that are tracked or would be, so that a rule sees a file before its first commit. */
export async function readRepository(root: string): Promise<Source[]> {
  const listed = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '-z'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  const sources: Source[] = [];
  for (const path of new Set(listed.split('\0'))) {
    const file = join(root, path);
    if (path === '' || path === built || !existsSync(file)) continue;
    const text = readFileSync(file, 'utf8');
    if (!text.includes('\0')) sources.push(await readSource(path, text));
  }
  return sources;
}

/** Every node of a tree, parents first. */
export function* nodesOf(node: Node): Generator<Node> {
  yield node;
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? (value as unknown[]) : [value]) {
      if (isNode(child)) yield* nodesOf(child);
    }
  }
}

export function isNode(value: unknown): value is Node {
  return (
    typeof value === 'object' && value !== null && 'type' in value && 'loc' in value && isObject(value.loc)
  );
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null;
}

/** The last word of a name: `b` of `b`, of `a.b` and of `this.#b`; undefined for other expressions. */
export function lastName(node: unknown): string | undefined {
  if (!isNode(node)) return undefined;
  if (node.type === 'Identifier') return node['name'] as string;
  if (node.type === 'PrivateName') return lastName(node['id']);
  const member = node.type === 'MemberExpression' || node.type === 'OptionalMemberExpression';
  return member && node['computed'] !== true ? lastName(node['property']) : undefined;
}

/** `a.b` for a call of `a.b(…)`, `b` for one of `b(…)`; undefined for what is called by no plain name. */
export function calledName(node: Node): string | undefined {
  if (node.type !== 'CallExpression' && node.type !== 'NewExpression') return undefined;
  const callee = node['callee'];
  if (!isNode(callee)) return undefined;
  const name = lastName(callee);
  const object = lastName(callee['object']);
  return object === undefined ? name : `${object}.${name}`;
}

export function argumentsOf(node: Node): Node[] {
  return ((node['arguments'] ?? []) as unknown[]).filter(isNode);
}

export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length;
}

/** Tests may do what the product may not: read the clock, hold example keys. */
export function isTest(path: string): boolean {
  return path.endsWith('.test.ts') || path.startsWith('e2e/');
}
