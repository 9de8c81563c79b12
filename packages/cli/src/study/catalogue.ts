import { StudyError } from './errors.ts';
import { walk } from './walk.ts';
import type { Skipped } from './walk.ts';

/** The connected system that a file comes from. */
export type SystemKind = 'edc' | 'etmf' | 'ctms' | 'wearable';
/** The kind of record a file holds; it goes into the encryption context as `class`. */
export type DataClass =
  'ecg' | 'subject-table' | 'document' | 'device-readings' | 'form' | 'operational' | 'other';

/** One file of a study. */
export interface StudyFile {
  /** Relative to the root, `/` between its parts, otherwise as found. It may itself identify somebody: never log it. */
  readonly path: string;
  /** Size when the folder was read. */
  readonly bytes: number;
  readonly system: SystemKind;
  readonly dataClass: DataClass;
  /** The site's number of the one subject whom the file concerns: 1 to 64 characters, no control characters. */
  readonly subjectNumber?: string;
}

export interface Catalogue {
  /** Sorted by the bytes of the path in UTF-8. */
  readonly files: StudyFile[];
  /** What lies in the folder and is not in `files`, sorted likewise. */
  readonly skipped: Skipped[];
}

/**
 * Lists the files of a study's folder with the system, the class of data and the subject that follow from each path; no file is
 * opened. It need not hold files of every system: the caller decides what it can do without.
 *
 * @throws StudyError study.folder_missing, study.folder_not_a_folder, study.folder_unreadable, study.folder_empty
 */
export async function catalogue(root: string): Promise<Catalogue> {
  const files: StudyFile[] = [];
  const skipped = await walk(root, (path, bytes) => files.push(classify(path, bytes)));
  if (files.length === 0) throw new StudyError('study.folder_empty', root);
  files.sort((a, b) => comparePathBytes(a.path, b.path));
  skipped.sort((a, b) => comparePathBytes(a.path, b.path));
  return { files, skipped };
}

/** What the ending of a file's name says about its content. */
type Content = 'table' | 'form' | 'document' | 'signal' | 'unknown';

const contentByExtension = new Map<string, Content>([
  ...['csv', 'tsv', 'json', 'ndjson', 'jsonl', 'xpt', 'sas7bdat'].map((name) => [name, 'table'] as const),
  ...['xml', 'odm'].map((name) => [name, 'form'] as const),
  ...['pdf', 'md', 'txt', 'rtf', 'doc', 'docx', 'html', 'tif', 'tiff'].map(
    (name) => [name, 'document'] as const,
  ),
  // WFDB signals, headers and annotations (PhysioNet, signal(5), header(5), annot(5)), and EDF.
  ...['hea', 'dat', 'xyz', 'mat', 'flac', 'edf', 'bdf', 'atr', 'qrs'].map(
    (name) => [name, 'signal'] as const,
  ),
]);
/** WFDB records with several signal files number them: `.d0`, `.d1`, … */
const numberedSignal = /^d\d{1,3}$/;

/** A folder of one of these names, whatever the case, says which system everything below it comes from. */
const systemByFolder = new Map<string, SystemKind>([
  ['edc', 'edc'],
  ['etmf', 'etmf'],
  ['tmf', 'etmf'],
  ['ctms', 'ctms'],
  ['wearable', 'wearable'],
  ['wearables', 'wearable'],
]);

/** Where no folder names the system: the one that usually sends such content. */
const systemByContent: Record<Content, SystemKind> = {
  table: 'edc',
  form: 'edc',
  document: 'etmf',
  signal: 'wearable',
  unknown: 'ctms',
};

const dataClasses: Record<SystemKind, Record<Content, DataClass>> = {
  edc: { table: 'subject-table', form: 'form', document: 'document', signal: 'other', unknown: 'other' },
  etmf: { table: 'document', form: 'document', document: 'document', signal: 'other', unknown: 'other' },
  ctms: {
    table: 'operational',
    form: 'operational',
    document: 'document',
    signal: 'other',
    unknown: 'other',
  },
  wearable: {
    table: 'device-readings',
    form: 'device-readings',
    document: 'document',
    signal: 'ecg',
    unknown: 'other',
  },
};

function classify(path: string, bytes: number): StudyFile {
  const folders = path.split('/');
  const name = folders.pop() ?? '';
  const content = contentOf(name);
  const system = systemOf(folders) ?? systemByContent[content];
  const dataClass = dataClasses[system][content];
  const subjectNumber = subjectOf(folders, name, dataClass);
  return subjectNumber === undefined
    ? { path, bytes, system, dataClass }
    : { path, bytes, system, dataClass, subjectNumber };
}

function contentOf(name: string): Content {
  const extension = /\.([^.]+)$/.exec(name)?.[1]?.toLowerCase() ?? '';
  return contentByExtension.get(extension) ?? (numberedSignal.test(extension) ? 'signal' : 'unknown');
}

function systemOf(folders: readonly string[]): SystemKind | undefined {
  for (const folder of folders) {
    const system = systemByFolder.get(folder.toLowerCase());
    if (system !== undefined) return system;
  }
  return undefined;
}

/** Synthea names a FHIR bundle after its patient and the patient's id; only the id may serve as a number. */
const patientBundle = /(?:^|_)([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\.json$/i;
/** The bounds that the server sets to a subject's number. */
const subjectNumberForm = /^[^\u0000-\u001f\u007f]{1,64}$/u;

/** The folder `subjects/<number>/` comes first; then the name of an ECG's record; then the id in a patient bundle's name. */
function subjectOf(folders: readonly string[], name: string, dataClass: DataClass): string | undefined {
  const above = folders.findIndex((folder) => folder.toLowerCase() === 'subjects');
  const number =
    (above === -1 ? undefined : folders[above + 1]) ??
    (dataClass === 'ecg' ? name.replace(/\.[^.]*$/, '') : patientBundle.exec(name)?.[1]?.toLowerCase());
  return number !== undefined && subjectNumberForm.test(number) ? number : undefined;
}

/**
 * Compares as the UTF-8 bytes of the paths would, without making them: by code point. JavaScript's own order is by UTF-16 unit,
 * which puts U+10000 and above (surrogates, D800 to DFFF) before U+E000 to U+FFFF.
 */
export function comparePathBytes(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const unitA = a.charCodeAt(at);
    const unitB = b.charCodeAt(at);
    if (unitA !== unitB) return rank(unitA) - rank(unitB);
  }
  return a.length - b.length;
}

/** Surrogates move above every other unit. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}
