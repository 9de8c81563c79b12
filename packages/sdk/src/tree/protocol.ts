import type { KeyObject } from 'node:crypto';
import { Stopped } from './job.ts';
import type { Failure, JobTools, WantedKey } from './job.ts';
import { listFolder, look } from './look-job.ts';
import { openFiles } from './open-job.ts';
import { sealFiles } from './seal-job.ts';

/** What a thread does, and what it and the one that started it say to each other. */

const jobs = { list: listFolder, look, seal: sealFiles, open: openFiles } as const;

type Jobs = typeof jobs;
export type JobKind = keyof Jobs;
export type JobInput<Kind extends JobKind> = Parameters<Jobs[Kind]>[0];
export type JobOutput<Kind extends JobKind> = Awaited<ReturnType<Jobs[Kind]>>;

export function doJob<Kind extends JobKind>(
  kind: Kind,
  input: JobInput<Kind>,
  tools: JobTools,
): JobOutput<Kind> | Promise<JobOutput<Kind>> {
  const job = jobs[kind] as (
    input: JobInput<Kind>,
    tools: JobTools,
  ) => JobOutput<Kind> | Promise<JobOutput<Kind>>;
  return job(input, tools);
}

/** The message that a job is begun with. */
export function toThread(id: number, kind: JobKind, input: JobInput<JobKind>): ToThread {
  if (!('items' in input)) return { id, kind, input, items: undefined };
  const { items, ...rest } = input;
  return { id, kind, input: rest, items: JSON.stringify(items) };
}

/** What a job is about, from the message that it is begun with. */
export function inputOf({ input, items }: { input: object; items: string | undefined }): JobInput<JobKind> {
  return (
    items === undefined ? input : { ...input, items: JSON.parse(items) as unknown }
  ) as JobInput<JobKind>;
}

/** Memory that all threads share: whether work is to end (not 0), and bytes done. */
export interface SharedState {
  readonly stopped: Int32Array;
  readonly bytes: BigInt64Array;
}

/** What a thread is started with. */
export interface ThreadData {
  readonly shared: SharedState;
  /** Where compiled code is kept. */
  readonly compileCache: string | undefined;
}

export function advanceIn({ stopped, bytes }: SharedState): JobTools['advance'] {
  return (count) => {
    if (Atomics.load(stopped, 0) !== 0) throw new Stopped();
    Atomics.add(bytes, 0, BigInt(count));
  };
}

export type KeyAnswers = readonly (KeyObject | Failure)[];

/**
 * Lists of items and outcomes cross threads as JSON, which costs a fraction of cloning them object by object. What is in them is text,
 * numbers and truth values, so that it comes back as it was.
 */
export type ToThread =
  | {
      readonly id: number;
      readonly kind: JobKind;
      readonly input: object;
      readonly items: string | undefined;
    }
  | { readonly id: number; readonly keys: KeyAnswers };

export type FromThread =
  | { readonly id: number; readonly output: string }
  | { readonly id: number; readonly wanted: readonly WantedKey[] }
  | { readonly id: number; readonly stopped: true }
  | { readonly id: number; readonly error: Error };
