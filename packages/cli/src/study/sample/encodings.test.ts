import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateSync } from 'node:zlib';
import fc from 'fast-check';
import { csv } from './csv.ts';
import { chestLeads, limbLeads, synthesise } from './ecg.ts';
import { pdf } from './pdf.ts';
import { wrap } from './prose.ts';
import { Random } from './random.ts';
import { decimal } from './study.ts';
import { encodeHeader, encodeSamples } from './wfdb.ts';
import type { WfdbRecord } from './wfdb.ts';

const sampleOf12Bits = fc.integer({ min: -2048, max: 2047 });

function record(format: 212 | 16, signals: number[][]): WfdbRecord {
  return {
    name: 'r1',
    format,
    rate_Hz: 250,
    gain: 200,
    begun: '09:00:00 01/02/2026',
    signals: signals.map((samples, at) => ({ name: `L${at}`, samples: Int16Array.from(samples) })),
    comments: ['born: 1950-01-01'],
  };
}

/** Format 212, from the words of signal(5): the first sample has the low 8 bits of byte 0 and the low 4 of byte 1. */
function decode212(bytes: Buffer): number[] {
  const samples: number[] = [];
  const signed = (value: number) => (value >= 2048 ? value - 4096 : value);
  for (let at = 0; at < bytes.length; at += 3) {
    const [low = 0, middle = 0, high = 0] = bytes.subarray(at, at + 3);
    samples.push(signed((middle % 16) * 256 + low), signed(Math.floor(middle / 16) * 256 + high));
  }
  return samples;
}

test('12-bit samples come back from three bytes a pair', () => {
  const pair = fc.tuple(sampleOf12Bits, sampleOf12Bits);
  const property = fc.property(fc.array(pair, { minLength: 1, maxLength: 20 }), (frames) => {
    const signals = [frames.map(([first]) => first), frames.map(([, second]) => second)];
    const bytes = encodeSamples(record(212, signals));
    assert.equal(bytes.length, frames.length * 3);
    assert.deepEqual(decode212(bytes), frames.flat());
  });
  fc.assert(property, { numRuns: 100 });
});

test('16-bit samples lie in turn, least significant byte first', () => {
  const bytes = encodeSamples(
    record(16, [
      [1, -2],
      [256, 32767],
    ]),
  );
  assert.equal(bytes.toString('hex'), '01000001feffff7f');
});

test('a header gives the format, the first sample and the checksum of each signal', () => {
  const header = encodeHeader(
    record(212, [
      [2000, 2047, -5],
      [-2048, -2048, -2048],
    ]),
  ).toString();
  assert.equal(
    header,
    [
      'r1 2 250 3 09:00:00 01/02/2026',
      'r1.dat 212 200/mV 12 0 2000 4042 0 L0',
      'r1.dat 212 200/mV 12 0 -2048 -6144 0 L1',
      '# born: 1950-01-01',
      '',
    ].join('\n'),
  );
  const wrapped = encodeHeader(record(16, [Array.from({ length: 20 }, () => 2047)])).toString();
  assert.match(wrapped, / 16 200\/mV 12 0 2047 -24596 0 L0\n/, 'the checksum wraps at 16 bits');
});

test('a synthesised ECG beats at about the rate asked for, within 12 bits', () => {
  for (const inFibrillation of [false, true]) {
    const recording = { rate_Hz: 250, seconds: 120, meanRate_bpm: 70, inFibrillation, gain: 200 };
    const leads = [limbLeads[1], chestLeads[4]];
    const [lead] = synthesise({ ...recording, leads }, new Random('test'));
    const samples = [...(lead?.samples ?? [])];
    assert.equal(samples.length, 250 * 120);
    assert.ok(samples.every((sample) => sample >= -2048 && sample <= 2047));
    const isPeak = (sample: number, at: number) => sample > 140 && (samples[at - 1] ?? 0) <= 140;
    const beats = samples.filter(isPeak).length;
    assert.ok(beats > 120 && beats < 165, `${beats} beats in two minutes`);
  }
});

test('each object of a PDF begins where its table of offsets says', () => {
  const scan = { width: 3, height: 2, pixels: Buffer.from('endobj') };
  const file = pdf('Świadoma (zgoda)', [{ lines: ['a (b) \\ c', '', '佐藤 Łódź'] }, { scan }]);
  const text = file.toString('latin1');
  assert.ok(text.startsWith('%PDF-1.7\n'));
  const start = Number(/startxref\n(\d+)\n%%EOF\n$/.exec(text)?.[1]);
  const [, size] = /^xref\n0 (\d+)\n/.exec(text.slice(start)) ?? [];
  const entries = [...text.slice(start).matchAll(/^(\d{10}) \d{5} ([nf]) $/gm)];
  assert.equal(entries.length, Number(size));
  for (const [number, [, offset, kind]] of entries.entries()) {
    if (kind === 'n') assert.ok(text.startsWith(`${number} 0 obj\n`, Number(offset)), `object ${number}`);
  }
  assert.ok(text.includes('(a \\(b\\) \\\\ c) Tj'));
  assert.ok(text.includes('<4F5085E40020014100F3'), 'UTF-16 with the high byte first');
  for (const [, length, body] of text.matchAll(/\/Length (\d+) >>\nstream\n([^]*?)\nendstream\nendobj/g)) {
    assert.equal(body?.length, Number(length));
  }
});

test('CSV quotes what would otherwise end a field', () => {
  const records = [
    ['a', 'b, c', 'd "e"'],
    [1, null, 'f\ng'],
  ];
  assert.equal(csv(records).toString(), 'a,"b, c","d ""e"""\r\n1,,"f\ng"\r\n');
});

test('text is broken at spaces and nothing is lost', () => {
  const words = fc.array(fc.string({ minLength: 1, maxLength: 9 }).filter((word) => !word.includes(' ')));
  const property = fc.property(words, (each) => {
    const lines = wrap(each.join(' '), 20);
    assert.equal(lines.join(' '), each.join(' '));
    assert.ok(lines.every((line) => line.length <= 20));
  });
  fc.assert(property, { numRuns: 100 });
});

test('decimals are exact', () => {
  assert.deepEqual(
    [decimal(5, 2), decimal(-5, 1), decimal(1234, 1), decimal(0, 2)],
    ['0.05', '-0.5', '123.4', '0.00'],
  );
});

test('the generator repeats itself for a label, differs for another, and cannot be compressed', () => {
  const bytes = (label: string) => new Random(label).fill(Buffer.alloc(10_001));
  assert.deepEqual(bytes('a'), bytes('a'));
  assert.notDeepEqual(bytes('a'), bytes('b'));
  assert.ok(deflateSync(bytes('a')).length >= 10_001);
  const dice = new Random('dice');
  const thrown = Array.from({ length: 6000 }, () => dice.integer(1, 6));
  for (let face = 1; face <= 6; face++) {
    const count = thrown.filter((each) => each === face).length;
    assert.ok(count > 850 && count < 1150, `${face} came ${count} times`);
  }
});
