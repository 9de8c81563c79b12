import { readFile } from 'node:fs/promises';
import { parseCanonicalObject, hasShape } from '@trialkeep/ledger';
import { isLine } from '../line.ts';
import { sdkError } from '../errors.ts';
import { createTargetFile, systemCode } from '../files.ts';
import { isVerifierKey, maxLearnedKeys } from './log-keys.ts';

/** How far the collector has taken a log; docs/formats/ledger-stream.md. */
export interface StreamState {
  readonly origin: string;
  /** Entries that were acknowledged. */
  readonly position: number;
  /** The root of the tree over them, 32 bytes. */
  readonly root: Uint8Array;
  /** The log's keys as vkey lines: those that were given, or that the server named at the first start. */
  readonly verifierKeys: readonly string[];
  /** Those that the log named in verified entries since then; at most 64, the newest last. */
  readonly learnedKeys: readonly string[];
}

/** Durable when it returns; the file is replaced whole. */
export async function writeState(path: string, state: StreamState): Promise<void> {
  const { learnedKeys, origin, position, root, verifierKeys } = state;
  const members = {
    learnedKeys,
    origin,
    position,
    root: Buffer.from(root).toString('base64'),
    v: 1,
    verifierKeys,
  };
  const file = await createTargetFile(path, { overwrite: true });
  try {
    await file.write(Buffer.from(`${JSON.stringify(members)}\n`));
    await file.commit();
  } finally {
    await file.abandon();
  }
}

/** The state that was kept; undefined where there is none yet. @throws TrialkeepError `stream.state_damaged` */
export async function readState(path: string): Promise<StreamState | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw sdkError('stream.state_damaged', { detail: `${path}: ${systemCode(error)}`, cause: error });
  }
  const state = text.endsWith('\n') ? parseCanonicalObject(text.slice(0, -1)) : undefined;
  const fits =
    state !== undefined &&
    hasShape(state, {
      learnedKeys: (value) =>
        Array.isArray(value) && value.length <= maxLearnedKeys && value.every(isVerifierKey),
      origin: isLine,
      position: (value) => Number.isSafeInteger(value) && (value as number) >= 0,
      root: (value) => typeof value === 'string' && Buffer.from(value, 'base64').length === 32,
      v: (value) => value === 1,
      verifierKeys: (value) => Array.isArray(value) && value.length > 0 && value.every(isVerifierKey),
    });
  if (!fits) throw sdkError('stream.state_damaged', { detail: path });
  const { learnedKeys, origin, position, root, verifierKeys } = state as {
    learnedKeys: string[];
    origin: string;
    position: number;
    root: string;
    verifierKeys: string[];
  };
  return { learnedKeys, origin, position, root: Buffer.from(root, 'base64'), verifierKeys };
}
