import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { comparePathBytes } from './catalogue.ts';
import { StudyError, systemCode } from './errors.ts';
import { ctmsFiles } from './sample/ctms.ts';
import { edcFiles } from './sample/edc.ts';
import { etmfFiles } from './sample/etmf.ts';
import { planStudy, protocolNumber, studyTitle } from './sample/study.ts';
import type { SampleFile, SampleStudy } from './sample/study.ts';
import { beginTarget, finishTarget, isMarker, makeFolder, readTarget } from './sample/target.ts';
import { wearableFiles } from './sample/wearable.ts';
import { walk } from './walk.ts';

/** Goes up whenever the content of the sample study changes for the same scale. */
export const sampleVersion = 1;
export const sampleProtocolNumber = protocolNumber;
export const sampleTitle = studyTitle;

export interface SampleOptions {
  /** 1 is 120 subjects and about 150 MB; 0.01 to 100. */
  readonly scale?: number;
  /** Called after each file. The total is an estimate until the last call, which has both numbers equal. */
  readonly onProgress?: (bytesDone: number, bytesTotal: number) => void;
}

/** The sample study as it lies in its folder, its marker not counted. */
export interface StudySummary {
  readonly target: string;
  readonly version: number;
  readonly scale: number;
  readonly sites: number;
  readonly subjects: number;
  readonly files: number;
  readonly bytes: number;
  /**
   * SHA-256, in hexadecimal, over a line `<SHA-256 of the file, hexadecimal>  <path>\n` for each file in the order of the paths' bytes:
   * what `sha256sum` prints. The same everywhere for the same version and scale.
   */
  readonly sha256: string;
  /** False where the folder held the complete study already, and nothing was written. */
  readonly generated: boolean;
}

/** An invented participant; none of these strings may ever be found outside of what is encrypted. */
export interface SampleIdentity {
  readonly subjectNumber: string;
  readonly fullName: string;
  /** ISO 8601 date. */
  readonly birthDate: string;
  readonly address: string;
  readonly phone: string;
  readonly email: string;
}

/** Who takes part in the sample study of that scale. */
export function sampleIdentities(scale = 1): SampleIdentity[] {
  const subjects = planStudy(checkScale(scale)).sites.flatMap((site) => site.subjects);
  return subjects.map(({ number, fullName, birthDate, address, phone, email }) => ({
    subjectNumber: number,
    fullName,
    birthDate,
    address,
    phone,
    email,
  }));
}

/**
 * Generates the sample study in the folder `target`, which is made if it does not exist: the same bytes on every machine and run.
 *
 * Where `target` holds the same study, complete (its marker, and as many files and bytes as the marker says; they are not read), nothing
 * is written. A sample study that is half-written, damaged, or of another version or scale is removed and made again; a folder that
 * holds anything else, or a study to which files were added, is refused and left alone. Two processes must not generate into one folder
 * at the same time.
 *
 * @throws StudyError study.scale_invalid, study.target_not_a_folder, study.target_foreign, study.target_unwritable, study.target_full
 */
export async function generateSampleStudy(
  target: string,
  options: SampleOptions = {},
): Promise<StudySummary> {
  const scale = checkScale(options.scale ?? 1);
  const marker = await readTarget(target);
  if (marker !== undefined) {
    const found = await measure(target);
    if (found.files > marker.files) throw new StudyError('study.target_foreign', target);
    const isWhole = found.files === marker.files && found.bytes === marker.bytes;
    const isAsked = marker.version === sampleVersion && marker.scale === scale;
    if (isWhole && isAsked) return { ...marker, target, generated: false };
  }
  try {
    await beginTarget(target);
    const written = await writeStudy(target, planStudy(scale), options.onProgress ?? (() => {}));
    const complete = { version: sampleVersion, scale, ...written };
    await finishTarget(target, complete);
    return { ...complete, target, generated: true };
  } catch (error) {
    if (systemCode(error) === '') throw error;
    const isFull = ['ENOSPC', 'EDQUOT'].includes(systemCode(error));
    throw new StudyError(isFull ? 'study.target_full' : 'study.target_unwritable', target, error);
  }
}

function checkScale(scale: number): number {
  if (!(scale >= 0.01 && scale <= 100)) throw new StudyError('study.scale_invalid');
  return scale;
}

/** How many files lie in the folder, and of how many bytes, without the marker. */
async function measure(target: string): Promise<{ files: number; bytes: number }> {
  const total = { files: 0, bytes: 0 };
  const skipped = await walk(target, (path, bytes) => {
    if (isMarker(path)) return;
    total.files++;
    total.bytes += bytes;
  });
  total.files += skipped.length;
  return total;
}

/** What each subject and the study as a whole come to, about; only for the total that progress shows. */
const bytesPerSubject = 1_215_000;
const bytesPerStudy = 1_900_000;

async function writeStudy(
  target: string,
  study: SampleStudy,
  onProgress: (done: number, total: number) => void,
) {
  const estimate = bytesPerStudy + bytesPerSubject * study.subjectCount;
  const digests: { path: string; sha256: string }[] = [];
  let bytes = 0;
  let writing: Promise<void> = Promise.resolve();
  try {
    for (const file of sampleFiles(study)) {
      const sha256 = createHash('sha256').update(file.content).digest('hex');
      // One file is written while the next is made: two processors have work, and two files are held at most.
      await writing;
      writing = writeNew(target, file);
      digests.push({ path: file.path, sha256 });
      bytes += file.content.length;
      onProgress(bytes, Math.max(bytes, estimate));
    }
  } finally {
    await writing;
  }
  onProgress(bytes, bytes);
  return {
    sites: study.sites.length,
    subjects: study.subjectCount,
    files: digests.length,
    bytes,
    sha256: treeDigest(digests),
  };
}

function* sampleFiles(study: SampleStudy): Generator<SampleFile> {
  yield* edcFiles(study);
  yield* etmfFiles(study);
  yield* ctmsFiles(study);
  yield* wearableFiles(study);
}

async function writeNew(target: string, { path, content }: SampleFile): Promise<void> {
  const absolute = join(target, path);
  await makeFolder(dirname(absolute));
  await writeFile(absolute, content, { flag: 'wx' });
}

function treeDigest(digests: { path: string; sha256: string }[]): string {
  const tree = createHash('sha256');
  digests.sort((a, b) => comparePathBytes(a.path, b.path));
  for (const { path, sha256 } of digests) tree.update(`${sha256}  ${path}\n`);
  return tree.digest('hex');
}
