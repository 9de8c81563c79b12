import type { Finding, Node, Source } from './source.ts';
import { argumentsOf, calledName, isNode, isTest, lastName, nodesOf } from './source.ts';

type Check = (node: Node, source: Source) => string | undefined;

const clockReaders =
  /^packages\/(server\/src\/platform\/clock\.ts|(sdk|witness)\/src\/clock\.ts|cli\/)|^(bench|tools)\//;

/** Time comes from the clock that a caller hands in; only the clock itself and programs read the machine's. */
const clock: Check = (node, { path }) => {
  if (clockReaders.test(path) || isTest(path)) return undefined;
  const name = calledName(node) ?? '';
  const isNow = ['Date.now', 'performance.now', 'process.hrtime', 'hrtime.bigint'].includes(name);
  const isNewDate = node.type === 'NewExpression' && name === 'Date' && argumentsOf(node).length === 0;
  return isNow || isNewDate ? 'reads the clock: take the time as a parameter' : undefined;
};

const random: Check = (node) =>
  calledName(node) === 'Math.random'
    ? 'Math.random is neither secret nor repeatable: use node:crypto, or a seeded generator'
    : undefined;

/** Node takes a shortened GCM tag as it comes unless the length is fixed beforehand. */
const authTagLength: Check = (node, { tree }) => {
  const name = lastName(node['callee']);
  if (node.type !== 'CallExpression' || (name !== 'createCipheriv' && name !== 'createDecipheriv'))
    return undefined;
  const [algorithm, , , options] = argumentsOf(node);
  const literal = algorithm?.type === 'StringLiteral' ? (algorithm['value'] as string) : undefined;
  if (literal !== undefined && !/gcm|ccm|ocb|poly1305/i.test(literal)) return undefined;
  const object = options?.type === 'Identifier' ? initialValue(tree, lastName(options)) : options;
  const properties = object?.type === 'ObjectExpression' ? (object['properties'] as Node[]) : [];
  return properties.some((property) => lastName(property['key']) === 'authTagLength')
    ? undefined
    : `${name} without authTagLength in this file: pass { authTagLength: 16 }`;
};

/** What a variable of that name is declared with. */
function initialValue(tree: Node | undefined, name: string | undefined): Node | undefined {
  for (const node of tree === undefined ? [] : nodesOf(tree)) {
    if (node.type === 'VariableDeclarator' && lastName(node['id']) === name && isNode(node['init']))
      return node['init'];
  }
  return undefined;
}

const secretName = /(?:^s|S)ecret$|(?:^m|M)ac$|(?:^t|T)ag$/;

/** Comparing with a literal, null or undefined tells nothing about a secret. */
const secretComparison: Check = (node, { path }) => {
  if (!path.startsWith('packages/') || isTest(path)) return undefined;
  const message = 'compares a secret in variable time: use timingSafeEqual';
  if (node.type === 'BinaryExpression' && /^[!=]==?$/.test(node['operator'] as string)) {
    const sides = [node['left'], node['right']];
    const hasName = sides.some((side) => secretName.test(lastName(side) ?? ''));
    const isPlain = sides.some(
      (side) => isNode(side) && (side.type.endsWith('Literal') || lastName(side) === 'undefined'),
    );
    return hasName && !isPlain ? message : undefined;
  }
  const callee = node['callee'];
  if (node.type !== 'CallExpression' || !isNode(callee) || lastName(callee) !== 'equals') return undefined;
  return secretName.test(lastName(callee['object']) ?? '') ? message : undefined;
};

const runners = /^(test|it|describe|suite)\.(only|skip|todo)$/;

/** In tests: nothing runs alone, and whatever is skipped prints its reason. */
const skipped: Check = (node, { path }) => {
  if (!isTest(path)) return undefined;
  const name = calledName(node) ?? '';
  if (runners.test(name)) return `${name} hides tests: remove it, or skip with { skip: 'the reason' }`;
  if (
    node.type === 'CallExpression' &&
    lastName(node['callee']) === 'skip' &&
    argumentsOf(node).length === 0
  ) {
    return 'a skip without a reason: pass one sentence';
  }
  if (node.type !== 'ObjectProperty' || !isNode(node['value'])) return undefined;
  const key = lastName(node['key']) ?? '';
  if (key === 'only' && isTruth(node['value'])) return '{ only } hides the other tests: remove it';
  return key === 'skip' && isTruth(node['value'])
    ? 'a skip without a reason: give a sentence or false'
    : undefined;
};

/** An expression that can be true but never a sentence. */
function isTruth(node: Node): boolean {
  if (node.type === 'BooleanLiteral') return node['value'] === true;
  return (node.type === 'UnaryExpression' && node['operator'] === '!') || node.type === 'BinaryExpression';
}

const checks: readonly Check[] = [clock, random, authTagLength, secretComparison, skipped];

/** What no code here may call, with where it may. */
export function checkCalls(source: Source): Finding[] {
  if (source.tree === undefined) return [];
  const findings: Finding[] = [];
  for (const node of nodesOf(source.tree)) {
    for (const check of checks) {
      const message = check(node, source);
      if (message !== undefined) findings.push({ path: source.path, line: node.loc.start.line, message });
    }
  }
  return findings;
}
