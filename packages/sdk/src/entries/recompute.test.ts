import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { kindOfEntry } from '@trialkeep/contract';
import type { Conditions, EntryKind } from '@trialkeep/contract';
import { parseCheckpoint, parseNote } from '@trialkeep/ledger';
import { TrialkeepError } from '../errors.ts';
import { exportLedger } from '../verify/index.ts';
import { inFolder, StandInLog } from '../verify/fixture.test.ts';
import { AnswerFile, answerText, entryKinds, meets, parseEntry, recomputeAnswer } from './index.ts';
import type { AnswerHead, ListedEntry } from './index.ts';
import { entryText, entryTexts, id, subject } from './fixture.test.ts';

interface Made {
  readonly head: AnswerHead;
  readonly listed: ListedEntry[];
}

const at = Date.UTC(2026, 3, 10);

/** The true answer of the log, made from the texts. */
async function answerOf(log: StandInLog, texts: readonly string[], question: Conditions): Promise<Made> {
  const checkpoint = Buffer.from(await log.checkpoint()).toString();
  const { origin, size, root } = parseCheckpoint(parseNote(Buffer.from(checkpoint)).text);
  const counts = Object.fromEntries(entryKinds.map((kind) => [kind, 0])) as Record<EntryKind, number>;
  const met = texts.map((text, index) => parseEntry(index, text)).filter((one) => meets(one, question));
  for (const { kind } of met) counts[kind]++;
  const kinds: readonly EntryKind[] = question.kinds ?? entryKinds;
  return {
    head: {
      asked: { at, question },
      bound: { origin, size, root: Buffer.from(root).toString('base64'), checkpoint, first: 0 },
      counts,
    },
    listed: met.filter(({ kind }) => kinds.includes(kind)),
  };
}

const textOf = ({ head, listed }: Made): string =>
  answerText.head(head) + listed.map(answerText.item).join(answerText.separator) + answerText.tail;

/** Runs `work` with an export of a log of so many entries. */
async function withExport(
  count: number,
  work: (parts: {
    log: StandInLog;
    texts: string[];
    check(answer: string): ReturnType<typeof recomputeAnswer>;
  }) => Promise<void>,
): Promise<void> {
  const texts = entryTexts(count);
  const log = new StandInLog(texts);
  await inFolder(async (folder) => {
    const exported = join(folder, 'export');
    await exportLedger(log, exported, { verifierKey: log.verifierKey });
    const check = async (answer: string) => {
      const path = join(folder, 'answer.json');
      await writeFile(path, answer);
      return recomputeAnswer({ answer: path, folder: exported, verifierKey: log.verifierKey });
    };
    await work({ log, texts, check });
  });
}

const question: Conditions = { subject, class: 'ecg', kinds: ['key-released', 'decryption-attested'] };

test('a true answer is confirmed, whatever it asks and however long it is [URS-038]', async () => {
  await withExport(700, async ({ log, texts, check }) => {
    const questions: Conditions[] = [
      {},
      question,
      { device: id(903) },
      { from: Date.UTC(2026, 2, 1) + 50_000, to: Date.UTC(2026, 2, 1) + 60_000 },
      { actor: id(1) },
    ];
    for (const asked of questions) {
      const made = await answerOf(log, texts, asked);
      const result = await check(textOf(made));
      assert.deepEqual([result.verdict, result.findings], ['same', []], JSON.stringify(asked));
      assert.equal(result.confirmed, made.listed.length);
    }
  });
});

test('what was left out, put in, altered or miscounted is found [URS-033] [URS-038]', async () => {
  await withExport(300, async ({ log, texts, check }) => {
    const made = await answerOf(log, texts, question);
    const [first, second, third] = made.listed as [ListedEntry, ListedEntry, ListedEntry];
    const rest = made.listed.slice(2);
    const foreign = { index: 1, kind: 'decryption-observed', text: texts[1] ?? '' };
    const forged = {
      ...first,
      text: entryText(0, { operation: 'keys.decrypt-data-key', actor: id(5), subject }),
    };
    const cases: [string, Made, string, (number | undefined)?][] = [
      ['left out', { ...made, listed: made.listed.slice(1) }, 'answer.missing', first.index],
      [
        'last left out',
        { ...made, listed: made.listed.slice(0, -1) },
        'answer.missing',
        made.listed.at(-1)?.index,
      ],
      ['put in', { ...made, listed: [first, foreign, second, ...rest] }, 'answer.added', 1],
      ['beyond', { ...made, listed: [...made.listed, { ...first, index: 300 }] }, 'answer.added', 300],
      ['twice', { ...made, listed: [first, first, second, ...rest] }, 'answer.added', first.index],
      ['out of order', { ...made, listed: [second, first, ...rest] }, 'answer.added', first.index],
      ['another text', { ...made, listed: [forged, second, ...rest] }, 'answer.altered', first.index],
      [
        'another kind',
        { ...made, listed: [first, { ...second, kind: 'other' }, third, ...rest.slice(1)] },
        'answer.altered',
        second.index,
      ],
      [
        'counts',
        { ...made, head: { ...made.head, counts: { ...made.head.counts, other: 9 } } },
        'answer.counts',
      ],
      [
        'smaller size',
        { ...made, head: { ...made.head, bound: { ...made.head.bound, size: 200 } } },
        'answer.bound',
      ],
      [
        'later beginning',
        { ...made, head: { ...made.head, bound: { ...made.head.bound, first: 300 } } },
        'answer.bound',
      ],
      [
        'a period that is another',
        { ...made, head: { ...made.head, asked: { ...made.head.asked, period: 'last-month' as const } } },
        'answer.period',
      ],
    ];
    for (const [name, altered, code, index] of cases) {
      const { verdict, findings } = await check(textOf(altered));
      assert.equal(verdict, 'different', name);
      assert.ok(
        findings.some((finding) => finding.code === code && (index === undefined || finding.index === index)),
        `${name}: ${JSON.stringify(findings)}`,
      );
    }
  });
});

test('an answer of another log, or of a checkpoint that the log does not continue, is not confirmed [URS-033] [URS-038]', async () => {
  await withExport(20, async ({ texts, check }) => {
    const other = new StandInLog(texts);
    const { verdict, findings } = await check(textOf(await answerOf(other, texts, {})));
    assert.equal(verdict, 'different');
    assert.deepEqual(
      findings.map(({ code }) => code),
      ['answer.log_failed'],
    );
  });
});

test('a file that is no answer, or not whole, is refused before anything is believed [URS-038]', async () => {
  await withExport(20, async ({ log, texts, check }) => {
    const made = await answerOf(log, texts, {});
    const good = textOf(made);
    const malformed = [
      '',
      '{}',
      good.slice(0, -1),
      good.slice(0, good.length / 2),
      `${good}\n`,
      good.replace('"entries":[', '"entries": ['),
      good.replace('"v":1}', '"v":2}').replace(/"v":1}$/, '"v":2}'),
      good.replace('"asked"', '"Asked"'),
      good.replace(`"at":${at}`, `"at":${at}.0`),
      good.replace('"index":3,', '"index":3,"more":1,'),
      good.replace('"index":3,', '"index":-3,'),
      good.replace('"question":{}', '"question":{"where":"x"}'),
      good.replace('"question":{}', '"question":{"kinds":["other","key-released"]}'),
      good.replace('},{', '} ,{'),
      good.replace('tampering', 'tempering'),
      `${good.slice(0, good.indexOf('"entries":[') + 11)}{"entry":"${'x'.repeat(70_000)}`,
      'x'.repeat(3_000_000),
    ];
    for (const text of malformed) {
      await assert.rejects(
        check(text),
        (error) => error instanceof TrialkeepError && error.code === 'answer.malformed',
        text.slice(0, 200),
      );
    }
    assert.equal((await check(good)).verdict, 'same');
  });
  await assert.rejects(
    AnswerFile.open(join('no', 'such', 'file')),
    (error) => error instanceof TrialkeepError && error.code === 'answer.unreadable',
  );
});

test('every entry has one kind, and only what was done or attested counts as it [URS-038]', () => {
  const kind = (operation: string, outcome = 'success', use?: string) =>
    kindOfEntry({ operation, outcome, ...(use !== undefined && { attested: { use } }) });
  assert.equal(kind('keys.generate-data-key'), 'key-released');
  assert.equal(kind('keys.decrypt-data-key'), 'key-released');
  assert.equal(kind('keys.decrypt'), 'decryption-observed');
  assert.equal(kind('keys.encrypt'), 'encryption-observed');
  assert.equal(kind('keys.re-encrypt'), 'decryption-observed');
  const target = { operation: 'keys.re-encrypt', source: '00000000-0000-4000-8000-000000000000' };
  assert.equal(kindOfEntry({ ...target, outcome: 'success' }), 'encryption-observed');
  assert.equal(kindOfEntry({ ...target, outcome: 'refused' }), 'use-denied');
  assert.equal(kind('uses.report', 'success', 'open'), 'decryption-attested');
  assert.equal(kind('uses.report', 'success', 'seal'), 'encryption-attested');
  assert.equal(kind('uses.report'), 'other');
  for (const outcome of ['refused', 'failed', 'requested']) {
    for (const operation of ['keys.decrypt', 'keys.decrypt-data-key', 'uses.report']) {
      assert.equal(kind(operation, outcome, 'open'), 'use-denied');
    }
  }
  for (const operation of ['keys.rotate', 'constructor', 'toString', '__proto__'])
    assert.equal(kind(operation), 'other');
});
