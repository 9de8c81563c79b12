/**
 * Reads 64 KiB at random places of a large sealed file without the rest: time to the first byte and to the last, once from nothing (with
 * the server's release of the data key) and once of a message that is open already. Neither `age` nor the AWS Encryption SDK for
 * JavaScript reads ranges: beside it stands what `age -d` takes to come to the middle of a file of the same plaintext.
 *
 *   node bench/range-read.ts [--mib 6144] [--reads 200] [--folder DIR]
 */
import { execFileSync, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { createClient } from '@trialkeep/sdk/client';
import { cachedKeys, fileRanges, openRanges, sealStream, serverKeys } from '@trialkeep/sdk/seal';
import { startBenchServer } from './bench-server.ts';
import { machine, spread } from './measure.ts';
import { peerVersion } from './peers.ts';

const { values } = parseArgs({
  options: {
    mib: { type: 'string', default: '6144' },
    reads: { type: 'string', default: '200' },
    folder: { type: 'string', default: tmpdir() },
  },
});
const mebibyte = 1024 * 1024;
const plainBytes = Number(values.mib) * mebibyte;
const rangeBytes = 64 * 1024;

const folder = mkdtempSync(join(values.folder, 'trialkeep-bench-'));
const server = await startBenchServer(join(folder, 'data'));
try {
  const client = createClient({ url: server.url, credential: server.credential });
  const newKeys = () => cachedKeys(serverKeys(client, { key: server.key }));
  const sealed = join(folder, 'sealed');
  await pipeline(sealStream(newKeys(), zeros()), createWriteStream(sealed));
  const whole: number[] = [];
  const first: number[] = [];
  const again: number[] = [];
  for (let i = 0; i < Number(values.reads); i++) {
    const started = performance.now();
    const source = await fileRanges(sealed);
    const ranges = await openRanges(newKeys(), source);
    const firstAt = await readAt(ranges, started, first);
    whole.push(firstAt);
    await readAt(ranges, performance.now(), again);
    await source.close?.();
  }
  console.log(
    `64 KiB at random places of ${values.mib} MiB (${statSync(sealed).size} bytes sealed), ${values.reads} reads, ${machine()}`,
  );
  console.log(`from nothing, to the first byte: ${spread(first)} ms, to the last: ${spread(whole)} ms`);
  console.log(`of an open message, to the first byte: ${spread(again)} ms`);
  if (peerVersion('age') === undefined) console.log('age is not on PATH: not measured beside it.');
  else console.log(`age -d, to the byte in the middle: ${(await ageToMiddle()).toFixed(0)} ms`);
} finally {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
}

function* zeros(): Generator<Buffer> {
  const piece = Buffer.alloc(mebibyte);
  for (let done = 0; done < plainBytes; done += mebibyte) yield piece;
}

/** Reads a range; adds the ms to its first byte, and gives those to its last. */
async function readAt(
  ranges: Awaited<ReturnType<typeof openRanges>>,
  started: number,
  firsts: number[],
): Promise<number> {
  const start = randomInt(plainBytes - rangeBytes);
  let bytes = 0;
  for await (const chunk of ranges.read(start, start + rangeBytes)) {
    if (bytes === 0) firsts.push(performance.now() - started);
    bytes += chunk.length;
  }
  if (bytes !== rangeBytes) throw new Error(`${bytes} bytes were read.`);
  return performance.now() - started;
}

/** Encrypts the same plaintext with age, and gives the ms until its decryption has come half-way. */
async function ageToMiddle(): Promise<number> {
  const [identity, target] = [join(folder, 'identity'), join(folder, 'plain.age')];
  execFileSync('age-keygen', ['-o', identity], { stdio: 'ignore' });
  const recipient = execFileSync('age-keygen', ['-y', identity], { encoding: 'utf8' }).trim();
  const encrypting = spawn('age', ['-r', recipient, '-o', target], { stdio: ['pipe', 'ignore', 'inherit'] });
  await pipeline(zeros(), encrypting.stdin);
  if (encrypting.exitCode === null) await once(encrypting, 'exit');
  const started = performance.now();
  const decrypting = spawn('age', ['-d', '-i', identity, target], { stdio: ['ignore', 'pipe', 'inherit'] });
  let bytes = 0;
  for await (const chunk of decrypting.stdout as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > plainBytes / 2) break;
  }
  const tookMs = performance.now() - started;
  decrypting.kill('SIGKILL');
  return tookMs;
}
