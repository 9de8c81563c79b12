import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { catalogue, comparePathBytes } from './catalogue.ts';
import type { StudyFile } from './catalogue.ts';
import { StudyError, studyErrors } from './errors.ts';
import { generateSampleStudy } from './sample.ts';

const sharedData =
  process.env['TRIALKEEP_SHARED_DATA'] ??
  fileURLToPath(new URL('../../../../../shared/data', import.meta.url));
const isRoot = process.getuid?.() === 0;

/** A folder with the files of those paths, each with its path as content. */
function tree(context: TestContext, paths: readonly string[] = []): string {
  const root = mkdtempSync(join(tmpdir(), 'trialkeep-catalogue-'));
  context.after(() => rmSync(root, { recursive: true, force: true }));
  for (const path of paths) {
    mkdirSync(join(root, dirname(path)), { recursive: true });
    writeFileSync(join(root, path), path);
  }
  return root;
}

const refusal = (code: string) => (error: unknown) => error instanceof StudyError && error.code === code;
const described = ({ system, dataClass, subjectNumber }: StudyFile) =>
  [system, dataClass, subjectNumber ?? '-'].join(' ');

const expected: Record<string, string> = {
  // What the ending says, where no folder names the system.
  'a/ae.xpt': 'edc subject-table -',
  'a/dm.ndjson': 'edc subject-table -',
  'a/DM.CSV': 'edc subject-table -',
  'a/define.xml': 'edc form -',
  'a/protocol.pdf': 'etmf document -',
  'a/README.md': 'etmf document -',
  'a/notes.txt': 'etmf document -',
  'a/LICENSE': 'ctms other -',
  'a/schema.xsd': 'ctms other -',
  'a/trailing.': 'ctms other -',
  // Folders that name the system win over endings.
  'EDC/scan.pdf': 'edc document -',
  'tmf/list.csv': 'etmf document -',
  'x/ctms/sites.json': 'ctms operational -',
  'x/ctms/logo.png': 'ctms other -',
  'wearable/steps.ndjson': 'wearable device-readings -',
  'wearable-things/steps.ndjson': 'edc subject-table -',
  // One ECG record is one subject.
  'ecg/100.dat': 'wearable ecg 100',
  'ecg/100.hea': 'wearable ecg 100',
  'ecg/100.atr': 'wearable ecg 100',
  'ecg/binformats.d7': 'wearable ecg binformats',
  'ecg/s0010_re.xyz': 'wearable ecg s0010_re',
  'ecg/night.two.edf': 'wearable ecg night.two',
  'ecg/.hea': 'wearable ecg -',
  // One patient's bundle is one subject, by the id and never by the name.
  'R4/Ann_Example_AD2e3fc5-2b5d-4cb9-8d03-9ea0f4ac8423.json':
    'edc subject-table ad2e3fc5-2b5d-4cb9-8d03-9ea0f4ac8423',
  'R4/bundle.json': 'edc subject-table -',
  // The folder of a subject comes first.
  'edc/subjects/101-0007/dm.ndjson': 'edc subject-table 101-0007',
  'wearable/Subjects/101-0007/ecg/r1.dat': 'wearable ecg 101-0007',
  'etmf/subjects/参加者１/同意.pdf': 'etmf document 参加者１',
  'edc/subjects/list.csv': 'edc subject-table -',
  [`edc/subjects/${'9'.repeat(64)}/a.csv`]: `edc subject-table ${'9'.repeat(64)}`,
  [`edc/subjects/${'9'.repeat(65)}/a.csv`]: 'edc subject-table -',
  'edc/subjects/line\nbreak/a.csv': 'edc subject-table -',
};

test('system, class and subject follow from the path', async (context) => {
  const root = tree(context, Object.keys(expected));
  const { files, skipped } = await catalogue(root);
  assert.deepEqual(skipped, []);
  assert.deepEqual(Object.fromEntries(files.map((file) => [file.path, described(file)])), expected);
  for (const { path, bytes } of files) assert.equal(bytes, Buffer.byteLength(path));
});

test('files come in the order of the bytes of their paths', async (context) => {
  const root = tree(
    context,
    ['b', 'a/z', 'a-b', 'a', 'A', 'é', 'Z', '～', '😀'].map((name) => `${name}.md`),
  );
  const { files } = await catalogue(root);
  const names = files.map(({ path }) => path);
  assert.deepEqual(
    names,
    [...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
  );
  assert.equal(names.length, 9);
});

test('comparing paths is comparing their UTF-8 bytes', () => {
  const unit = fc.constantFrom('/', 'a', 'é', '\ud7ff', '\ue000', '～', '\uffff', '\u{10000}', '\u{10ffff}');
  const text = fc.string({ unit, maxLength: 8 });
  const property = fc.property(text, text, (a, b) => {
    assert.equal(Math.sign(comparePathBytes(a, b)), Buffer.compare(Buffer.from(a), Buffer.from(b)));
  });
  fc.assert(property, { numRuns: 200 });
});

test('links are reported and not followed, in loops or out of the folder', async (context) => {
  const root = tree(context, ['a/file.md']);
  const outside = tree(context, ['secret.md']);
  symlinkSync('..', join(root, 'a', 'loop'));
  symlinkSync(outside, join(root, 'outside'));
  symlinkSync(join(outside, 'secret.md'), join(root, 'secret.md'));
  symlinkSync('nowhere', join(root, 'dangling.md'));
  const { files, skipped } = await catalogue(root);
  assert.deepEqual(
    files.map(({ path }) => path),
    ['a/file.md'],
  );
  assert.deepEqual(
    skipped,
    ['a/loop', 'dangling.md', 'outside', 'secret.md'].map((path) => ({ path, reason: 'symbolic-link' })),
  );
  const link = join(outside, 'link');
  symlinkSync(root, link);
  assert.equal((await catalogue(link)).files.length, 1, 'the root itself may be a link');
});

test('a name that is not UTF-8 is reported', async (context) => {
  const root = tree(context, ['file.md']);
  writeFileSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0x66, 0xff, 0x2e, 0x6d, 0x64])]), '');
  const { files, skipped } = await catalogue(root);
  assert.equal(files.length, 1);
  assert.deepEqual(skipped, [{ path: 'f\ufffd.md', reason: 'name-not-utf-8' }]);
});

/** Permissions do not bind root; the kernel's own write-only files do. */
const kernelFolder = '/proc/sys/vm';

test('what cannot be read is reported', async (context) => {
  if (isRoot && !existsSync(join(kernelFolder, 'compact_memory'))) {
    return context.skip(
      `runs as root, who may read everything here: there is no ${kernelFolder}/compact_memory`,
    );
  }
  const root = isRoot ? kernelFolder : tree(context, ['swappiness', 'compact_memory', 'folder/file.md']);
  if (!isRoot) {
    chmodSync(join(root, 'compact_memory'), 0);
    chmodSync(join(root, 'folder'), 0);
  }
  const { files, skipped } = await catalogue(root);
  if (!isRoot) chmodSync(join(root, 'folder'), 0o700);
  const reasons = new Map(skipped.map(({ path, reason }) => [path, reason]));
  assert.equal(reasons.get('compact_memory'), 'unreadable');
  if (!isRoot) assert.equal(reasons.get('folder'), 'unreadable');
  assert.ok(files.some(({ path }) => path === 'swappiness'));
  assert.ok(!files.some(({ path }) => reasons.has(path)));
});

test('a missing folder, a file and an empty folder each have their error', async (context) => {
  const root = tree(context);
  await assert.rejects(catalogue(root), refusal('study.folder_empty'));
  mkdirSync(join(root, 'only', 'folders'), { recursive: true });
  await assert.rejects(catalogue(root), refusal('study.folder_empty'));
  writeFileSync(join(root, 'file'), '');
  await assert.rejects(catalogue(join(root, 'file')), refusal('study.folder_not_a_folder'));
  for (const missing of [
    join(root, 'missing'),
    join(root, 'file', 'below'),
    '',
    'nul\0byte',
    'x'.repeat(9000),
  ]) {
    await assert.rejects(catalogue(missing), refusal('study.folder_missing'), missing.slice(0, 20));
  }
});

test('every error has a sentence and a fix', () => {
  for (const [code, { message, fix }] of Object.entries(studyErrors)) {
    assert.match(code, /^study\.[a-z_]+$/);
    assert.match(message, /^[A-Z].*\.$/);
    assert.match(fix, /^[A-Z].*\.$/);
  }
});

test('the sample study has every class of data, and an empty file', async (context) => {
  const root = tree(context);
  const summary = await generateSampleStudy(root, { scale: 0.02 });
  const { files, skipped } = await catalogue(root);
  assert.deepEqual(skipped, []);
  assert.equal(files.length, summary.files + 1, 'the marker is a file as well');
  const kinds = new Set(files.map(({ system, dataClass }) => `${system} ${dataClass}`));
  for (const kind of [
    'edc subject-table',
    'edc form',
    'etmf document',
    'ctms operational',
    'wearable ecg',
    'wearable device-readings',
  ]) {
    assert.ok(kinds.has(kind), kind);
  }
  assert.deepEqual(
    files.filter(({ bytes }) => bytes === 0).map(({ path }) => path),
    ['ctms/open-issues.csv'],
  );
  const subjects = new Set(files.map(({ subjectNumber }) => subjectNumber));
  assert.deepEqual(subjects, new Set([undefined, '101-0001', '101-0002']));
});

test(
  'real inputs: tables, forms, documents, records and bundles are told apart',
  {
    skip: existsSync(sharedData) ? false : 'no folder shared/data beside the repository',
  },
  async () => {
    const { files } = await catalogue(sharedData);
    const found = new Map(files.map((file) => [file.path, described(file)]));
    const samples = 'wearable-wfdb/sample-data';
    assert.equal(found.get('cdisc-pilot-sdtm/data/sdtm/cdiscpilot01/dm.xpt'), 'edc subject-table -');
    assert.equal(found.get('cdisc-pilot-sdtm/data/sdtm/cdiscpilot01/blankcrf.pdf'), 'etmf document -');
    assert.equal(found.get('odm-openedc/example/clinicaldata.xml'), 'edc form -');
    assert.equal(found.get(`${samples}/100.dat`), 'wearable ecg 100');
    assert.equal(found.get(`${samples}/100.qrs`), 'wearable ecg 100');
    assert.equal(found.get(`${samples}/s0010_re.xyz`), 'wearable ecg s0010_re');
    const bundles = files.filter(({ path }) => path.startsWith('fhir-r4-synthea/R4/'));
    assert.equal(bundles.length, 4);
    for (const { subjectNumber } of bundles) assert.match(subjectNumber ?? '', /^[0-9a-f-]{36}$/);
  },
);
