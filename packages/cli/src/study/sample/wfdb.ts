/** One signal of a record: samples in units of the converter, `gain` units to the mV. */
export interface Signal {
  readonly name: string;
  readonly samples: Int16Array;
}

export interface WfdbRecord {
  /** Letters, digits and underscores only (PhysioNet, header(5)). */
  readonly name: string;
  /** 212: pairs of 12-bit samples in three bytes. 16: 16-bit two's complement, least significant byte first. */
  readonly format: 212 | 16;
  readonly rate_Hz: number;
  readonly gain: number;
  /** `HH:MM:SS DD/MM/YYYY`. */
  readonly begun: string;
  /** All of the same length; for format 212 an even number of samples together. */
  readonly signals: readonly Signal[];
  /** Free text about the recording. */
  readonly comments: readonly string[];
}

/** The record's `.dat` file: the signals' samples in turn (PhysioNet, signal(5)). */
export function encodeSamples({ format, signals }: WfdbRecord): Buffer {
  const frames = signals[0]?.samples.length ?? 0;
  const frame = new Int16Array(frames * signals.length);
  for (const [at, { samples }] of signals.entries()) {
    for (let sample = 0; sample < frames; sample++)
      frame[sample * signals.length + at] = samples[sample] ?? 0;
  }
  return format === 212 ? pack212(frame) : pack16(frame);
}

function pack212(samples: Int16Array): Buffer {
  const bytes = Buffer.alloc((samples.length / 2) * 3);
  for (let at = 0, to = 0; at < samples.length; at += 2) {
    const first = samples[at] ?? 0;
    const second = samples[at + 1] ?? 0;
    bytes[to++] = first & 0xff;
    bytes[to++] = ((first >> 8) & 0x0f) | (((second >> 8) & 0x0f) << 4);
    bytes[to++] = second & 0xff;
  }
  return bytes;
}

function pack16(samples: Int16Array): Buffer {
  const bytes = Buffer.alloc(samples.length * 2);
  for (let at = 0; at < samples.length; at++) bytes.writeInt16LE(samples[at] ?? 0, at * 2);
  return bytes;
}

/** The record's `.hea` file (PhysioNet, header(5)). */
export function encodeHeader(record: WfdbRecord): Buffer {
  const { name, format, rate_Hz, gain, signals } = record;
  const frames = signals[0]?.samples.length ?? 0;
  const lines = [`${name} ${signals.length} ${rate_Hz} ${frames} ${record.begun}`];
  for (const { name: lead, samples } of signals) {
    lines.push(`${name}.dat ${format} ${gain}/mV 12 0 ${samples[0] ?? 0} ${checksum(samples)} 0 ${lead}`);
  }
  return Buffer.from([...lines, ...record.comments.map((comment) => `# ${comment}`), ''].join('\n'));
}

/** The sum of all samples, as a signed number of 16 bits. */
function checksum(samples: Int16Array): number {
  let sum = 0;
  for (let at = 0; at < samples.length; at++) sum = ((sum + (samples[at] ?? 0)) << 16) >> 16;
  return sum;
}
