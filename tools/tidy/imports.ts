import { builtinModules } from 'node:module';
import { posix } from 'node:path';
import type { Finding, Node, Source } from './source.ts';
import { argumentsOf, calledName, isNode, isTest, nodesOf } from './source.ts';

interface Import {
  readonly from: string;
  readonly specifier: string;
  readonly line: number;
}

/** What a file names to be loaded: imports and exports, with types and dynamic ones, and `new URL('./x.ts', …)`. */
export function importsOf({ path, tree }: Source): Import[] {
  const found: Import[] = [];
  for (const node of tree === undefined ? [] : nodesOf(tree)) {
    const specifier = specifierIn(node);
    if (specifier !== undefined) found.push({ from: path, specifier, line: node.loc.start.line });
  }
  return found;
}

const loaders = new Set([
  'ExportAllDeclaration',
  'ExportNamedDeclaration',
  'ImportDeclaration',
  'ImportExpression',
  'TSImportType',
]);

function specifierIn(node: Node): string | undefined {
  if (loaders.has(node.type)) return stringValue(node['source']);
  const [first] = argumentsOf(node);
  if (node.type === 'CallExpression' && isNode(node['callee']) && node['callee'].type === 'Import') {
    return stringValue(first);
  }
  const value = stringValue(first) ?? '';
  if (calledName(node) !== 'URL' || !isCode(value) || value.includes(':')) return undefined;
  return isRelative(value) ? value : `./${value}`;
}

function stringValue(node: unknown): string | undefined {
  return isNode(node) && node.type === 'StringLiteral' ? (node['value'] as string) : undefined;
}

const isCode = (specifier: string): boolean => /\.[cm]?[jt]s$/.test(specifier);
const isRelative = (specifier: string): boolean => /^\.\.?\//.test(specifier);

function target({ from, specifier }: Import): string {
  return posix.join(posix.dirname(from), specifier);
}

/** The folder of the workspace package that a path belongs to; '' for the root package. */
function packageOf(path: string): string {
  return /^packages\/[^/]+/.exec(path)?.[0] ?? '';
}

const testServices = new Set([
  'tools/key-vault-emulator.ts',
  'tools/kms-emulator.ts',
  'tools/postgres-cluster.ts',
  'tools/self-signed.ts',
  'tools/timestamp-authority.ts',
]);

/** Tests of every package use the services in `tools/` that start what they need beside Node. */
function isTestService(each: Import): boolean {
  return isTest(each.from) && testServices.has(target(each));
}

/** A measurement looks at what no face of a package shows; nothing imports it. */
const isMeasurement = ({ from }: Import): boolean => from.startsWith('bench/');

/** Relative imports name a file with its ending and stay inside their package. */
export function checkRelativeImports(sources: readonly Source[]): Finding[] {
  return sources.flatMap(importsOf).flatMap((each): Finding[] => {
    const { from: path, specifier, line } = each;
    if (!isRelative(specifier)) return [];
    const mayLeave = isTestService(each) || isMeasurement(each);
    if (packageOf(target(each)) !== packageOf(path) && !mayLeave) {
      return [
        { path, line, message: `${specifier} leaves the package: import the other package by its name` },
      ];
    }
    const isFile = /\.([cm]?[jt]s|json|sql|sh)$|\/$/.test(specifier);
    return isFile
      ? []
      : [{ path, line, message: `${specifier} names no file: write its ending, as in ./keys.ts` }];
  });
}

const slicePattern = /^packages\/server\/src\/(?!platform\/|compat\/|migrations\/)([^/]+)\//;

/** A slice of the server is entered through its index.ts, by other slices and by everything else. */
export function checkSlices(sources: readonly Source[]): Finding[] {
  return sources.flatMap(importsOf).flatMap((each): Finding[] => {
    const { from: path, specifier, line } = each;
    if (!isRelative(specifier) || isMeasurement(each)) return [];
    const entered = slicePattern.exec(target(each))?.[1];
    const isOwn = entered === undefined || slicePattern.exec(path)?.[1] === entered;
    if (isOwn || posix.basename(specifier) === 'index.ts') return [];
    return [{ path, line, message: `${specifier} reaches into the slice ${entered}: import its index.ts` }];
  });
}

interface Manifest {
  readonly exports?: Record<string, string>;
  readonly dependencies?: Record<string, string>;
  readonly devDependencies?: Record<string, string>;
  readonly optionalDependencies?: Record<string, string>;
  readonly peerDependencies?: Record<string, string>;
}

function manifests(sources: readonly Source[]): Map<string, Manifest> {
  const found = sources.filter(({ path }) => /^(packages\/[^/]+\/)?package\.json$/.test(path));
  return new Map(found.map(({ path, text }) => [packageOf(path), JSON.parse(text) as Manifest]));
}

/** What a package imports it also declares: what the root happens to install is not there for those who install one package. */
export function checkDeclared(sources: readonly Source[]): Finding[] {
  const byPackage = manifests(sources);
  const root = byPackage.get('');
  return sources.flatMap(importsOf).flatMap(({ from: path, specifier, line }): Finding[] => {
    const own = byPackage.get(packageOf(path));
    const name = /^(@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? '';
    const isOutside = /^[@a-z]/.test(specifier) && !specifier.includes(':') && !builtinModules.includes(name);
    if (!isOutside || packageOf(path) === '' || own === undefined) return [];
    const declared = { ...own.dependencies, ...own.optionalDependencies, ...own.peerDependencies };
    const forTests = isTest(path)
      ? { ...own.devDependencies, ...root?.devDependencies }
      : own.devDependencies;
    if (name in declared || name in { ...forTests }) return [];
    return [{ path, line, message: `${name} is not among the dependencies of its package.json` }];
  });
}

/**
 * Product code that no entry point leads to. Entry points are a package's exports, its bin folder, and what tools, bench and
 * e2e import. What only tests lead to is dead too, unless its name or folder says that it serves tests (`testing`, `fixture`).
 */
export function checkDeadFiles(sources: readonly Source[]): Finding[] {
  const byPath = new Map(sources.map((source) => [source.path, source]));
  const exported = [...manifests(sources)].flatMap(([folder, { exports = {} }]) =>
    Object.values(exports).map((file) => posix.join(folder, file)),
  );
  const isEntry = (path: string): boolean =>
    exported.includes(path) || /^(tools|bench|e2e)\/|^packages\/[^/]+\/bin\//.test(path);
  const product = reachable(
    sources.filter(({ path }) => isEntry(path) && !isTest(path)),
    byPath,
  );
  const tests = reachable(
    sources.filter(({ path }) => isTest(path)),
    byPath,
  );
  const servesTests = (path: string): boolean => /[/.-](testing|fixtures?)[/.]/.test(path) && tests.has(path);
  return sources
    .filter(({ path, tree }) => tree !== undefined && /^packages\/[^/]+\/src\//.test(path) && !isTest(path))
    .filter(({ path }) => !product.has(path) && !servesTests(path))
    .map(({ path }) => ({ path, message: 'nothing but tests, if anything, imports this file: remove it' }));
}

function reachable(entries: readonly Source[], byPath: ReadonlyMap<string, Source>): Set<string> {
  const seen = new Set<string>();
  const waiting = [...entries];
  for (let source = waiting.pop(); source !== undefined; source = waiting.pop()) {
    if (seen.has(source.path)) continue;
    seen.add(source.path);
    for (const each of importsOf(source)) {
      const next = isRelative(each.specifier) ? byPath.get(target(each)) : undefined;
      if (next !== undefined) waiting.push(next);
    }
  }
  return seen;
}
