/**
 * How many uploads run at the same time, in all and from one address; a further one is asked to come back. Each holds two batches and one
 * package in memory, which is at most 24 MiB.
 */
export const uploadsAtOnce = { all: 8, each: 2 };

/** What is stored at once: a group of packages with one flush for all, bounded because entries wait in memory until then. */
export const batchBytes = 4 * 1024 * 1024;
export const batchPackages = 32;

/** How many entries that are there already a client may send again: a request of the size that the specification advises. */
export const maxExcessEntries = 32 * 256;

/** When an upload that stands still, goes on for ever, or comes in more slowly than this, is taken to have ended. What came in is kept. */
export const idleMs = 30_000;
export const wholeUploadMs = 600_000;
export const minBytesPerSecond = 8192;
