import type { Finding, Node, Source } from './source.ts';
import { argumentsOf, calledName, isTest, nodesOf } from './source.ts';

const maxFileLines = 400;
const maxTestFileLines = 600;
const maxFunctionLines = 70;

const functionTypes = new Set([
  'ArrowFunctionExpression',
  'ClassMethod',
  'ClassPrivateMethod',
  'FunctionDeclaration',
  'FunctionExpression',
  'ObjectMethod',
]);

/** A file or function past these lengths usually holds two ideas. */
export function checkSize({ path, text, tree }: Source): Finding[] {
  const findings: Finding[] = [];
  const limit = isTest(path) ? maxTestFileLines : maxFileLines;
  const lines = text.trimEnd().split('\n').length;
  const isCode = tree !== undefined || /\.(sh|sql)$/.test(path);
  if (isCode && lines > limit) {
    findings.push({ path, message: `has ${lines} lines, more than ${limit}: split it by idea` });
  }
  const groupings = new Set<Node>();
  for (const node of tree === undefined ? [] : nodesOf(tree)) {
    // What describe takes is a list of tests, not one idea.
    if (['describe', 'suite'].includes(calledName(node) ?? ''))
      argumentsOf(node).forEach((each) => groupings.add(each));
    const length = node.loc.end.line - node.loc.start.line + 1;
    if (functionTypes.has(node.type) && !groupings.has(node) && length > maxFunctionLines) {
      const message = `a function of ${length} lines, more than ${maxFunctionLines}: split it by idea`;
      findings.push({ path, line: node.loc.start.line, message });
    }
  }
  return findings;
}

/** A name that says nothing invites everything. */
export function checkName({ path }: Source): Finding[] {
  const says = path.split('/').every((part) => !/(^|[-_.])(utils?|helpers?|misc)(\.|$)/i.test(part));
  return says ? [] : [{ path, message: 'name it after what it holds' }];
}
