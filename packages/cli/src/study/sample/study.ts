import { Random } from './random.ts';
import { regions } from './names.ts';
import type { Region } from './names.ts';

export const protocolNumber = 'AFR-301';
export const studyTitle =
  'A randomised, double-blind study of velmoradine in adults with paroxysmal atrial fibrillation, with remote ECG monitoring';
export const sponsor = 'Northwind Cardiovascular (invented)';

/** An invented person, with everything that must never be found outside of what is encrypted. */
export interface Person {
  readonly fullName: string;
  /** `F` or `M`. */
  readonly sex: 'F' | 'M';
  /** ISO 8601 date. */
  readonly birthDate: string;
  readonly address: string;
  readonly phone: string;
  readonly email: string;
}

export interface Subject extends Person {
  /** Site number, hyphen, four digits: `101-0001`. */
  readonly number: string;
  /** Days since 1970-01-01. */
  readonly screenedOn_days: number;
  readonly arm: 'VELMORADINE 50 MG' | 'PLACEBO';
  readonly inFibrillation: boolean;
  readonly restingRate_bpm: number;
  readonly weight_kg: number;
  readonly height_cm: number;
}

export interface Site {
  /** Three digits, from `101`. */
  readonly number: string;
  readonly region: Region;
  readonly investigator: Person;
  readonly coordinator: Person;
  readonly subjects: readonly Subject[];
}

export interface SampleStudy {
  readonly sites: readonly Site[];
  readonly subjectCount: number;
}

/** The visits of each subject, `day` counted from screening. */
export const visits = [
  { oid: 'SCR', name: 'SCREENING', day: 0 },
  { oid: 'BL', name: 'BASELINE', day: 14 },
  { oid: 'W4', name: 'WEEK 4', day: 42 },
  { oid: 'W8', name: 'WEEK 8', day: 70 },
  { oid: 'W12', name: 'WEEK 12', day: 98 },
  { oid: 'FU', name: 'FOLLOW-UP', day: 126 },
] as const;
export type Visit = (typeof visits)[number];

const subjectsPerSite = 15;
const subjectsAtScaleOne = 120;
const firstScreening_days = Date.UTC(2026, 0, 12) / 86_400_000;

/** The people of the sample study; the same for the same scale on every machine. */
export function planStudy(scale: number): SampleStudy {
  const subjectCount = Math.max(2, Math.round(subjectsAtScaleOne * scale));
  const sites: Site[] = [];
  for (let from = 0; from < subjectCount; from += subjectsPerSite) {
    sites.push(planSite(sites.length, Math.min(subjectsPerSite, subjectCount - from)));
  }
  return { sites, subjectCount };
}

function planSite(index: number, subjectCount: number): Site {
  const number = String(101 + index);
  const region = regions[index % regions.length];
  if (region === undefined) throw new RangeError('there is no region for the site');
  const subjects: Subject[] = [];
  for (let each = 1; each <= subjectCount; each++) {
    subjects.push(planSubject(`${number}-${String(each).padStart(4, '0')}`, region));
  }
  return {
    number,
    region,
    investigator: inventPerson(`${number} investigator`, region),
    coordinator: inventPerson(`${number} coordinator`, region),
    subjects,
  };
}

function planSubject(number: string, region: Region): Subject {
  const random = new Random(`${number} clinical`);
  return {
    ...inventPerson(number, region),
    number,
    screenedOn_days: firstScreening_days + random.integer(0, 120),
    arm: random.pick(['VELMORADINE 50 MG', 'PLACEBO'] as const),
    inFibrillation: random.once(4),
    restingRate_bpm: random.integer(56, 88),
    weight_kg: random.integer(48, 112),
    height_cm: random.integer(150, 192),
  };
}

/** @param label says who it is; the same label is always the same person */
export function inventPerson(label: string, region: Region): Person {
  const random = new Random(`${label} person`);
  const sex = random.pick(['F', 'M'] as const);
  const given = random.pick(sex === 'F' ? region.female : region.male);
  const family = random.pick(region.family);
  const house = random.integer(1, 140);
  const street = random.pick(region.streets);
  const postcode = random.pick(region.postcodes);
  const digits = String(random.integer(0, 99_999_999)).padStart(8, '0');
  return {
    fullName: region.familyNameFirst ? `${family} ${given}` : `${given} ${family}`,
    sex,
    birthDate: isoDate(Date.UTC(random.integer(1938, 1985), 0, 1) / 86_400_000 + random.integer(0, 364)),
    address: `${street} ${house}, ${postcode} ${region.city}`,
    phone: `${region.phonePrefix} ${digits}`,
    email: `p${digits}@example.org`,
  };
}

/** `2026-01-12`, from days since 1970-01-01. */
export function isoDate(days: number): string {
  return new Date(days * 86_400_000).toISOString().slice(0, 10);
}

/** `2026-01-12T09:30:00`, from days since 1970-01-01 and minutes of that day (0 and up; more than a day runs on). */
export function isoTime(days: number, minutes: number): string {
  return new Date(days * 86_400_000 + minutes * 60_000).toISOString().slice(0, 19);
}

/** An integer count of tenths or hundredths as a decimal: `decimal(1234, 1)` is `123.4`. Exact, unlike division. */
export function decimal(units: number, places: 1 | 2): string {
  const digits = String(Math.abs(units)).padStart(places + 1, '0');
  return `${units < 0 ? '-' : ''}${digits.slice(0, -places)}.${digits.slice(-places)}`;
}

/** A file of the study: its path relative to the target, `/` between the parts, and its content. */
export interface SampleFile {
  readonly path: string;
  readonly content: Buffer;
}
