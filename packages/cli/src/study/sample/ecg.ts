import type { Random } from './random.ts';
import type { Signal } from './wfdb.ts';

/** A lead: the height in mV of its P, Q, R, S and T wave. */
export interface Lead {
  readonly name: string;
  readonly heights_mV: readonly [p: number, q: number, r: number, s: number, t: number];
}

/** What is to be recorded. */
export interface Recording {
  readonly leads: readonly Lead[];
  readonly rate_Hz: number;
  readonly seconds: number;
  readonly meanRate_bpm: number;
  /** Atrial fibrillation: no P waves, a fine tremor instead, and no two beats alike in distance. */
  readonly inFibrillation: boolean;
  /** Units of the converter for one mV. */
  readonly gain: number;
}

/** Where a wave lies after the R peak, and its standard deviation, in seconds: P, Q, R, S, T. */
const waves = [
  { at_s: -0.165, spread_s: 0.024 },
  { at_s: -0.035, spread_s: 0.009 },
  { at_s: 0, spread_s: 0.011 },
  { at_s: 0.032, spread_s: 0.01 },
  { at_s: 0.27, spread_s: 0.055 },
] as const;
/** A beat is drawn from so long before the R peak to so long after it. */
const beatBegin_s = -0.28;
const beatEnd_s = 0.48;
const breath_Hz = 0.25;
/** Of the atria in fibrillation. */
const tremor_Hz = 6;

const wavesIn = (name: string, ...heights_mV: Lead['heights_mV']): Lead => ({ name, heights_mV });
export const limbLeads = [
  wavesIn('I', 0.06, -0.05, 0.65, -0.08, 0.18),
  wavesIn('II', 0.12, -0.06, 1.05, -0.12, 0.28),
] as const;
export const chestLeads = [
  wavesIn('V1', 0.05, 0, 0.22, -0.85, -0.08),
  wavesIn('V2', 0.06, 0, 0.45, -1.25, 0.45),
  wavesIn('V3', 0.07, -0.02, 0.85, -0.95, 0.55),
  wavesIn('V4', 0.08, -0.06, 1.35, -0.55, 0.5),
  wavesIn('V5', 0.08, -0.09, 1.25, -0.25, 0.38),
  wavesIn('V6', 0.07, -0.09, 0.95, -0.12, 0.28),
] as const;

/**
 * An ECG as each beat's five waves, each a bell curve, on a baseline that wanders with the breath, with the converter's noise.
 *
 * @returns a signal for each lead, its samples −2048 to 2047 (12 bits)
 */
export function synthesise(recording: Recording, random: Random): Signal[] {
  const { leads, rate_Hz, seconds, inFibrillation, gain } = recording;
  const peaks = placeBeats(recording, random);
  const before = Math.round(-beatBegin_s * rate_Hz);
  const trace = new Float64Array(rate_Hz * seconds);
  return leads.map((lead) => {
    trace.fill(0);
    const beat = drawBeat(lead, recording);
    for (const peak of peaks) addAt(trace, beat, peak - before);
    addWave(trace, breath_Hz / rate_Hz, 0.06 * gain);
    if (inFibrillation) addWave(trace, tremor_Hz / rate_Hz, 0.04 * gain);
    return { name: lead.name, samples: quantise(trace, random, 0.02 * gain) };
  });
}

/** The samples at which an R peak lies. */
function placeBeats({ rate_Hz, seconds, meanRate_bpm, inFibrillation }: Recording, random: Random): number[] {
  const mean_s = 60 / meanRate_bpm;
  const spread = inFibrillation ? 0.3 : 0.05;
  const peaks: number[] = [];
  let drift = 0;
  for (let at_s = random.integer(10, 60) / 100; at_s < seconds;) {
    peaks.push(Math.round(at_s * rate_Hz));
    // A slow drift as well as the scatter from beat to beat: that is what heart rate variability looks like.
    drift = drift * 0.95 + random.scatter() * 0.02;
    at_s += mean_s * (1 + drift + random.scatter() * spread);
  }
  return peaks;
}

/** One beat of the lead, in units of the converter. */
function drawBeat({ heights_mV }: Lead, { rate_Hz, gain, inFibrillation }: Recording): Float64Array {
  const beat = new Float64Array(Math.round((beatEnd_s - beatBegin_s) * rate_Hz));
  for (const [at, { at_s, spread_s }] of waves.entries()) {
    const height_mV = at === 0 && inFibrillation ? 0 : (heights_mV[at] ?? 0);
    for (let sample = 0; sample < beat.length; sample++) {
      const distance = (beatBegin_s + sample / rate_Hz - at_s) / spread_s;
      beat[sample] = (beat[sample] ?? 0) + height_mV * gain * bell(distance);
    }
  }
  return beat;
}

/** exp(−x²/2) to within 0.01, as (1 + x²/64)^−32: by exactly rounded operations only. */
function bell(x: number): number {
  let power = 1 + (x * x) / 64;
  for (let doubling = 0; doubling < 5; doubling++) power *= power;
  return 1 / power;
}

function addAt(trace: Float64Array, beat: Float64Array, begin: number): void {
  const end = Math.min(beat.length, trace.length - begin);
  for (let at = Math.max(0, -begin); at < end; at++)
    trace[begin + at] = (trace[begin + at] ?? 0) + (beat[at] ?? 0);
}

/**
 * Adds a sine wave by turning a vector step by step. The turn's cosine and sine come from the tangent of half the angle (for small
 * angles half the angle itself), which keeps the vector's length.
 */
function addWave(trace: Float64Array, cyclesPerSample: number, height: number): void {
  const tangent = Math.PI * cyclesPerSample;
  const cosine = (1 - tangent * tangent) / (1 + tangent * tangent);
  const sine = (2 * tangent) / (1 + tangent * tangent);
  let x = height;
  let y = 0;
  for (let at = 0; at < trace.length; at++) {
    trace[at] = (trace[at] ?? 0) + y;
    const turned = cosine * x - sine * y;
    y = sine * x + cosine * y;
    x = turned;
  }
}

/** Rounds to the converter's 12 bits, with noise of at most `noise` units either way; a word of the generator does for two samples. */
function quantise(trace: Float64Array, random: Random, noise: number): Int16Array {
  const samples = new Int16Array(trace.length);
  const scale = noise / 0x8000;
  for (let at = 0; at < samples.length; at += 2) {
    const word = random.uint32() | 0;
    samples[at] = toConverter((trace[at] ?? 0) + ((word << 16) >> 16) * scale);
    samples[at + 1] = toConverter((trace[at + 1] ?? 0) + (word >> 16) * scale);
  }
  return samples;
}

/** Cutting off the fraction of a number that was made positive rounds it, several times faster than Math.round does. */
function toConverter(value: number): number {
  if (value < -2048) return -2048;
  if (value > 2047) return 2047;
  return ((value + 2048.5) | 0) - 2048;
}
