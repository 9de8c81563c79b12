import { chestLeads, limbLeads, synthesise } from './ecg.ts';
import { Random } from './random.ts';
import { decimal, isoTime } from './study.ts';
import type { SampleFile, SampleStudy, Subject } from './study.ts';
import { encodeHeader, encodeSamples } from './wfdb.ts';
import type { Signal, WfdbRecord } from './wfdb.ts';

/** Days from screening to the recordings: the baseline visit. */
const recordedAfter_days = 14;
const gain = 200;

/** What the gateway of the wearable sends: for each subject two ECG records, three streams of readings and the pairing. */
export function* wearableFiles({ sites }: SampleStudy): Generator<SampleFile> {
  for (const subject of sites.flatMap((site) => site.subjects)) {
    const folder = `wearable/subjects/${subject.number}`;
    yield pairing(folder, subject);
    for (const record of [ambulatory(subject), resting(subject)]) {
      yield { path: `${folder}/ecg/${record.name}.dat`, content: encodeSamples(record) };
      yield { path: `${folder}/ecg/${record.name}.hea`, content: encodeHeader(record) };
    }
    for (const stream of streams) yield readings(folder, subject, stream);
  }
}

/** Two leads over several minutes at 250 Hz, packed in 12 bits. */
function ambulatory(subject: Subject): WfdbRecord {
  const random = new Random(`${subject.number} ambulatory`);
  const seconds = random.integer(10, 16) * 60;
  const leads = [limbLeads[1], chestLeads[4]];
  const meanRate_bpm = subject.restingRate_bpm + 8;
  const { inFibrillation } = subject;
  return {
    name: `${subject.number.replace('-', '_')}_ambulatory`,
    format: 212,
    rate_Hz: 250,
    gain,
    begun: begun(subject, 20 * 60 + random.integer(0, 59)),
    signals: synthesise({ leads, rate_Hz: 250, seconds, meanRate_bpm, inFibrillation, gain }, random),
    comments: comments(subject),
  };
}

/** The twelve leads over ten seconds at 500 Hz, in 16 bits. */
function resting(subject: Subject): WfdbRecord {
  const random = new Random(`${subject.number} resting`);
  const leads = [...limbLeads, ...chestLeads];
  const { inFibrillation, restingRate_bpm: meanRate_bpm } = subject;
  const measured = synthesise(
    { leads, rate_Hz: 500, seconds: 10, meanRate_bpm, inFibrillation, gain },
    random,
  );
  return {
    name: `${subject.number.replace('-', '_')}_resting`,
    format: 16,
    rate_Hz: 500,
    gain,
    begun: begun(subject, 9 * 60 + random.integer(0, 59)),
    signals: twelveLeads(measured),
    comments: comments(subject),
  };
}

/** Of the six limb leads two are measured; the four others follow from them (Einthoven, Goldberger). */
function twelveLeads([first, second, ...chest]: readonly Signal[]): Signal[] {
  if (first === undefined || second === undefined) throw new RangeError('leads I and II are measured');
  const derive = (name: string, ofFirst: number, ofSecond: number): Signal => ({
    name,
    samples: first.samples.map((value, at) =>
      Math.round(ofFirst * value + ofSecond * (second.samples[at] ?? 0)),
    ),
  });
  const augmented = [derive('aVR', -0.5, -0.5), derive('aVL', 1, -0.5), derive('aVF', -0.5, 1)];
  return [first, second, derive('III', -1, 1), ...augmented, ...chest];
}

function begun(subject: Subject, minutes: number): string {
  const [date = '', time = ''] = isoTime(subject.screenedOn_days + recordedAfter_days, minutes).split('T');
  return `${time} ${date.split('-').reverse().join('/')}`;
}

/** Recorders write what the nurse typed in. */
function comments(subject: Subject): string[] {
  return [
    `subject: ${subject.number}`,
    `name: ${subject.fullName}`,
    `born: ${subject.birthDate}`,
    `sex: ${subject.sex}`,
    `rhythm: ${subject.inFibrillation ? 'atrial fibrillation' : 'sinus rhythm'}`,
  ];
}

function pairing(folder: string, subject: Subject): SampleFile {
  const device = {
    subject: subject.number,
    serial: serialNumber(subject),
    firmware: '4.2.1',
    pairedAt: `${isoTime(subject.screenedOn_days + recordedAfter_days, 600)}Z`,
    wearer: { name: subject.fullName, born: subject.birthDate, phone: subject.phone },
  };
  return { path: `${folder}/device.json`, content: Buffer.from(`${JSON.stringify(device, null, 2)}\n`) };
}

/** A stream of the device: one reading every so many minutes, for so many readings. */
interface Stream {
  readonly name: string;
  readonly unit: string;
  readonly every_minutes: number;
  readonly count: number;
  readonly value: (subject: Subject, random: Random) => string;
}

const streams: readonly Stream[] = [
  {
    name: 'heart-rate',
    unit: '/min',
    every_minutes: 5,
    count: 576,
    value: (subject, random) => String(subject.restingRate_bpm + random.integer(-8, 30)),
  },
  {
    name: 'oxygen-saturation',
    unit: '%',
    every_minutes: 10,
    count: 432,
    value: (_subject, random) => decimal(random.integer(930, 1000), 1),
  },
  {
    name: 'steps',
    unit: '1',
    every_minutes: 15,
    count: 672,
    value: (_subject, random) => String(random.once(3) ? random.integer(20, 1400) : 0),
  },
];

/** NDJSON, a line for each reading. */
function readings(folder: string, subject: Subject, stream: Stream): SampleFile {
  const random = new Random(`${subject.number} ${stream.name}`);
  const serial = serialNumber(subject);
  const lines: string[] = [];
  for (let at = 0; at < stream.count; at++) {
    const time = `${isoTime(subject.screenedOn_days + recordedAfter_days + 1, at * stream.every_minutes)}Z`;
    const value = stream.value(subject, random);
    lines.push(
      `{"t":"${time}","device":"${serial}","m":"${stream.name}","v":${value},"u":"${stream.unit}"}\n`,
    );
  }
  return { path: `${folder}/readings/${stream.name}.ndjson`, content: Buffer.from(lines.join('')) };
}

function serialNumber(subject: Subject): string {
  return `HW${new Random(`${subject.number} device`).integer(10_000_000, 99_999_999)}`;
}
