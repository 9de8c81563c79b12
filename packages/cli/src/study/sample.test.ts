import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { StudyError } from './errors.ts';
import { generateSampleStudy, sampleIdentities } from './sample.ts';

/** Two subjects at one site, one file of every kind. */
const scale = 0.02;
/** What version 1 comes to at that scale, on every machine. */
const treeSha256 = '295c686250552060a7a517f99280965a581b9d70e89681fce5858f32998e34e5';

function folder(context: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'trialkeep-sample-'));
  context.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Paths of the files, the marker left out. */
function filesOf(root: string): string[] {
  const entries = readdirSync(root, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1));
  return paths.filter((path) => path !== 'SAMPLE-STUDY');
}

/** As `sha256sum` would list the files, hashed once more. */
function digestOf(root: string): string {
  const sha256 = (data: string | Buffer) => createHash('sha256').update(data).digest('hex');
  const paths = filesOf(root).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return sha256(paths.map((path) => `${sha256(readFileSync(join(root, path)))}  ${path}\n`).join(''));
}

const refusal = (code: string) => (error: unknown) => error instanceof StudyError && error.code === code;

test('the sample study has the same bytes on every machine and run [URS-047]', async (context) => {
  const target = join(folder(context), 'not', 'yet', 'there');
  const summary = await generateSampleStudy(target, { scale });
  assert.equal(summary.sha256, treeSha256);
  assert.equal(digestOf(target), treeSha256);
  assert.equal(summary.files, filesOf(target).length);
  assert.equal(summary.subjects, 2);
  assert.equal(summary.sites, 1);
  assert.equal(summary.generated, true);
});

test('progress grows to the number of bytes written', async (context) => {
  const calls: [number, number][] = [];
  const onProgress = (...call: [number, number]) => calls.push(call);
  const { bytes } = await generateSampleStudy(folder(context), { scale, onProgress });
  assert.deepEqual(calls.at(-1), [bytes, bytes]);
  for (const [at, [done, total]] of calls.entries()) {
    assert.ok(done >= (calls[at - 1]?.[0] ?? 0));
    assert.ok(total >= done);
    assert.ok(Math.abs(total - bytes) < bytes / 10, `${total} is no estimate of ${bytes}`);
  }
});

test('a complete study is left as it is', async (context) => {
  const target = folder(context);
  const first = await generateSampleStudy(target, { scale });
  const someFile = join(target, 'ctms', 'study.json');
  const { ino, mtimeMs } = statSync(someFile);
  const second = await generateSampleStudy(target, { scale });
  assert.deepEqual(second, { ...first, generated: false });
  assert.deepEqual([statSync(someFile).ino, statSync(someFile).mtimeMs], [ino, mtimeMs]);
});

test('a half-written study is made again', async (context) => {
  const target = folder(context);
  let files = 0;
  const onProgress = () => {
    if (++files === 20) throw new Error('the machine stops here');
  };
  await assert.rejects(generateSampleStudy(target, { scale, onProgress }), /the machine stops here/);
  assert.ok(!existsSync(join(target, 'SAMPLE-STUDY')));
  assert.equal(filesOf(target).filter((path) => path !== 'SAMPLE-STUDY.partial').length, 20);
  const summary = await generateSampleStudy(target, { scale });
  assert.equal(summary.generated, true);
  assert.equal(digestOf(target), treeSha256);
});

test('a damaged study is made again', async (context) => {
  const target = folder(context);
  await generateSampleStudy(target, { scale });
  truncateSync(join(target, 'ctms', 'sites.json'), 10);
  assert.equal((await generateSampleStudy(target, { scale })).generated, true);
  rmSync(join(target, 'ctms', 'contacts.json'));
  assert.equal((await generateSampleStudy(target, { scale })).generated, true);
  assert.equal(digestOf(target), treeSha256);
});

test('a study of another scale makes way', async (context) => {
  const target = folder(context);
  const larger = await generateSampleStudy(target, { scale: 0.03 });
  assert.equal(larger.subjects, 4);
  assert.notEqual(larger.sha256, treeSha256);
  assert.equal((await generateSampleStudy(target, { scale })).sha256, treeSha256);
  assert.equal(digestOf(target), treeSha256);
});

test('a folder with anything else in it is refused and left alone', async (context) => {
  const target = folder(context);
  writeFileSync(join(target, 'thesis.txt'), 'mine');
  await assert.rejects(generateSampleStudy(target, { scale }), refusal('study.target_foreign'));
  assert.deepEqual(readdirSync(target), ['thesis.txt']);
  // Somebody's own folder of the name of one of ours, and somebody's own file of the name of the marker.
  rmSync(join(target, 'thesis.txt'));
  mkdirSync(join(target, 'edc'));
  writeFileSync(join(target, 'edc', 'mine.csv'), 'mine');
  await assert.rejects(generateSampleStudy(target, { scale }), refusal('study.target_foreign'));
  for (const content of ['not JSON', '{}', 'null', `{"version":1,"scale":1}`, ' '.repeat(5000)]) {
    writeFileSync(join(target, 'SAMPLE-STUDY'), content);
    await assert.rejects(generateSampleStudy(target, { scale }), refusal('study.target_foreign'), content);
  }
  assert.deepEqual(filesOf(target), ['edc/mine.csv']);
});

test('a file that was added to the study is never removed', async (context) => {
  const target = folder(context);
  await generateSampleStudy(target, { scale });
  const added = join(target, 'edc', 'sites', 'note.txt');
  writeFileSync(added, 'mine');
  await assert.rejects(generateSampleStudy(target, { scale }), refusal('study.target_foreign'));
  await assert.rejects(generateSampleStudy(target, { scale: 0.03 }), refusal('study.target_foreign'));
  assert.equal(readFileSync(added, 'utf8'), 'mine');
});

test('a target that cannot be a folder, or cannot be written, is refused', async (context) => {
  const file = join(folder(context), 'file');
  writeFileSync(file, '');
  await assert.rejects(generateSampleStudy(file, { scale }), refusal('study.target_not_a_folder'));
  await assert.rejects(
    generateSampleStudy(join(file, 'below'), { scale }),
    refusal('study.target_not_a_folder'),
  );
  const unwritable = '/proc/trialkeep-sample';
  await assert.rejects(generateSampleStudy(unwritable, { scale }), refusal('study.target_unwritable'));
});

test('a scale outside of its range is refused', async (context) => {
  const target = folder(context);
  for (const wrong of [0, -1, 0.009, 101, Number.NaN, Number.POSITIVE_INFINITY]) {
    await assert.rejects(generateSampleStudy(target, { scale: wrong }), refusal('study.scale_invalid'));
  }
  assert.deepEqual(readdirSync(target), []);
});

test('identifiers lie in the files of every system, and in no path [URS-043]', async (context) => {
  const target = folder(context);
  await generateSampleStudy(target, { scale });
  const identities = sampleIdentities(scale);
  assert.equal(identities.length, 2);
  const paths = filesOf(target);
  const contents = paths.map((path) => ({ path, content: readFileSync(join(target, path)) }));
  for (const { fullName, birthDate, address, phone } of identities) {
    for (const system of ['edc/', 'etmf/', 'ctms/', 'wearable/']) {
      const holders = contents.filter(
        ({ path, content }) => path.startsWith(system) && content.includes(fullName),
      );
      assert.ok(holders.length > 0, `${fullName} in ${system}`);
    }
    for (const identifier of [birthDate, address, phone]) {
      assert.ok(
        contents.some(({ content }) => content.includes(identifier)),
        identifier,
      );
    }
    for (const path of paths) {
      for (const part of [...fullName.split(' '), birthDate]) assert.ok(!path.includes(part), path);
    }
  }
});

test('at full scale people differ, and some have names outside of ASCII [URS-043]', () => {
  const identities = sampleIdentities();
  assert.equal(identities.length, 120);
  assert.equal(new Set(identities.map(({ subjectNumber }) => subjectNumber)).size, 120);
  assert.equal(new Set(identities.map(({ phone }) => phone)).size, 120);
  assert.ok(identities.some(({ fullName }) => /\p{Script=Han}/u.test(fullName)));
  assert.ok(identities.some(({ fullName }) => /[ŁłóśćżźŻ]/.test(fullName)));
});
