import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const runner = fileURLToPath(new URL('test.ts', import.meta.url));

interface Run {
  readonly status: number | null;
  readonly output: string;
  /** What was kept of one file. */
  readonly kept: (file: string) => { title: string; status: string }[];
}

/** A folder with these test files, and a way to run the runner in it. */
function project(t: TestContext, files: Record<string, string>): (args?: string[], env?: object) => Run {
  const folder = mkdtempSync(join(tmpdir(), 'trialkeep-runner-'));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), `import { describe, test } from 'node:test';\n${text}\n`);
  }
  return (args = [], env = {}) => {
    const { TRIALKEEP_TEST_REQUIRE_ALL: _, ...rest } = process.env;
    const { status, stdout, stderr } = spawnSync(process.execPath, [runner, ...args], {
      cwd: folder,
      env: { ...rest, ...env },
      encoding: 'utf8',
    });
    const kept = (file: string): { title: string; status: string }[] => {
      const all = JSON.parse(readFileSync(join(folder, '.test-results/results.json'), 'utf8')) as Record<
        string,
        []
      >;
      return all[file] ?? [];
    };
    return { status, output: stdout + stderr, kept };
  };
}

const unit = 'packages/a/src/unit.test.ts';
const apart = 'packages/a/src/deep/two.integration.test.ts';
const passing = {
  [unit]: "test('one', () => {}); globalThis.seen = true;",
  'tools/b.test.ts': "test('shares the process', () => { if (!globalThis.seen) throw new Error('alone'); });",
  [apart]: "test('alone', () => { if (globalThis.seen) throw new Error('shared'); });",
  'e2e/flow.test.ts': "test('flow', () => {});",
};

test('both groups run, apart, and the counts close the output', (t) => {
  const { status, output, kept } = project(t, passing)();
  assert.equal(status, 0, output);
  assert.match(output, /ℹ tests 2\n[^]*ℹ pass 2\n[^]*ℹ fail 0\n[^]*ℹ tests 2\n/);
  assert.ok(output.endsWith('\n4 passed, 0 failed, 0 skipped\n'), output);
  assert.deepEqual(kept('e2e/flow.test.ts'), [{ title: 'flow', status: 'passed' }]);
});

test('a pattern chooses files and leaves the last results of the others', (t) => {
  const run = project(t, passing);
  run();
  const { status, output, kept } = run(['flow']);
  assert.equal(status, 0, output);
  assert.ok(output.endsWith('\n1 passed, 0 failed, 0 skipped\n'), output);
  assert.equal(kept(unit)[0]?.title, 'one');
  assert.equal(run(['no-such-file']).status, 1);
});

test('failures are shown, counted and kept', (t) => {
  const { status, output, kept } = project(t, {
    ...passing,
    [unit]: "describe('group', () => { test('bad', () => { throw new Error('boom'); }); });",
    'tools/b.test.ts': "import './missing.ts'; test('never', () => {});",
  })();
  assert.equal(status, 1);
  assert.match(output, /✖ bad[^]*Error: boom[^]*missing\.ts/);
  assert.ok(output.endsWith('\n2 passed, 2 failed, 0 skipped\n'), output);
  assert.deepEqual(kept(unit)[0], { title: 'bad', status: 'failed' });
});

test('a group without files is an error', (t) => {
  const { status, output } = project(t, { [unit]: passing[unit] ?? '' })();
  assert.equal(status, 1);
  assert.match(output, /No integration test files/);
});

test('a process that ends early is a failure', (t) => {
  const { status, output } = project(t, { ...passing, [unit]: 'process.exit(0);' })();
  assert.equal(status, 1);
  assert.match(output, /unit tests ended before they were all done/);
  assert.match(output, /, 1 failed, /);
});

test('a skip prints its reason, and is a failure where all is required', (t) => {
  const run = project(t, { ...passing, [unit]: "test('data', { skip: 'no data here' }, () => {});" });
  const files = ['src/unit'];
  const lenient = run(files);
  assert.equal(lenient.status, 0);
  assert.match(lenient.output, /data .*no data here/);
  assert.ok(lenient.output.endsWith('\n0 passed, 0 failed, 1 skipped\n'), lenient.output);
  const strict = run(files, { TRIALKEEP_TEST_REQUIRE_ALL: '1' });
  assert.equal(strict.status, 1);
  assert.match(strict.output, /packages\/a\/src\/unit\.test\.ts: data \(no data here\)/);
  assert.match(strict.output, /\n0 passed, 1 failed, 0 skipped\n/);
});
