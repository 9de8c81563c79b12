import type { S3Client } from '@aws-sdk/client-s3';
import { sdkError } from '../errors.ts';
import { sameBytes } from './store.ts';
import type { ArchiveStore } from './store.ts';

/** Where a bucket is. Credentials come from where every AWS client looks for them: environment, shared files, the machine's role. */
export interface BucketPlace {
  readonly bucket: string;
  /** What the names of the archive's objects begin with, without a slash at the end; empty for the whole bucket. */
  readonly prefix: string;
  /** Another server than AWS's that speaks S3. */
  readonly endpoint?: string;
  readonly region?: string;
}

/** How long a connection and an answer may take, ms. */
const timeouts = { connectionTimeout: 10_000, requestTimeout: 60_000 } as const;
const maxAttempts = 5;

/** `s3://bucket/prefix`; undefined for what is no such name. */
export function parseBucketPlace(target: string): Pick<BucketPlace, 'bucket' | 'prefix'> | undefined {
  const match = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/([\x21-\x7e]*))?$/.exec(target);
  const [, bucket, path = ''] = match ?? [];
  return bucket === undefined ? undefined : { bucket, prefix: path.replace(/\/+$/, '') };
}

/**
 * An archive in a bucket. Objects are written under a condition, so that one that is there is never replaced unseen: full tiles and
 * bundles only where there is none (`If-None-Match: *`), the checkpoint only over the one that was read (`If-Match`).
 */
export async function s3Store(place: BucketPlace): Promise<ArchiveStore> {
  const { bucket, prefix, endpoint, region } = place;
  const { GetObjectCommand, PutObjectCommand, S3Client: Client } = await import('@aws-sdk/client-s3');
  const client: S3Client = new Client({
    maxAttempts,
    requestHandler: timeouts,
    // Other vendors do not know the checksums that are not required.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    ...(endpoint !== undefined && { endpoint, forcePathStyle: true, region: region ?? 'us-east-1' }),
    ...(region !== undefined && { region }),
  });
  const etags = new Map<string, string>();
  const object = (path: string) => ({ Bucket: bucket, Key: prefix === '' ? path : `${prefix}/${path}` });
  const name = (path: string): string => `s3://${bucket}/${object(path).Key}`;

  const read = async (path: string, maxBytes: number): Promise<Uint8Array | undefined> => {
    try {
      // A range bounds what is sent, whatever the object has become.
      const Range = `bytes=0-${maxBytes - 1}`;
      const { Body, ETag } = await client.send(new GetObjectCommand({ ...object(path), Range }));
      if (ETag !== undefined) etags.set(path, ETag);
      return await bounded(Body as AsyncIterable<Uint8Array> | undefined, maxBytes);
    } catch (error) {
      if (statusOf(error) === 404) return undefined;
      throw sdkError('archive.unreadable', { detail: `${name(path)}: ${reasonOf(error)}`, cause: error });
    }
  };

  /** Whether the object was written: not where its condition does not hold. */
  const put = async (
    path: string,
    content: Uint8Array,
    condition: { IfMatch: string } | { IfNoneMatch: '*' },
  ): Promise<boolean> => {
    const ContentType = path.startsWith('tile/') ? 'application/octet-stream' : 'text/plain; charset=utf-8';
    try {
      await client.send(new PutObjectCommand({ ...object(path), Body: content, ContentType, ...condition }));
      return true;
    } catch (error) {
      const status = statusOf(error);
      // 409: another write of the same object was under way.
      if (status === 412 || status === 409) return false;
      throw sdkError('archive.unwritable', { detail: `${name(path)}: ${reasonOf(error)}`, cause: error });
    }
  };

  return {
    place: prefix === '' ? `s3://${bucket}` : `s3://${bucket}/${prefix}`,
    read,
    add: async (path, content) => {
      if (await put(path, content, { IfNoneMatch: '*' })) return true;
      return sameBytes(await read(path, content.length + 1), content);
    },
    replace: async (path, content, before) => {
      if (before === undefined) return put(path, content, { IfNoneMatch: '*' });
      const present = await read(path, Math.max(before.length, content.length) + 1);
      const etag = etags.get(path);
      if (etag === undefined || !sameBytes(present, before)) return false;
      return put(path, content, { IfMatch: etag });
    },
  };
}

/** @throws RangeError where more comes than was asked for */
async function bounded(body: AsyncIterable<Uint8Array> | undefined, maxBytes: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of body ?? []) {
    length += part.length;
    if (length > maxBytes) throw new RangeError('The object is longer than what was asked for.');
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function statusOf(error: unknown): number | undefined {
  return (error as { $metadata?: { httpStatusCode?: number } } | null)?.$metadata?.httpStatusCode;
}

/** The name of an error of the service, or the system's code; never the message, which may quote the request. */
function reasonOf(error: unknown): string {
  const { name, code } = (error ?? {}) as { name?: unknown; code?: unknown };
  return typeof code === 'string' ? code : String(name);
}
