import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { checkChange, parseChange } from './changes.ts';

const good = `---
kind: added
requirements: URS-003, URS-004
---

# Keys can be rotated

What was sealed before stays readable.
`;

test('a change file parses', () => {
  assert.deepEqual(parseChange(good), {
    kind: 'added',
    requirements: ['URS-003', 'URS-004'],
    title: 'Keys can be rotated',
  });
});

test('each part of a change file is required', () => {
  const broken = [
    good.replace('added', 'improved'),
    good.replace('URS-003, URS-004', 'rotation'),
    good.replace('requirements: URS-003, URS-004\n', ''),
    good.replace('# Keys can be rotated\n', ''),
    good.replace('What was sealed before stays readable.\n', ''),
  ];
  for (const text of broken) assert.throws(() => parseChange(text), Error, text);
});

test('change files are found by place and name', () => {
  assert.equal(checkChange({ path: 'changes/rotate-keys.md', text: 'x' }).length, 1);
  assert.equal(checkChange({ path: 'changes/Rotate Keys.txt', text: good }).length, 1);
  assert.equal(checkChange({ path: 'changes/rotate-keys.md', text: good }).length, 0);
  assert.equal(checkChange({ path: 'docs/rotate-keys.md', text: 'x' }).length, 0);
});

test('the example in changes/README.md is a change file', () => {
  const readme = readFileSync(new URL('../../changes/README.md', import.meta.url), 'utf8');
  const example = /```markdown\n(.*?)```/s.exec(readme)?.[1] ?? '';
  assert.equal(parseChange(example).kind, 'added');
});
