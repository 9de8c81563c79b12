import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SealError, sdkError } from '../errors.ts';
import { createTargetFile, systemCode } from '../files.ts';

const fileName = 'acknowledged';
const text = /^([1-9]\d{0,15})\n$/;

/** The sequence up to which receipts of a folder are acknowledged; 0 where none is known to be. @throws TrialkeepError `receipts.damaged` */
export async function readReleased(folder: string): Promise<number> {
  const path = join(folder, fileName);
  const found = await readFile(path, 'latin1').catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (found === undefined) return 0;
  const released = Number(text.exec(found)?.[1]);
  if (!Number.isSafeInteger(released)) throw sdkError('receipts.damaged', { detail: path });
  return released;
}

/** Keeps it in the place of the one before, durably. @throws the system's error */
export async function writeReleased(folder: string, released: number): Promise<void> {
  try {
    const file = await createTargetFile(join(folder, fileName), { overwrite: true });
    try {
      await file.write(Buffer.from(`${released}\n`));
      await file.commit();
    } finally {
      await file.abandon();
    }
  } catch (error) {
    throw error instanceof SealError ? (error.cause ?? error) : error;
  }
}
