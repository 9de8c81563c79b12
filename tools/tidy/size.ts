import type { Finding, Source } from './source.ts';
import { isTest, nodesOf } from './source.ts';

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
  for (const node of tree === undefined ? [] : nodesOf(tree)) {
    const length = node.loc.end.line - node.loc.start.line + 1;
    if (functionTypes.has(node.type) && length > maxFunctionLines) {
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
