/** veraPDF, the reference validator of PDF/A, on each kind of document. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { sampleAnswer, sampleErasure, useEntry } from './fixture.test.ts';
import { makeEvidence } from './make.ts';

/** Where tools/test-services.sh puts it. */
const jar = process.env.TRIALKEEP_VERAPDF ?? join(homedir(), '.cache', 'trialkeep', 'verapdf.jar');
const hasJava = spawnSync('java', ['-version']).status === 0;
const missing = hasJava ? (existsSync(jar) ? undefined : 'no veraPDF') : 'no Java';
const skip =
  missing === undefined ? false : `${missing}: run tools/test-services.sh, or set TRIALKEEP_VERAPDF`;
if (skip !== false && process.env.TRIALKEEP_TEST_REQUIRE_ALL === '1') throw new Error(skip);

test('veraPDF finds each kind of document to be PDF/A-3a [URS-084]', { skip }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'trialkeep-verapdf-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const many = Array.from({ length: 60 }, (_, i) => useEntry(i + 1));
  const samples = {
    empty: await sampleAnswer([]),
    many: await sampleAnswer(many),
    scripts: await sampleAnswer([useEntry(1)], undefined, { title: '治験 Ελληνικά Кириллица fi ffl' }),
    stamped: await sampleAnswer([useEntry(1)]),
    erasure: await sampleErasure(),
  };
  const paths = [];
  for (const [name, { files }] of Object.entries(samples)) {
    const path = join(folder, `${name}.pdf`);
    writeFileSync(
      path,
      await makeEvidence(name === 'stamped' ? { ...files, 'checkpoint.tsr': Buffer.alloc(99) } : files),
    );
    paths.push(path);
  }
  const validator = [
    '-cp',
    jar,
    'org.verapdf.apps.GreenfieldCliWrapper',
    '--format',
    'text',
    '--flavour',
    '3a',
  ];
  const { stdout } = spawnSync('java', [...validator, ...paths], { encoding: 'utf8' });
  const verdicts = stdout.split('\n').filter((line) => /^(PASS|FAIL)/.test(line));
  assert.deepEqual(
    verdicts.map((line) => line.split(' ')[0]),
    paths.map(() => 'PASS'),
    stdout,
  );
});
